"""What a daemon holds is measured by what there is now, not by all that ever was. Rule: issue 6, "Shown by" 6."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from iiiffs.model.gallery import AccountName, AlbumId, Asset, AssetId, Version
from iiiffs.vfs import complaints, deserted, questions
from iiiffs.vfs.complaints import Complaints
from iiiffs.vfs.filling import FILLING_S
from iiiffs.vfs.flights import Flights
from iiiffs.vfs.known_assets import KnownAssets
from iiiffs.vfs.questions import Questions
from iiiffs.vfs.waiting import WaitingRoom
from tests.harness.scripted import Flavour
from tests.harness.tree import jpeg
from tests.harness.writing_tree import Life, directory_made, directory_removed, linked, renamed, unlinked
from tests.unit.vfs.test_changes_writing import SENT_S, living, wrote

FEW, MORE = 3, 7
"""Rounds after which it is counted: what is kept of each is seen."""
KEPT_OF_MANY = 2
LISTED_S = 60.0


@pytest.fixture(params=Flavour)
def churned(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Life, str]]:
    """A mount, and its folder that albums are in. Of what is kept for many albums only a few are."""
    monkeypatch.setattr(deserted, "LEARNT_MIN", KEPT_OF_MANY)
    monkeypatch.setattr(questions, "ALBUMS_NOTED", KEPT_OF_MANY)
    with living(tmp_path, request.param) as (life, store):
        top = "files" if request.param is Flavour.FOLDER else "albums"
        if request.param is Flavour.FOLDER:
            store.make_album("A")
            life.passes(SENT_S)
        yield life, top


def churn(life: Life, top: str, number: int) -> None:
    """An album comes with photos, one of which is named twice; they are others, go, and so does the album."""
    album, photo, same = (
        f"{top}/new-{number}",
        jpeg(colour=f"#{30 * number:02x}0909"),
        jpeg(colour=f"#{30 * number:02x}6363"),
    )
    life.ask(lambda life: directory_made(life, album))
    for name, data in (("a", photo), ("b", same), ("c", same)):
        life.ask(wrote(f"{album}/{name}-{number}.jpg", data))
    life.ask(lambda life: renamed(life, f"{album}/b-{number}.jpg", f"{album}/d-{number}.jpg"))
    life.passes(SENT_S * 2)
    if top == "albums":
        life.ask(lambda life: linked(life, f"{album}/a-{number}.jpg", f"{top}/A/a-{number}.jpg"))
    life.ask(wrote(f"{album}/e-{number}.jpg", jpeg(colour=f"#{30 * number:02x}c709")))
    life.passes(LISTED_S)
    names = [f"{album}/{name}-{number}.jpg" for name in "acde"]
    for path in [*names, *([f"{top}/A/a-{number}.jpg"] if top == "albums" else [])]:
        life.ask(lambda life, path=path: unlinked(life, path))  # type: ignore[misc]
    life.ask(lambda life: directory_removed(life, album))
    life.passes(LISTED_S)


def held(life: Life) -> Counter[str]:
    """How much of what there is one of for each album, photo or change."""
    uploader, queue, overlay = cast(Any, life.uploader), cast(Any, life.outgoing.queue), cast(Any, life.gallery.overlay)
    parts = {
        "queue": queue,
        "departures": uploader._departures,
        "order": uploader._order,
        "overlay": overlay,
        "arrivals": overlay.arrivals,
        "filling": overlay.filling,
        "given names": queue.notes.given,
        "homes": uploader.deserted._homes,
        "deserted": uploader.deserted,
        "questions": cast(Any, life.gallery)._questioning,
    }
    return Counter(
        {
            f"{name}: {attribute}": len(value)
            for name, part in parts.items()
            for attribute, value in vars(part).items()
            if isinstance(value, dict | set | list)
        }
    )


def test_what_is_gone_leaves_nothing(churned: tuple[Life, str]) -> None:
    life, top = churned
    counted: list[Counter[str]] = []
    for number in range(1, MORE + 1):
        churn(life, top, number)
        if number in (FEW, MORE):
            counted.append(held(life))
    assert {what: count for what, count in (counted[1] - counted[0]).items() if count >= MORE - FEW} == {}


def test_albums_of_which_nothing_is_known_any_more_take_no_room() -> None:
    known = KnownAssets()
    asset = Asset(AssetId("n0"), AlbumId(""), "c", Version("v"), None, 0, 0, "image/png", None)
    for number in range(100):
        for id in (number, number + 1):
            known.note(replace(asset, id=AssetId(f"n{id}"), album=AlbumId(f"album {number}")), float(number))
        known.forget(AssetId(f"n{number}"))
        told = known.find(AssetId(f"n{number + 1}"))
        assert told is not None
        assert told.asset.album == f"album {number}"
    assert (len(known), len(cast(Any, known)._albums)) == (1, 2)


def test_no_question_from_before_a_change_is_taken_for_one_after_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "ALBUMS_NOTED", KEPT_OF_MANY)

    async def scenario() -> None:
        async with trio.open_nursery() as nursery:
            asked = Questions(AccountName("pictures"), Flights(nursery), WaitingRoom("pictures", 1))
            eras: dict[AlbumId, set[tuple[int, int]]] = {}
            for number in range(20):
                album = AlbumId(f"album {number * number % 7}")
                before = asked.era(album)
                asked.changed(album)
                assert asked.era(album) not in eras.setdefault(album, set()) | {before}
                eras[album].add(asked.era(album))
            assert len(cast(Any, asked)._of_album) == KEPT_OF_MANY

    trio.run(scenario)


@pytest.mark.warns("cannot be read")
def test_a_complaint_is_told_once_and_not_kept_for_ever(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(complaints, "KEPT", KEPT_OF_MANY)
    told = Complaints(logging.getLogger(__name__))
    for name in "aabbacd":
        told.say(f"{name} cannot be read")
    assert [record.message[0] for record in caplog.records] == list("abcd")
    assert len(told) == KEPT_OF_MANY


def test_an_album_that_nobody_looks_at_is_not_taken_for_new_for_ever(churned: tuple[Life, str]) -> None:
    life, _ = churned
    filling = cast(Any, life.gallery.overlay).filling

    async def begin(album: str) -> None:
        filling.begin(AlbumId(album))

    for number in range(5):
        life.ask(lambda life, number=number: begin(f"album {number}"))  # type: ignore[misc]
        life.passes(FILLING_S * 2)
    assert list(filling._since_s) == ["album 4"]
