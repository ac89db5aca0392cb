"""The scripted provider on a real mount: it shows its shelves, follows its store, and suffers its script."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.mount import Mount, mounted
from tests.harness.scripted import PROGRAM, Flavour, Store, scripted_config
from tests.mount.observing import eventually, names
from tests.mount.pictures import picture

JUNE_2024_NS = 1_718_000_000 * 10**9


@pytest.fixture
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "server", request.param) as store:
        yield store
        store.check()


@pytest.fixture
def mount(store: Store, tmp_path: Path) -> Iterator[Mount]:
    """With one picture, in the album or folder Holidays."""
    album = store.make_album("Holidays")
    picture(tmp_path / "a.jpg", 1, (64, 48))
    store.put("a.jpg", (tmp_path / "a.jpg").read_bytes(), album.id, mtime_ns=JUNE_2024_NS)
    config = scripted_config(tmp_path, store, access="read")
    with mounted(tmp_path, store.path, config=config, program=PROGRAM) as mount:
        mount.expected += ["not a picture"]
        yield mount


@pytest.mark.parametrize("store", [Flavour.IMMICH], indirect=True)
def test_shelves_are_shown_and_followed(store: Store, mount: Mount) -> None:
    assert {"albums", "timeline", "favorites", "trash"} <= set(names(mount.account))
    holidays = mount.account / "albums" / "Holidays"
    (a,) = store.assets()
    assert (holidays / "a.jpg").read_bytes() == store.bytes_of(a.id)
    assert (mount.account / "timeline" / "2024" / "2024-06" / "a.jpg").stat().st_size == a.size_bytes
    store.put("b.jpg", b"no picture", store.titled("Holidays").id)
    eventually(lambda: (holidays / "b.jpg").read_bytes() == b"no picture")
    store.rename_album(store.titled("Holidays").id, "Summer")
    eventually(lambda: "Summer" in names(mount.account / "albums"))
    store.trash(a.id)
    eventually(lambda: "a.jpg" in names(mount.account / "trash"))
    eventually(lambda: "a.jpg" not in names(mount.account / "albums" / "Summer"))


@pytest.mark.parametrize("store", [Flavour.FOLDER], indirect=True)
def test_folders_are_shown_and_followed(store: Store, mount: Mount) -> None:
    shown = mount.files / "Holidays" / "a.jpg"
    (a,) = store.assets()
    assert shown.read_bytes() == store.bytes_of(a.id)
    store.edit_bytes(a.id, b"other bytes")
    eventually(lambda: shown.read_bytes() == b"other bytes")
    store.rename(a.id, "c.jpg")
    eventually(lambda: names(mount.files / "Holidays").count("c.jpg") == 1)


@pytest.mark.parametrize("store", list(Flavour), indirect=True)
def test_a_server_that_is_away_leaves_what_was_looked_at(store: Store, mount: Mount) -> None:
    mount.expected += ["changes are not noticed"]
    album = mount.files / "Holidays" if store.flavour is Flavour.FOLDER else mount.account / "albums" / "Holidays"
    data = (album / "a.jpg").read_bytes()
    store.script.offline()
    eventually(lambda: "changes are not noticed" in mount.log)
    if store.flavour is Flavour.IMMICH:
        assert (album / "a.jpg").read_bytes() == data
    store.put("b.jpg", b"late", store.titled("Holidays").id)
    store.script.clear()
    eventually(lambda: "b.jpg" in names(album), deadline_s=10.0)
