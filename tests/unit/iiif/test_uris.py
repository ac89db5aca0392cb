"""URIs of the tree: stable, unreserved characters only, and the way back to the file's bytes."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.iiif.uris import Identifiers, Uris, encoded
from iiiffs.model.gallery import AccountName, AlbumId, AssetId

HOME, TRIP, PHOTO = AccountName("home"), AlbumId("alb-1"), AssetId("as~1._")
URIS = Uris("https://photos.example.org/iiif")


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        (URIS.root_collection(), "collection.json"),
        (URIS.account_collection(HOME), "home/collection.json"),
        (URIS.service(HOME, PHOTO), "home/iiif/3/as~1._"),
        (URIS.service_2(HOME, PHOTO), "home/iiif/2/as~1._"),
        (URIS.album(HOME, TRIP), "home/iiif/presentation/3/alb-1"),
        (URIS.manifest(HOME, TRIP), "home/iiif/presentation/3/alb-1/manifest.json"),
        (URIS.collection(HOME, TRIP), "home/iiif/presentation/3/alb-1/collection.json"),
        (URIS.canvas(HOME, TRIP, PHOTO), "home/iiif/presentation/3/alb-1/canvas/as~1._"),
        (URIS.original(HOME, ["a b", "x/y.jpg"]), "home/files/a%20b/x%2Fy.jpg"),
    ],
)
def test_uri(uri: str, path: str) -> None:
    assert uri == f"https://photos.example.org/iiif/{path}"


def test_a_slash_at_the_end_of_the_base_is_dropped() -> None:
    assert Uris("http://127.0.0.1:8080/") == Uris("http://127.0.0.1:8080")
    assert Uris("http://127.0.0.1:8080/").service(HOME, PHOTO) == "http://127.0.0.1:8080/home/iiif/3/as~1._"


def test_an_account_s_name_is_encoded_everywhere() -> None:
    account = AccountName("ä b")
    for uri in (
        URIS.account_collection(account),
        URIS.service(account, PHOTO),
        URIS.service_2(account, PHOTO),
        URIS.manifest(account, TRIP),
        URIS.original(account, ["x.jpg"]),
    ):
        assert uri.startswith("https://photos.example.org/iiif/%C3%A4%20b/")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("IMG_0001.jpg", "IMG_0001.jpg"),
        ("AZaz09-._~", "AZaz09-._~"),
        ("Ünï 100% [x] @ ^!;:+&=~'()", "%C3%9Cn%C3%AF%20100%25%20%5Bx%5D%20%40%20%5E%21%3B%3A%2B%26%3D~%27%28%29"),
        ("a?b#c", "a%3Fb%23c"),
        ("%41", "%2541"),
        (os.fsdecode(b"caf\xe9.jpg"), "caf%E9.jpg"),
        ("😀", "%F0%9F%98%80"),
    ],
)
def test_encoded(name: str, expected: str) -> None:
    assert encoded(name) == expected


@given(st.binary(max_size=40))
def test_any_file_name_comes_back_byte_for_byte(raw: bytes) -> None:
    uri = encoded(os.fsdecode(raw))
    assert re.fullmatch("(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*", uri)
    assert unquote_to_bytes(uri) == raw


@given(st.binary(min_size=1, max_size=20), st.binary(min_size=1, max_size=20))
def test_names_never_reach_into_the_query_or_another_part(folder: bytes, name: bytes) -> None:
    uri = urlsplit(URIS.original(HOME, [os.fsdecode(folder), os.fsdecode(name)]))
    assert (uri.query, uri.fragment) == ("", "")
    assert uri.path.count("/") == 5


OLD = Identifiers("https://old.example.org/iiif/2", "https://old.example.org/iiif/3")


def test_images_under_paths_have_uris_of_their_own() -> None:
    uris = Uris("https://photos.example.org/iiif", {HOME: OLD})
    assert uris.image(HOME, PHOTO, 3) == uris.service(HOME, PHOTO)
    assert uris.image(HOME, PHOTO, 2) == uris.service_2(HOME, PHOTO)
    assert uris.image(HOME, PHOTO, 3, "2024%2Fa.jpg") == "https://old.example.org/iiif/3/2024%2Fa.jpg"
    assert uris.image(HOME, PHOTO, 2, "2024%2Fa.jpg") == "https://old.example.org/iiif/2/2024%2Fa.jpg"


@pytest.mark.parametrize(
    ("slash", "path", "identifier"),
    [
        ("%2F", ["2024", "Trip", "a b.jpg"], "2024%2FTrip%2Fa%20b.jpg"),
        ("/", ["2024", "Trip", "a b.jpg"], "2024/Trip/a%20b.jpg"),
        (":", ["2024:Trip:a b.jpg"], "2024%3ATrip%3Aa%20b.jpg"),
        (":", ["2024", "Trip:a.jpg"], "2024%2FTrip%3Aa.jpg"),
        ("_SL_", ["2024_SL_a.jpg"], "2024_SL_a.jpg"),
        ("%2F", [os.fsdecode(b"\xff^~.jpg")], "%FF%5E~.jpg"),
    ],
)
def test_an_identifier_is_spelled_as_it_was_asked_for(slash: str, path: list[str], identifier: str) -> None:
    assert Identifiers("", "", slash).spelled(path) == identifier


@pytest.mark.parametrize(
    ("slash", "name", "readings"),
    [
        ("%2F", "a%2Fb", [("a%2Fb",)]),
        ("/", "a.jpg", [("a.jpg",)]),
        (":", "a.jpg", [("a.jpg",)]),
        (":", "a:b:c.jpg", [("a:b:c.jpg",), ("a", "b", "c.jpg")]),
        ("_SL_", "a_SL_b", [("a_SL_b",), ("a", "b")]),
        (":", "a:..:b", [("a:..:b",)]),
        (":", "a::b", [("a::b",)]),
        (":", ":a", [(":a",)]),
        (":", "a:", [("a:",)]),
        (":", ".:a", [(".:a",)]),
    ],
)
def test_what_a_looked_up_name_may_stand_for(slash: str, name: str, readings: list[tuple[str, ...]]) -> None:
    assert list(Identifiers("", "", slash).readings(name)) == readings


@pytest.mark.parametrize(
    ("suffix", "name", "names"),
    [
        ("", "a.tif", [("a.tif", 0)]),
        ("", "a.tif;3", [("a.tif;3", 0), ("a.tif", 2)]),
        ("", "a.tif;0", [("a.tif;0", 0)]),
        ("", "a.tif;03", [("a.tif;03", 0)]),
        ("", ";1", [(";1", 0)]),
        (".tif", "a", [("a", 0), ("a.tif", 0)]),
        (".tif", "a;2", [("a;2", 0), ("a", 1), ("a;2.tif", 0), ("a.tif", 1)]),
    ],
)
def test_what_the_last_part_may_name(suffix: str, name: str, names: list[tuple[str, int]]) -> None:
    assert list(Identifiers("", "", suffix=suffix).names(name)) == names


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1), min_size=1))
def test_an_identifier_leads_back_to_its_path(path: list[str]) -> None:
    for slash in ("%2F", "/", ":"):
        identifier = Identifiers("", "", slash).spelled([os.fsdecode(os.fsencode(part)) for part in path])
        assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", identifier)
        assert unquote_to_bytes(identifier) == b"/".join(map(os.fsencode, path))
