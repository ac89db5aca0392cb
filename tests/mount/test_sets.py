"""Real programs on a mount of a server whose albums are sets: what they say of photos, views, and many at once.

What the server has afterwards is what they meant, and it was told in few calls. Rule: DESIGN §4, the table.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from iiiffs.control import ask
from tests.harness.mount import Mount, mounted
from tests.harness.scripted import PROGRAM, Flavour, Store, scripted_config
from tests.harness.tree import jpeg
from tests.mount.observing import eventually, names

JUNE_NS = 1_718_000_000 * 10**9
NAVY, RED, GREEN = (jpeg(colour=colour) for colour in ("navy", "red", "green"))
MONTH = "timeline/2024/2024-06"
SENT_S = 30.0
OURS = {"index.html", "manifest.json", "collection.json", "iiif"}


class Here:
    """A mount, and its server."""

    def __init__(self, mount: Mount, store: Store) -> None:
        self.mount = mount
        self.store = store

    def run(self, command: str, *, code: int = 0) -> str:
        """What a shell says to `command`, run in the account's directory; it ends with `code`."""
        ended = subprocess.run(
            ["bash", "-c", command], cwd=self.mount.account, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode == code, f"{command}: {ended.returncode}\n{ended.stdout}{ended.stderr}"
        return ended.stdout + ended.stderr

    def sent(self) -> None:
        """All that waits is at the server."""
        ask(self.mount.socket, "flush")
        eventually(lambda: ask(self.mount.socket, "queue.list"), lambda items: items == [], SENT_S)

    def names(self, folder: str) -> set[str]:
        return set(names(self.mount.account / folder)) - OURS


@contextmanager
def serving(folder: Path, *, settle: str = "300ms") -> Iterator[Here]:
    """With the albums A, in which a.jpg and b.jpg are, and B; and the tag Sea."""
    with Store(folder / "server", Flavour.IMMICH) as store:
        album = store.make_album("A").id
        store.make_album("B")
        store.put("a.jpg", NAVY, album, mtime_ns=JUNE_NS)
        store.put("b.jpg", RED, album, mtime_ns=JUNE_NS + 10**9)
        store.tag("Sea")
        config = scripted_config(folder, store, extra=f'settle = "{settle}"')
        with mounted(folder, store.path, config=config, program=PROGRAM) as mount:
            yield Here(mount, store)
        store.check()


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Here]:
    with serving(tmp_path) as here:
        yield here


def test_attributes_are_set_told_and_removed(here: Here) -> None:
    (a,) = here.store.named("a.jpg")
    tell = "getfattr --only-values -n user.iiiffs.{} albums/A/a.jpg"
    for name, value in (("description", "A day at the sea"), ("rating", "4"), ("favorite", "1")):
        here.run(f"setfattr -n user.iiiffs.{name} -v '{value}' albums/A/a.jpg")
        assert here.run(tell.format(name)) == value
    assert here.names("favorites") == {"a.jpg"}
    here.sent()
    a = here.store.asset(a.id)
    assert (a.description, a.rating, bool(a.favorite)) == ("A day at the sea", 4, True)
    for name in ("description", "rating", "favorite"):
        here.run(f"setfattr -x user.iiiffs.{name} albums/A/a.jpg")
    here.run(tell.format("description"), code=1)
    assert here.names("favorites") == set()
    here.sent()
    a = here.store.asset(a.id)
    assert (a.description, a.rating, bool(a.favorite)) == ("", 0, False)


def test_touch_sets_the_date(here: Here) -> None:
    here.run("touch -d '2020-02-03 04:05:06 UTC' albums/A/a.jpg")
    assert here.run("stat -c %Y albums/A/a.jpg") == "1580702706\n"
    here.sent()
    (a,) = here.store.named("a.jpg")
    assert a.mtime_ns == 1580702706 * 10**9
    assert here.run("stat -c %Y albums/A/a.jpg") == "1580702706\n"
    here.run("cp albums/A/b.jpg /tmp/$$.jpg; echo >> /tmp/$$.jpg; touch -d @1500000000 /tmp/$$.jpg; "
             "cp -p /tmp/$$.jpg albums/B/new.jpg; rm /tmp/$$.jpg")  # fmt: skip
    here.sent()
    assert [one.mtime_ns for one in here.store.named("new.jpg")] == [1500000000 * 10**9]
    assert here.store.script.counts()["edit"] == 1


def test_favorites_and_tags_are_set_and_unset(here: Here) -> None:
    a, b = here.store.named("a.jpg")[0].id, here.store.named("b.jpg")[0].id
    here.run("ln albums/A/a.jpg favorites/ && cp albums/A/b.jpg favorites/ && cp -a albums/A/a.jpg tags/Sea/")
    assert here.names("favorites") == {"a.jpg", "b.jpg"}
    assert here.names("tags/Sea") == {"a.jpg"}
    here.sent()
    assert [bool(here.store.asset(id).favorite) for id in (a, b)] == [True, True]
    assert (here.store.tags_of(a), here.store.tags_of(b)) == (["Sea"], [])
    assert len(here.store.assets()) == 2
    here.run("mkdir tags/Sky && ln albums/A/b.jpg tags/Sky/ && rm favorites/a.jpg tags/Sea/a.jpg")
    here.sent()
    assert [bool(here.store.asset(id).favorite) for id in (a, b)] == [False, True]
    assert (here.store.tags_of(a), here.store.tags_of(b)) == ([], ["Sky"])
    here.run("mv albums/A/a.jpg favorites/", code=1)
    assert "use ln" in here.run("getfattr --only-values -n user.iiiffs.error albums/A")
    assert here.names("albums/A") == {"a.jpg", "b.jpg"}


def test_a_photo_is_linked_and_unlinked_again_and_again(tmp_path: Path) -> None:
    """The kernel counts its names down with each `rm`, and links nothing of which it thinks that no name is left."""
    with serving(tmp_path, settle="3s") as here:
        albums = [here.mount.account / "albums" / name for name in "BCD"]
        photo = here.mount.account / "albums/A/a.jpg"
        for album in albums[1:]:
            album.mkdir()
        photo.stat()
        for _ in range(3):
            for album in albums:
                os.link(photo, album / "a.jpg")
            for album in albums:
                (album / "a.jpg").unlink()
        os.link(photo, albums[0] / "a.jpg")
        assert photo.stat().st_nlink >= 3
        here.sent()
        assert [asset.name for asset in here.store.members(here.store.titled("B").id)] == ["a.jpg"]
        assert [here.store.members(here.store.titled(name).id) for name in "CD"] == [[], []]
        eventually(lambda: photo.stat().st_nlink, lambda links: links == 3, SENT_S)  # A, B and the timeline


def test_the_trash_is_filled_and_emptied_into_albums(here: Here) -> None:
    here.run(f"rm {MONTH}/a.jpg {MONTH}/b.jpg")
    assert here.names("trash") == {"a.jpg", "b.jpg"}
    assert here.names("albums/A") == set()
    here.run("mv trash/a.jpg albums/B/ && ln trash/b.jpg albums/B/")
    here.sent()
    assert here.names("trash") == set()
    for title in ("A", "B"):
        assert {one.name for one in here.store.members(here.store.titled(title).id)} == {"a.jpg", "b.jpg"}
    here.run(f"rm {MONTH}/a.jpg")
    (a,) = here.store.trashed()
    eventually(lambda: "a.jpg" not in here.names("albums/B") and not (here.mount.account / "albums/B/a.jpg").exists())
    here.run("cp trash/a.jpg albums/B/a.jpg")
    here.sent()
    assert here.store.trashed() == []
    assert here.store.asset(a.id).name == "a.jpg"
    here.run("rm trash/a.jpg", code=1)


def test_a_copy_under_another_name_says_what_it_is(here: Here) -> None:
    (a,) = here.store.named("a.jpg")
    here.run("cp albums/A/a.jpg albums/B/copy.jpg")
    here.sent()
    note = f"the server keeps these bytes once, as a.jpg ({a.id}); copy.jpg is a name for them"
    assert here.run("getfattr --only-values -n user.iiiffs.note albums/B/copy.jpg") == note
    assert here.run("cmp albums/A/a.jpg albums/B/copy.jpg") == ""
    assert [one.id for one in here.store.members(here.store.titled("B").id)] == [a.id]


def test_what_a_replacement_lost_is_told(here: Here) -> None:
    (a,) = here.store.named("a.jpg")
    here.store.set_uncarried(a.id, "faces")
    here.run("cat albums/A/b.jpg <(echo more) > albums/A/a.jpg")
    here.sent()
    assert "faces" in here.run("getfattr --only-values -n user.iiiffs.note albums/A/a.jpg")
    here.run("setfattr -x user.iiiffs.note albums/A/a.jpg")
    here.run("getfattr --only-values -n user.iiiffs.note albums/A/a.jpg", code=1)


MANY = 5000
CALLS_MAX = 10


@pytest.mark.soak
@pytest.mark.parametrize("program", ["ln", "mv"])
def test_thousands_of_photos_are_few_calls(program: str, tmp_path: Path) -> None:
    """Issue 7: within the settle time, at most 10."""
    with Store(tmp_path / "server", Flavour.IMMICH) as store:
        a, b = (store.make_album(title).id for title in "AB")
        with store.at_once():
            for number in range(MANY):
                store.put(f"{number}.txt.jpg", b"%d" % number, a)
        config = scripted_config(tmp_path, store, extra='settle = "3 s"')
        with mounted(tmp_path, store.path, config=config, program=PROGRAM) as mount:
            mount.expected += ["not a picture"]
            here = Here(mount, store)
            here.run(f"cd albums && printf '%s\\0' A/*.txt.jpg | xargs -0 {program} -t B")
            assert len(here.names("albums/B")) == MANY
            eventually(lambda: ask(mount.socket, "queue.list") == [], deadline_s=60.0)
            assert len(store.members(b)) == MANY
            assert len(store.members(a)) == (MANY if program == "ln" else 0)
            counts = store.script.counts()
            assert 0 < counts.get("add", 0) + counts.get("take_out", 0) <= CALLS_MAX


@pytest.mark.parametrize(
    ("command", "backup"),
    [
        ("exiftool -q -Artist=Ada albums/A/a.jpg", "a.jpg_original"),
        ("exiftool -q -overwrite_original -Artist=Ada albums/A/a.jpg", None),
        ("vim -es -u NONE -b --cmd 'set nomodeline backup backupcopy=no backupskip= backupdir=. directory=/tmp' "
         "-c 'call append(line(\"$\"), \"Ada\")' -c wq albums/A/a.jpg", "a.jpg~"),
        ("sed -i.bak '$aAda' albums/A/a.jpg", "a.jpg.bak"),
        ("cp albums/A/a.jpg /tmp/$$.jpg && echo Ada >> /tmp/$$.jpg && "
         "cp --backup=simple /tmp/$$.jpg albums/A/a.jpg && rm /tmp/$$.jpg", "a.jpg~"),
        ("printf '\\nAda' > albums/A/.goutputstream-AB12CD && mv albums/A/a.jpg albums/A/a.jpg~ && "
         "mv albums/A/.goutputstream-AB12CD albums/A/a.jpg", "a.jpg~"),
    ],
    ids=["exiftool", "exiftool in place", "vim", "sed", "cp --backup", "GLib"],
)  # fmt: skip
def test_editors_that_keep_what_was(command: str, backup: str | None, here: Here) -> None:
    here.mount.expected += ["not a picture"]
    (a,) = here.store.named("a.jpg")
    here.store.add(here.store.titled("B").id, a.id)
    here.run("ln albums/A/a.jpg favorites/")
    here.sent()
    here.run(command)
    ask(here.mount.socket, "flush")
    eventually(lambda: [one.name for one in here.store.trashed()], lambda names: names == ["a.jpg"], SENT_S)
    (new,) = here.store.named("a.jpg")
    assert b"Ada" in here.store.bytes_of(new.id)
    assert (bool(new.favorite), [album.title for album in here.store.albums_of(new.id)]) == (True, ["A", "B"])
    shown = {"a.jpg", "b.jpg"} | ({backup} if backup else set())
    assert here.names("albums/A") == shown
    if backup is not None:
        assert (here.mount.account / "albums" / "A" / backup).read_bytes() == NAVY
        here.run(f"rm albums/A/{backup}")
    here.sent()
    assert here.names("albums/A") == {"a.jpg", "b.jpg"}
    assert len(here.store.assets()) == 2
