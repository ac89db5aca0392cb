"""Immich's JSON: the recorded samples, tables of what they mean, and Hypothesis over what they never held."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.errors import AccessDenied, NotOffered, ProviderUnreachable
from iiiffs.model.gallery import AlbumId, Asset, Facts
from iiiffs.model.image import Extent
from iiiffs.providers.immich.dialect import READ_PERMISSIONS, dialect_of, lacking
from iiiffs.providers.immich.library import filters_of, is_counted, is_within, matches, visibilities_of
from iiiffs.providers.immich.previews import reduced
from iiiffs.providers.immich.wire import (
    AlbumRecord,
    AssetRecord,
    KeyRecord,
    PeopleAnswer,
    SearchAnswer,
    ServerConfig,
    ServerFeatures,
    ServerVersion,
    TagRecord,
    album_of,
    asset_of,
    captured,
    decoded,
    displayed,
    duration_s,
    extent_of,
    facts_of,
    facts_tag,
    listing_of,
    sha1_of,
    time_ms,
    time_text,
    version_of,
)
from iiiffs.providers.views import Everything, Favorites, Found, OfPerson, OfTag, Trash, View
from iiiffs.tree.query import Field, parse_query
from tests.fakes.immich.faults import samples

PLAIN: dict[str, Any] = samples("3.1.0")["asset-jpeg"]["body"]
HOME = AlbumId("a")


def body(sample: str, version: str = "3.1.0") -> bytes:
    return msgspec.json.encode(samples(version)[sample]["body"])


def record(exif: dict[str, object] | None = None, **fields: object) -> AssetRecord:
    """The recorded photo, with other fields."""
    changed = {**PLAIN, **fields, "exifInfo": {**PLAIN["exifInfo"], **(exif or {})}}
    return decoded(msgspec.json.encode(changed), AssetRecord, "a record")


def asset(sample: str, version: str = "3.1.0") -> AssetRecord:
    return decoded(body(sample, version), AssetRecord, sample)


READ = [
    ("server-config", "3.1.0", ServerConfig),
    ("server-config", "2.7.5", ServerConfig),
    ("server-features", "3.1.0", ServerFeatures),
    ("server-features", "2.7.5", ServerFeatures),
    ("server-version", "2.7.5", ServerVersion),
    ("api-keys-me", "3.1.0", KeyRecord),
    ("ro-api-keys-me", "3.1.0", KeyRecord),
    ("albums-list", "3.1.0", list[AlbumRecord]),
    ("albums-list", "2.7.5", list[AlbumRecord]),
    ("albums-list-guest-shared", "2.7.5", list[AlbumRecord]),
    ("album-get", "3.1.0", AlbumRecord),
    ("album-get", "2.7.5", AlbumRecord),
    ("album-create-empty-name", "3.1.0", AlbumRecord),
    ("album-create-slash-name", "3.1.0", AlbumRecord),
    ("search-metadata-album", "3.1.0", SearchAnswer),
    ("search-metadata-album", "2.7.5", SearchAnswer),
    ("search-metadata-all", "3.1.0", SearchAnswer),
    ("search-metadata-pastend", "3.1.0", SearchAnswer),
    ("search-trashed", "3.1.0", SearchAnswer),
    ("people", "3.1.0", PeopleAnswer),
    ("tags-list", "3.1.0", list[TagRecord]),
]


@pytest.mark.parametrize(("sample", "version", "kind"), READ, ids=str)
def test_what_real_servers_answered_is_understood(sample: str, version: str, kind: type[object]) -> None:
    assert decoded(body(sample, version), kind, sample) is not None


@pytest.mark.parametrize("sample", [name for name in sorted(samples("3.1.0")) if name.startswith("asset-")])
def test_every_recorded_asset_becomes_one(sample: str) -> None:
    found = samples("3.1.0")[sample]["body"]
    if isinstance(found, dict) and "originalFileName" in found:
        one = asset(sample)
        assert asset_of(one, HOME).size_bytes == found["exifInfo"]["fileSizeInByte"]
        assert asset_of(one, HOME).checksum == base64.b64decode(found["checksum"])


def test_a_photo_is_what_its_listing_says() -> None:
    made = asset_of(asset("asset-jpeg"), HOME)
    digest = base64.b64decode(PLAIN["checksum"])
    assert made == Asset(
        id=PLAIN["id"],
        album=HOME,
        name="IMG_0001.jpg",
        version=version_of(asset("asset-jpeg")),
        size_bytes=1156343,
        mtime_ns=1795353793260000000,
        changed_ns=1795353833944000000,
        media_type="image/jpeg",
        checksum=digest,
        described=facts_tag(asset("asset-jpeg")),
    )
    assert made.version == f"sha1-{digest.hex()}"


def test_a_rotated_photo_has_the_size_it_is_shown_in() -> None:
    rotated = asset("asset-rotated")
    assert extent_of(rotated) == Extent(800, 1200)
    assert rotated.exif_info is not None
    assert extent_of(asset("asset-rotated", "2.7.5")) == Extent(800, 1200)


def test_facts_come_from_the_metadata() -> None:
    facts = facts_of(asset("asset-jpeg"))
    assert facts is not None
    assert (facts.media_type, facts.extent, facts.captured) == (
        "image/jpeg",
        Extent(1600, 1200),
        "2023-05-01T10:11:12+02:00",
    )
    said = facts.description
    assert (said.summary, said.camera, said.place) == (
        (("", "Berlin gate"),),
        "TestCam Model One",
        ("Berlin", "Germany"),
    )
    assert said.position == (52.5244, 13.4105)


@pytest.mark.parametrize("version", ["3.1.0", "2.7.5"])
def test_videos_last_as_long_on_both_versions(version: str) -> None:
    facts = facts_of(asset("asset-video", version))
    assert facts is not None
    assert (facts.duration_s, facts.extent, facts.media_type) == (2.0, Extent(320, 240), "video/mp4")


@pytest.mark.parametrize(
    ("fields", "exif"),
    [
        ({"width": None, "height": None}, {}),
        ({"isEdited": True}, {}),
        ({"originalFileName": "x.dng", "originalMimeType": "image/dng"}, {}),
        ({"originalFileName": "x.tif", "originalMimeType": "image/tiff"}, {}),
        ({"originalFileName": "x", "originalMimeType": None}, {}),
        ({"type": "OTHER"}, {}),
        ({"width": 0}, {}),
    ],
    ids=["unprocessed", "edited", "raw", "tiff", "nameless", "other", "nothing"],
)
def test_where_the_metadata_cannot_be_relied_on_bytes_are_read(
    fields: dict[str, object], exif: dict[str, object]
) -> None:
    assert facts_of(record(exif, **fields)) is None


@pytest.mark.parametrize(
    ("utc", "local", "zone", "text"),
    [
        ("2023-05-01T08:11:12.000Z", "2023-05-01T10:11:12.000Z", "UTC+2", "2023-05-01T10:11:12+02:00"),
        ("2023-05-01T08:11:12.000Z", "2023-05-01T04:41:12.000Z", "America/St_Johns", "2023-05-01T04:41:12-03:30"),
        ("2023-05-01T08:11:12.000Z", "2023-05-01T08:11:12.000Z", "UTC", "2023-05-01T08:11:12Z"),
        ("2023-05-01T08:11:12.000Z", "2023-05-01T08:11:12.000Z", None, "2023-05-01T08:11:12"),
        ("+010000-01-01T00:00:00.000Z", "+010000-01-01T00:00:00.000Z", "UTC", None),
    ],
)
def test_dates_carry_their_zone_where_one_is_known(utc: str, local: str, zone: str | None, text: str | None) -> None:
    assert captured(record({"timeZone": zone}, fileCreatedAt=utc, localDateTime=local)) == text
    assert captured(record({"dateTimeOriginal": None}, fileCreatedAt=utc, localDateTime=local)) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [(2000, 2.0), (None, 0.0), ("00:00:02.000", 2.0), ("0:00:00.00000", 0.0), ("01:02:03.5", 3723.5), ("long", 0.0)],
)
def test_durations_of_both_versions(value: object, seconds: float) -> None:
    assert duration_s(record(duration=value)) == seconds


def test_of_an_external_library_the_checksum_is_of_the_path() -> None:
    external = record(libraryId="x")
    assert asset_of(external, HOME).checksum is None
    assert sha1_of(version_of(external)) is None
    others = [
        record(libraryId="x", fileModifiedAt="2026-11-22T13:23:14.260Z"),
        record({"fileSizeInByte": 1}, libraryId="x"),
    ]
    assert len({version_of(one) for one in (external, record(), *others)}) == 4


def test_one_moment_in_two_spellings_is_one_time() -> None:
    for text in ("2026-11-22T13:23:13.26+00:00", "2026-11-22T13:23:13.260Z", "2026-11-22T13:23:13.260999+00:00"):
        assert time_ms(text) == 1795353793260


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_times_are_read_as_they_are_written(ms: int) -> None:
    assert time_ms(time_text(ms)) == ms


@given(st.text())
def test_no_time_breaks_the_reader(text: str) -> None:
    assert time_ms(text) is None or isinstance(time_ms(text), int)


texts = st.none() | st.text(max_size=20)
numbers = st.none() | st.integers(-(10**6), 10**6) | st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "originalFileName": st.text(),
            "originalMimeType": texts,
            "checksum": st.text(max_size=40),
            "fileCreatedAt": st.text(max_size=30),
            "fileModifiedAt": st.text(max_size=30),
            "localDateTime": st.text(max_size=30),
            "width": numbers,
            "height": numbers,
            "duration": numbers | st.text(max_size=20),
            "type": st.sampled_from(["IMAGE", "VIDEO", "AUDIO", "OTHER", "FUTURE"]),
            "libraryId": texts,
            "isEdited": st.booleans(),
            "unknownField": st.text(),
        },
    ),
    st.fixed_dictionaries(
        {}, optional={"rating": numbers, "description": texts, "make": texts, "model": texts, "city": texts}
    ),
)
def test_no_values_break_an_asset_and_what_is_told_can_be_kept(
    fields: dict[str, object], exif: dict[str, object]
) -> None:
    one = record(exif, **fields)
    made, facts = asset_of(one, HOME), facts_of(one)
    assert made.changed_ns >= made.mtime_ns >= 0
    assert made.version.isascii()
    assert facts_tag(one) == facts_tag(record(exif, **fields))
    if facts is not None:
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(facts), type=Facts) == facts
        assert facts.description.rating is None or -1 <= facts.description.rating <= 5


def test_what_is_said_later_gives_the_listing_another_tag() -> None:
    album = decoded(body("albums-list"), list[AlbumRecord], "albums")[0]
    plain = listing_of(album, [record()])
    told: list[AssetRecord] = [
        record({"description": "other"}),
        record(thumbhash=None),
        record(width=1601),
        record(livePhotoVideoId="x"),
        record({"rating": 3}),
    ]
    etags = {listing_of(album, [one]).etag for one in told}
    assert len(etags) == len(told)
    assert plain.etag not in etags
    described = {listing_of(album, [one]).assets[0].described for one in told}
    assert len(described - {plain.assets[0].described}) == len(told)
    assert listing_of(album, [record(updatedAt="2030-01-01T00:00:00.000Z")]) == plain


def test_listings_show_what_albums_show_in_their_order() -> None:
    (album,) = decoded(body("albums-list"), list[AlbumRecord], "albums")
    ids = [f"{number:08}-0000-4000-8000-000000000000" for number in range(6)]
    moments = [f"2023-05-0{day}T00:00:00.000Z" for day in (3, 1, 2, 2)]
    members = [record(id=id, fileCreatedAt=moment) for id, moment in zip(ids, moments, strict=False)]
    hidden = [
        record(id=ids[4], visibility="hidden"),
        record(id=ids[5], visibility="locked"),
        record(id="t", isTrashed=True),
    ]
    listing = listing_of(album, [*members, *hidden, record(id=ids[0], fileCreatedAt=moments[0])])
    assert [one.id for one in listing.assets] == [ids[0], ids[3], ids[2], ids[1]]
    album.order = "asc"
    assert [one.id for one in listing_of(album, reversed(members)).assets] == [ids[1], ids[2], ids[3], ids[0]]
    assert [one.visibility for one in members if one.is_shown] == ["timeline"] * 4
    assert record(visibility="archive").is_shown
    assert album_of(album).title == "Holiday 2023"


def test_an_answer_that_cannot_be_understood_says_nothing_of_what_is_there() -> None:
    for text in (b"", b"{}", b'{"id": 1}', b"<html>", b"\xff"):
        with pytest.raises(ProviderUnreachable, match="cannot be understood"):
            decoded(text, AlbumRecord, "an album")


@pytest.mark.parametrize(
    ("version", "questions", "assets", "newer"),
    [((2, 0, 0), 2, True, False), ((2, 7, 5), 2, True, False), ((3, 0, 0), 1, False, False),
     ((3, 2, 2), 1, False, False),
     ((4, 0, 0), 1, False, True)],
)  # fmt: skip
def test_dialects(version: tuple[int, int, int], questions: int, assets: bool, newer: bool) -> None:
    dialect = dialect_of(*version)
    assert (len(dialect.album_questions), dialect.albums_hold_assets, dialect.is_newer_than_known) == (
        questions,
        assets,
        newer,
    )


@pytest.mark.parametrize("version", [(1, 144, 1), (0, 9, 0)])
def test_old_servers_are_refused_with_the_reason(version: tuple[int, int, int]) -> None:
    with pytest.raises(AccessDenied, match=r"2\.0 and newer; upgrade"):
        dialect_of(*version)


def test_what_a_key_lacks() -> None:
    assert lacking(["all"], READ_PERMISSIONS) == []
    assert lacking(["asset.read", "album.read", "user.read"], READ_PERMISSIONS) == ["asset.view", "asset.download"]


@pytest.mark.parametrize(
    ("view", "filters"),
    [
        (Everything(), {}),
        (Favorites(), {"isFavorite": True}),
        (Trash(), {"withDeleted": True, "trashedAfter": "1970-01-01T00:00:00.000Z"}),
        (OfPerson("p"), {"personIds": ["p"]}),
        (OfTag("t"), {"tagIds": ["t"]}),
        (Found(parse_query("beach type:video")), {"originalFileName": "beach", "type": "VIDEO"}),
        (Found(parse_query("rating:=4 smart:boat")), {"rating": 4}),
        (
            Found(parse_query("from:2024-06 to:2024-06")),
            {"takenAfter": "2024-05-31T00:00:00.000Z", "takenBefore": "2024-07-02T00:00:00.000Z"},
        ),
    ],
)
def test_views_are_flat_searches(view: View, filters: dict[str, object]) -> None:
    assert filters_of(view) == filters
    assert "filter" not in filters
    assert set(visibilities_of(view)) <= {"timeline", "archive"}


@pytest.mark.parametrize("query", ["rating:3", "one two", "rating:=0", "to:9999"])
def test_what_immich_cannot_search_for_is_not_offered(query: str) -> None:
    with pytest.raises(NotOffered):
        filters_of(Found(parse_query(query)))


def test_days_are_those_of_the_wall_clock() -> None:
    view = Found(parse_query("from:2024-06-01 to:2024-06-01"))
    days = {f"2024-0{day}T23:59:59.000Z": day == "6-01" for day in ("5-31", "6-01", "6-02")}
    assert {day: is_within(record(localDateTime=day), view) for day in days} == days
    assert not is_counted(view)
    assert is_counted(Found(parse_query("tag:beach type:video")))
    assert not is_counted(Found(parse_query("beach")))


@pytest.mark.parametrize(
    ("field", "value", "name", "is_meant"),
    [
        (Field.PERSON, "anna", "Anna Müller", True),
        (Field.PERSON, "muller", "Anna Müller", True),
        (Field.PERSON, "ann", "Anna Müller", False),
        (Field.CITY, "york", "New York", True),
        (Field.TAG, "beach", "Beach", True),
        (Field.TAG, "beach", "Beach house", False),
    ],
)
def test_names_are_compared_as_on_every_provider(field: Field, value: str, name: str, is_meant: bool) -> None:
    assert matches(field, value, name) is is_meant


@pytest.mark.parametrize(
    ("size", "side", "found"),
    [((3000, 2000), 250, (375, 250)), ((3000, 2000), 1440, (2160, 1440)), ((800, 1200), 1440, (800, 1200)),
     ((200, 9000), 250, (200, 9000)), ((1001, 667), 250, (375, 250)), ((10000, 300), 1, (33, 1))],
)  # fmt: skip
def test_the_short_side_rules_and_nothing_is_enlarged(size: tuple[int, int], side: int, found: tuple[int, int]) -> None:
    assert reduced(Extent(*size), side) == Extent(*found)


def test_what_is_displayed_needs_no_trust() -> None:
    assert displayed(record(isEdited=True, width=5, height=6)) == Extent(5, 6)
    assert displayed(record(width=None)) is None
