"""A child process that changes a folder and is killed: at one certain step, or at any moment.

    python -m tests.harness.folder_kills steps FOLDER VERB     for each step a gallery, in FOLDER/0, FOLDER/1, …
    python -m tests.harness.folder_kills storm FOLDER FIRST    generation after generation, until it is killed

A step is a call that changes a disk. The child of step N is killed by SIGKILL right before its Nth one.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, BinaryIO

import trio

from iiiffs.model.gallery import AccountName, Album, AlbumId, Asset, AssetId, Facts, Version
from iiiffs.model.writing import Payload
from iiiffs.providers.base import ProviderContext
from iiiffs.providers.folder import FolderProvider, renaming
from iiiffs.state import State

ACCOUNT = AccountName("pictures")
MTIME_NS = 1_600_000_000_000_000_000
OLD, OTHER, NEW = (text * 10_000 for text in (b"what was there ", b"another picture ", b"what was sent "))
STEPS = (
    "fsync",
    "rename",
    "unlink",
    "rmdir",
    "mkdir",
    "link",
    "utime",
    "copy_file_range",
    "pwrite",
    "setxattr",
    "fchmod",
)
GENERATION_BYTES = 3 << 20


class Gallery:
    """One run of the provider over FOLDER/pictures, with its state and spool beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "pictures"
        self.trash = folder / "home" / "Trash"
        self.root.mkdir(parents=True, exist_ok=True)
        self.state = State.open(folder / "state")
        context = ProviderContext(ACCOUNT, {}, self.state.ledger(ACCOUNT), no_facts)
        os.environ["XDG_DATA_HOME"] = str(folder / "home")
        self.provider = FolderProvider(str(self.root), context)

    def payload(self, content: bytes, token: str) -> Payload:
        path = self.folder / token
        path.write_bytes(content)
        digest = hashlib.sha1(content, usedforsecurity=False).digest()
        return Payload(token, path, len(content), digest, MTIME_NS)

    async def top(self) -> AlbumId:
        return (await self.provider.root()).id

    async def asset(self, name: str) -> Asset:
        listing = await self.provider.listing(await self.top())
        return next(asset for asset in listing.assets if asset.name == name)

    async def album(self, title: str) -> Album:
        listing = await self.provider.listing(await self.top())
        return next(album for album in listing.albums if album.title == title)


def no_facts(_: BinaryIO, __: str) -> Facts:
    """Nobody asks."""
    raise NotImplementedError


Verb = Callable[[Gallery, Any], Awaitable[object]]


async def base_of(gallery: Gallery, verb: str) -> Any:
    """What the caller of a verb knows before it: the same in the first call and in the one after the kill."""
    if verb == "remove_album":
        return await gallery.album("Junk")
    return await gallery.asset("a.jpg"), await gallery.asset("b.jpg")


async def upload(gallery: Gallery, _: Any) -> object:
    return await gallery.provider.upload(await gallery.top(), "new.jpg", gallery.payload(NEW, "local-1"))


async def replace(gallery: Gallery, base: Any) -> object:
    return (await gallery.provider.replace(base[0], gallery.payload(NEW, "local-1"))).asset


async def remove(gallery: Gallery, base: Any) -> object:
    await gallery.provider.remove(base[0])
    return None


async def move(gallery: Gallery, base: Any) -> object:
    return await gallery.provider.move(base[0], await gallery.top(), "moved.jpg")


async def move_over(gallery: Gallery, base: Any) -> object:
    return await gallery.provider.move(base[0], await gallery.top(), "b.jpg", base[1])


async def link(gallery: Gallery, base: Any) -> object:
    return await gallery.provider.link(base[0], await gallery.top(), "link.jpg")


async def make_album(gallery: Gallery, _: Any) -> object:
    return await gallery.provider.make_album(await gallery.top(), "Summer", "local-1")


async def remove_album(gallery: Gallery, base: Any) -> object:
    await gallery.provider.remove_album(base.id)
    return None


VERBS: dict[str, Verb] = {
    verb.__name__: verb for verb in (upload, replace, remove, move, move_over, link, make_album, remove_album)
}


def prepare(folder: Path) -> Gallery:
    """Two pictures, and a folder with desktop litter; listed, so that all ids are known."""
    gallery = Gallery(folder)
    (gallery.root / "a.jpg").write_bytes(OLD)
    (gallery.root / "b.jpg").write_bytes(OTHER)
    (gallery.root / "Junk").mkdir()
    (gallery.root / "Junk" / "Thumbs.db").write_bytes(b"thumbs")
    return gallery


def steps(folder: Path, verb: str) -> None:
    """One child a step, until one comes through. Forks before any thread or environment is there."""
    for number in itertools.count():
        child = os.fork()
        if child == 0:
            os._exit(_step(folder / str(number), verb, number))
        if os.waitpid(child, 0)[1] == 0:
            return


def _step(folder: Path, verb: str, number: int) -> int:
    gallery = prepare(folder)

    async def main() -> None:
        base = await base_of(gallery, verb)
        remember(folder / "base.json", base)
        kill_before(number)
        await VERBS[verb](gallery, base)

    trio.run(main)
    return 0


def remember(path: Path, base: Any) -> None:
    """For the run after the kill."""
    told = [base.id] if isinstance(base, Album) else [[each.id, each.name, each.version] for each in base]
    path.write_text(json.dumps(told))


async def recalled(gallery: Gallery, verb: str) -> Any:
    """What `remember` wrote."""
    told = json.loads((gallery.folder / "base.json").read_text())
    top = await gallery.top()
    if verb == "remove_album":
        return Album(AlbumId(told[0]), "Junk", top, 0)
    return tuple(
        Asset(AssetId(id), top, name, Version(version), None, MTIME_NS, MTIME_NS, "image/jpeg")
        for id, name, version in told
    )


def kill_before(number: int) -> None:
    """From now on the calls that change a disk are counted; before that of this number, this process is killed."""
    count = itertools.count()

    def counted(call: Callable[..., Any]) -> Callable[..., Any]:
        def step(*args: Any, **kwargs: Any) -> Any:
            if next(count) == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*args, **kwargs)

        return step

    for name in STEPS:
        setattr(os, name, counted(getattr(os, name)))
    renaming._renameat2 = counted(renaming._renameat2)


def generation(number: int) -> bytes:
    """The bytes of a.jpg in that generation."""
    return (b"%08d" % number) * (GENERATION_BYTES // 8)


def storm(folder: Path, first: int) -> None:
    """a.jpg in generation after generation, and beside each a file of its own; a line for each that is done."""
    gallery = Gallery(folder)

    async def main() -> None:
        top = await gallery.top()
        for number in itertools.count(first):
            payload = gallery.payload(generation(number), f"local-{number}")
            if number == 0:
                asset = await gallery.provider.upload(top, "a.jpg", payload)
            else:
                (base, _) = await recalled(gallery, "replace")
                asset = (await gallery.provider.replace(base, payload)).asset
            await gallery.provider.upload(
                top, f"u{number}.jpg", gallery.payload(generation(number), f"local-u{number}")
            )
            remember(folder / "base.new", (asset, asset))
            (folder / "base.new").rename(folder / "base.json")
            payload.path.unlink()
            print(number, flush=True)

    print("ready", flush=True)
    trio.run(main)


if __name__ == "__main__":
    if sys.argv[1] == "steps":
        steps(Path(sys.argv[2]), sys.argv[3])
    else:
        storm(Path(sys.argv[2]), int(sys.argv[3]))
