"""What the index takes from facts, and which two files are one live photo."""

from __future__ import annotations

import pytest

from iiiffs.model.description import Description
from iiiffs.model.gallery import AlbumId, Asset, AssetId, Facts, Version
from iiiffs.model.image import Extent
from iiiffs.sync.entries import IndexEntry, entry_of, pairs

DAY_NS = 86_400 * 10**9


def asset(name: str = "Été.jpg", mtime_ns: int = DAY_NS, media_type: str = "image/jpeg", album: str = "a") -> Asset:
    return Asset(AssetId(f"{album}-{name}"), AlbumId(album), name, Version("1"), 1, mtime_ns, mtime_ns, media_type)


def facts(captured: str | None = None, description: Description | None = None) -> Facts:
    return Facts("image/jpeg", Extent(1, 1), captured=captured, description=description or Description())


def test_without_facts_there_are_name_and_mtime() -> None:
    assert entry_of(asset(), None) == IndexEntry(asset(), "1970-01-02T00:00:00", words="ete.jpg")


def test_everything_that_facts_tell() -> None:
    told = Description(
        label=(("en", "At  Sea"), ("fr", "À la mer")),
        summary=(("", "Two\nlines"),),
        keywords=("sea", " two\n words ", "", "sea", "caf\udce9"),
        rating=4,
        camera="NIKON D850",
        place=("Pier", "Oslo"),
        people=("Anna",),
    )
    found = entry_of(asset(), Facts("video/mp4", None, description=told, duration_s=2.5))
    assert found.keywords == ("sea", "two words", "caf?")
    assert found.words == "ete.jpg\nat sea\na la mer\ntwo lines"
    assert (found.rating, found.camera, found.place, found.people) == (4, "NIKON D850", ("Pier", "Oslo"), ("Anna",))
    assert found.duration_s == 2.5


@pytest.mark.parametrize(
    ("captured", "taken"),
    [
        ("2024-06-01T12:00:00", "2024-06-01T12:00:00"),
        ("2024-06-01T23:30:00-10:00", "2024-06-01T23:30:00"),
        ("2024-06-01T12:00:00.25Z", "2024-06-01T12:00:00.25"),
        ("2024-06-01T12:00", "2024-06-01T12:00:00"),
        ("2024-06-01", "2024-06-01T00:00:00"),
        ("2024-06-31T12:00:00", "1970-01-02T00:00:00"),
        ("0000-00-00T00:00:00", "1970-01-02T00:00:00"),
        ("2024", "1970-01-02T00:00:00"),
        ("June", "1970-01-02T00:00:00"),
    ],
)
def test_the_local_time_counts_and_a_day_that_cannot_be_does_not(captured: str, taken: str) -> None:
    assert entry_of(asset(), facts(captured)).taken == taken


def test_a_description_knows_the_time_better() -> None:
    told = Description(captured="1999-01-01T00:00:00")
    assert entry_of(asset(), facts("2024-06-01T12:00:00", told)).month == "1999-01"


@pytest.mark.parametrize(
    ("mtime_ns", "taken"),
    [(0, "1970-01-01T00:00:00"), (-1, "1969-12-31T23:59:59"), (-(2**70), "0001-01-01T00:00:00"),
     (2**70, "9999-12-31T00:00:00"), (-(61_000_000_000 * 10**9), "0036-12-26T11:33:20")],
)  # fmt: skip
def test_any_mtime_is_a_time(mtime_ns: int, taken: str) -> None:
    assert entry_of(asset(mtime_ns=mtime_ns), None).taken == taken


@pytest.mark.parametrize(
    ("rating", "keywords", "favorite"),
    [(5, (), True), (4, (), False), (None, ("FAVORITE",), True), (-1, ("Favourite",), True), (0, ("favor",), False)],
)
def test_favorites(rating: int | None, keywords: tuple[str, ...], favorite: bool) -> None:
    assert entry_of(asset(), facts(None, Description(rating=rating, keywords=keywords))).is_favorite is favorite


HEIC, JPEG, MOV, MP4, DNG = "image/heic", "image/jpeg", "video/quicktime", "video/mp4", "image/x-adobe-dng"


def file(name: str, media_type: str, seconds: float | None = None, album: str = "a") -> IndexEntry:
    return entry_of(
        asset(name, media_type=media_type, album=album), Facts(media_type, Extent(1, 1), duration_s=seconds)
    )


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([file("IMG_1.HEIC", HEIC), file("img_1.mov", MOV, 2.9)], {"a-IMG_1.HEIC": "a-img_1.mov"}),
        ([file("x.jpg", JPEG), file("x.mp4", MP4, 6.0)], {"a-x.jpg": "a-x.mp4"}),
        ([file("x.jpg", JPEG), file("x.mp4", MP4, 6.1)], {}),
        ([file("x.jpg", JPEG), file("x.mp4", MP4)], {}),
        ([file("x.jpg", JPEG), file("x.mp4", MP4, 2, "b")], {}),
        ([file("x.jpg", JPEG), file("y.mp4", MP4, 2)], {}),
        ([file("x.dng", DNG), file("x.mov", MOV, 2)], {}),
        ([file("x", JPEG), file("x.mov", MOV, 2)], {}),
        ([file("x.jpg", JPEG), file("x.HEIC", HEIC), file("x.mov", MOV, 2)], {"a-x.HEIC": "a-x.mov"}),
        ([file("x.jpg", JPEG), file("x.mp4", MP4, 2), file("x.mov", MOV, 2)], {"a-x.jpg": "a-x.mov"}),
        ([file("x.jpeg", JPEG), file("x.jpg", JPEG), file("x.mov", MOV, 2)], {"a-x.jpeg": "a-x.mov"}),
    ],
)
def test_live_photos(files: list[IndexEntry], found: dict[str, str]) -> None:
    assert pairs(files) == pairs(files[::-1]) == found
