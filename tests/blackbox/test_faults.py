"""The check itself: it has nothing to say of a right server, and finds each planted fault in what it spoils."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from tests.blackbox.__main__ import main
from tests.blackbox.check import Answer, Check, Report
from tests.blackbox.faults import Fault
from tests.blackbox.picture import PICTURES, Picture, paint
from tests.blackbox.reference import Reference, served

SMALL = Picture("small", 198, 291, orientation=6)
"""Upright after a turn, so that every fault shows in it, and quickly drawn."""
REQUESTS_MIN = 200


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pictures' files."""
    folder = tmp_path_factory.mktemp("painted")
    for picture in (*PICTURES, SMALL):
        paint(picture, folder)
    return folder


def checked(folder: Path, picture: Picture, fault: Fault = Fault.NONE) -> Report:
    """What the check says of the reference server, asked without a network."""
    return Check(Reference(folder, fault=fault)).run(f"http://127.0.0.1/iiif/{picture.file_name}", picture)


@pytest.mark.parametrize("picture", (*PICTURES, SMALL), ids=lambda picture: picture.name)
def test_nothing_is_said_of_a_right_server(folder: Path, picture: Picture) -> None:
    report = checked(folder, picture)
    assert not report.findings, "\n".join(map(str, report.findings))
    assert report.asked >= REQUESTS_MIN


def test_over_http(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The same through sockets, by the command line: the client, kept connections, HEAD, OPTIONS."""
    with served(Reference(folder)) as origin:
        right = main([f"{origin}/iiif/gray.jpg", "--picture", "gray"])
        said = capsys.readouterr()
        wrong = main([f"{origin}/iiif/gray.jpg", "--picture", "large"])
    assert (right, said.out, wrong) == (0, "", 1), said.out
    assert "requests, 0 findings" in said.err
    assert "width is 590, not 1283" in capsys.readouterr().out


def parts(path: str) -> list[str]:
    """Region, size, rotation and name of a request, decoded as far as they are looked at here."""
    return [part.replace("%2C", ",").replace("%2c", ",").replace("%21", "!") for part in path.split("/")]


def in_pixels(path: str) -> bool:
    return re.fullmatch("[0-9]+,[0-9]+,[0-9]+,[0-9]+", parts(path)[0]) is not None


SPOILED: dict[Fault, tuple[int, Callable[[str], bool]]] = {
    Fault.REGION_OFF_BY_ONE: (45, in_pixels),
    Fault.MIRROR_AFTER_ROTATE: (12, lambda path: parts(path)[2].startswith("!")),
    Fault.EXIF_IGNORED: (1, lambda path: path == "info.json"),
    Fault.SIDES_SWAPPED: (20, lambda path: re.search("[0-9],[0-9]", parts(path)[1]) is not None),
    Fault.ROUNDED_DOWN: (15, lambda path: "," in parts(path)[1] or parts(path)[1] in ("max", "^max")),
    Fault.EXIF_HALF_DONE: (100, lambda path: True),
    Fault.REGION_SIDES_SWAPPED: (60, lambda path: "," in parts(path)[0]),
    Fault.COUNTER_CLOCKWISE: (30, lambda path: parts(path)[2] not in ("0", "180", "360", "!0", "!180", "!360")),
    Fault.PADDED: (6, lambda path: "," in parts(path)[0]),
    Fault.LENIENT_NUMBERS: (4, lambda path: "," in path),
    Fault.CORNERS_FILLED: (10, lambda path: parts(path)[2].strip("!") in ("22.5", "45", "137", "0.5", "300", "359")),
    Fault.BLURRED: (30, lambda path: True),
    Fault.HALVES_STRETCHED: (2, lambda path: True),
}
"""How many requests a fault spoils at least, and which ones only it may spoil."""


@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.NONE], ids=lambda fault: fault.name)
def test_a_fault_is_found_where_it_is(folder: Path, fault: Fault) -> None:
    report = checked(folder, SMALL, fault)
    least, spoiled = SPOILED[fault]
    elsewhere = [finding for finding in report.findings if not spoiled(finding.request)]
    assert not elsewhere, "\n".join(map(str, elsewhere))
    assert len(report.findings) >= least, "\n".join(map(str, report.findings))


def test_the_same_fault_is_found_again(folder: Path) -> None:
    """Verdicts are kept for equal answers, not for equal requests."""
    check = Check(Reference(folder, fault=Fault.SIDES_SWAPPED))
    uri = f"http://127.0.0.1/iiif/{SMALL.file_name}"
    first = check.run(uri, SMALL)
    assert first.findings == check.run(uri, SMALL).findings != ()
    right = replace(check, ask=Reference(folder))
    assert right.run(uri, SMALL).findings == ()


def test_answers_that_no_page_may_read_are_found(folder: Path) -> None:
    """Without Access-Control-Allow-Origin a viewer sees neither pictures nor errors."""
    reference = Reference(folder)

    def silent(method: str, uri: str, headers: Mapping[str, str]) -> Answer:
        answer = reference(method, uri, headers)
        return replace(answer, headers={name: value for name, value in answer.headers.items() if "allow" not in name})

    uri = f"http://127.0.0.1/iiif/{SMALL.file_name}"
    assert Check(silent).run(uri, SMALL).findings
    assert not Check(silent, cors=False).run(uri, SMALL).findings


def test_every_fault_is_told_apart() -> None:
    """No row is missing."""
    assert set(SPOILED) == set(Fault) - {Fault.NONE}
