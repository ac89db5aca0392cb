"""Numbers: Image API 3.0 §4.7, in every place where one may stand."""

from __future__ import annotations

import pytest

from tests.unit.conformance.conformance_pictures import refused, spec_picture

INTEGER_PLACES = {
    "region x": "{},0,100,100/max/0/default.jpg",
    "region h": "0,0,100,{}/max/0/default.jpg",
    "size w": "full/{},/0/default.jpg",
    "size h": "full/,{}/0/default.jpg",
    "size w,h": "full/100,{}/0/default.jpg",
    "box": "full/!{},100/0/default.jpg",
}
DECIMAL_PLACES = {
    "region percent": "pct:{},0,50,50/max/0/default.jpg",
    "region percent h": "pct:0,0,50,{}/max/0/default.jpg",
    "size percent": "full/pct:{}/0/default.jpg",
    "rotation": "full/max/{}/default.jpg",
    "mirrored rotation": "full/max/!{}/default.jpg",
}
EVERYWHERE = {**INTEGER_PLACES, **DECIMAL_PLACES}
PYTHON_TAKES = {
    "underscore": "1_0",
    "leading space": " 10",
    "trailing space": "10 ",
    "newline": "10\n",
    "tab": "\t10",
    "no-break space": "\u00a010",
    "full-width digits": "１０",
    "Arabic digits": "١٠",
    "Devanagari digits": "१०",
    "superscript": "1²",
    "plus": "+10",
    "minus": "-10",
    "exponent": "1e1",
    "capital exponent": "1E1",
    "nan": "nan",
    "capital NaN": "NaN",
    "inf": "inf",
    "infinity": "Infinity",
    "hexadecimal": "0x10",
    "leading zeros": "010",
    "two points": "1.0.0",
    "comma": "1,0,0,0,0",
    "a NUL": "10\0",
    "percent sign": "10%",
}


@pytest.mark.parametrize("number", PYTHON_TAKES.values(), ids=PYTHON_TAKES.keys())
@pytest.mark.parametrize("place", EVERYWHERE.values(), ids=EVERYWHERE.keys())
def test_digits_and_one_point_and_nothing_else(place: str, number: str) -> None:
    """Rule: Image API 3.0 §4.7: "MUST consist only of decimal digits and '.'".

    Peers fail: both Python servers hand them to int() and float(), which take nearly all of these: `1_0`, digits of
    other scripts, `+5`, `1e1` and a leading space were served as images, nan and inf were 500.
    """
    refused(spec_picture(), place.format(number))


@pytest.mark.parametrize("place", EVERYWHERE.values(), ids=EVERYWHERE.keys())
def test_a_plain_integer_is_served_in_every_place(place: str) -> None:
    """Rule: Image API 3.0 §4.7: "Integer values SHOULD be used where possible". (The refusals above are not of all.)"""
    assert min(spec_picture().size(place.format("10"))) >= 1


@pytest.mark.parametrize("number", ["10.5", "0.9", "9.999999999999", "50.0", "22.50"])
@pytest.mark.parametrize("place", DECIMAL_PLACES.values(), ids=DECIMAL_PLACES.keys())
def test_decimals_are_served_where_they_may_stand(place: str, number: str) -> None:
    """Rule: Image API 3.0 §4.7. Trailing zeros SHOULD NOT be there, and are taken: clients print with fixed places."""
    assert min(spec_picture().size(place.format(number))) >= 1


@pytest.mark.parametrize("place", INTEGER_PLACES.values(), ids=INTEGER_PLACES.keys())
def test_pixels_are_no_decimals(place: str) -> None:
    """Rule: Image API 3.0 §4: pixels MUST be integers."""
    refused(spec_picture(), place.format("10.5"), place.format("10.0"))


@pytest.mark.parametrize("place", DECIMAL_PLACES.values(), ids=DECIMAL_PLACES.keys())
def test_a_point_stands_between_digits(place: str) -> None:
    """Rule: Image API 3.0 §4.7: a leading 0 SHOULD be there; we insist. "5." is no number of any notation here."""
    refused(spec_picture(), place.format(".9"), place.format("9."), place.format("."))


def test_a_number_is_there() -> None:
    """Rule: Image API 3.0 §4.7. (Nothing for one of w and h is another form of the size.)"""
    refused(spec_picture(), *(place.format("") for name, place in EVERYWHERE.items() if name != "size w,h"))


@pytest.mark.parametrize("place", EVERYWHERE.values(), ids=EVERYWHERE.keys())
def test_no_number_buys_long_arithmetic(place: str) -> None:
    """Rule: none. A million digits are refused by the grammar, not computed with (issue 4, hostile requests)."""
    refused(spec_picture(), place.format("9" * 1_000_000), place.format("9" * 13))
