"""URIs of the tree: stable, unreserved characters only, and the way back to the file's bytes."""

from __future__ import annotations

import os
import re
from urllib.parse import unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.iiif.uris import Uris, encoded
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
