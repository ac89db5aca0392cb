"""Rights URIs: only those that the two bodies define, in the form they define."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.iiif.rights import rights_uri

CC = "http://creativecommons.org"
RS = "http://rightsstatements.org"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"{CC}/licenses/by/4.0/", f"{CC}/licenses/by/4.0/"),
        ("https://creativecommons.org/licenses/by-nc-nd/3.0/de/", f"{CC}/licenses/by-nc-nd/3.0/de/"),
        (" https://www.creativecommons.org/licenses/by-sa/4.0/deed.de ", f"{CC}/licenses/by-sa/4.0/"),
        ("HTTPS://CreativeCommons.org/licenses/BY/4.0", f"{CC}/licenses/by/4.0/"),
        ("https://creativecommons.org/licenses/by/4.0/legalcode.en", f"{CC}/licenses/by/4.0/"),
        ("https://creativecommons.org/publicdomain/zero/1.0/", f"{CC}/publicdomain/zero/1.0/"),
        ("https://creativecommons.org/publicdomain/mark/1.0/deed.en", f"{CC}/publicdomain/mark/1.0/"),
        ("https://rightsstatements.org/page/InC-EDU/1.0/?language=en", f"{RS}/vocab/InC-EDU/1.0/"),
        ("http://rightsstatements.org/vocab/inc/1.0/", f"{RS}/vocab/InC/1.0/"),
        ("http://rightsstatements.org/vocab/MINE/1.0/", None),
        ("https://creativecommons.org/licenses/", None),
        ("https://creativecommons.org/licenses/by-sa-nc/4.0/", None),
        ("https://creativecommons.org.evil.example/licenses/by/4.0/", None),
        ("See http://creativecommons.org/licenses/by/4.0/", None),
        ("https://example.org/terms", None),
        ("CC BY 4.0", None),
        ("", None),
    ],
)
def test_rights(text: str, expected: str | None) -> None:
    assert rights_uri(text) == expected


@given(st.text())
def test_what_is_given_back_is_a_fixed_point(text: str) -> None:
    for prefix in ("", f"{CC}/licenses/", f"{RS}/vocab/"):
        found = rights_uri(prefix + text)
        assert found is None or rights_uri(found) == found
