"""Slug and aliases: the directory and URIs go by the slug, aliases lead there, and stores know the name alone."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import trio

from iiiffs.model.gallery import AccountName, AccountNames
from iiiffs.tree.nodes import AccountDir
from tests.harness.memory import MemoryProvider
from tests.harness.tree import BASE_URL, jpeg, tree_of

NAME, OLD, NEW = (AccountName(name) for name in ("name", "old", "new"))


@pytest.fixture
def gallery() -> MemoryProvider:
    provider = MemoryProvider()
    provider.put("one", "one.jpg", jpeg())
    trip = provider.add_album("trip", "Trip")
    provider.put("two", "two.jpg", jpeg(colour="red"), trip)
    return provider


def test_an_alias_is_found_and_not_listed(gallery: MemoryProvider, tmp_path: Path) -> None:
    async def run() -> None:
        names: dict[str, AccountNames] = {NEW: AccountNames(NAME, NEW, (OLD, NAME))}
        async with tree_of(tmp_path, {NEW: gallery}, names=names) as tree:
            assert {NEW} == set(await tree.names("")) & {NAME, OLD, NEW}
            for name in (NEW, OLD, NAME):
                assert (await tree.walk(name)).node == AccountDir(NEW)
                assert (await tree.walk(f"{name}/files/Trip")).node == (await tree.walk("new/files/Trip")).node
            assert await tree.try_walk("older") is None
            (collection,) = json.loads(await tree.read("collection.json"))["items"]
            assert collection["id"] == f"{BASE_URL}/new/collection.json"
            assert collection["label"] == {"none": ["new"]}

    trio.run(run)


def test_without_an_alias_the_name_is_not_found(gallery: MemoryProvider, tmp_path: Path) -> None:
    async def run() -> None:
        async with tree_of(tmp_path, {NEW: gallery}, names={NEW: AccountNames(NAME, NEW)}) as tree:
            assert await tree.try_walk("name") is None

    trio.run(run)


DOCUMENTS = ("collection.json", "files/manifest.json", "files/Trip/manifest.json", "iiif/3/two/info.json")


def test_documents_hold_the_slug_by_whatever_name_they_are_read(gallery: MemoryProvider, tmp_path: Path) -> None:
    async def run() -> None:
        names: dict[str, AccountNames] = {NEW: AccountNames(NAME, NEW, (OLD,))}
        async with tree_of(tmp_path, {NEW: gallery}, names=names) as tree:
            for document in DOCUMENTS:
                body = await tree.read(f"old/{document}")
                assert body == await tree.read(f"new/{document}")
                assert f'"{BASE_URL}/new/'.encode() in body
                assert f"{BASE_URL}/old".encode() not in body
                assert f"{BASE_URL}/name".encode() not in body

    trio.run(run)


def test_a_new_slug_finds_facts_and_renditions_again(gallery: MemoryProvider, tmp_path: Path) -> None:
    rendition = "iiif/3/two/full/40,/0/default.jpg"

    async def run(slug: AccountName, aliases: tuple[AccountName, ...]) -> tuple[int, list[str], bytes]:
        async with tree_of(tmp_path, {slug: gallery}, names={slug: AccountNames(NAME, slug, aliases)}) as tree:
            listed = await tree.names(f"{slug}/iiif/3/two")
            manifest = await tree.read(f"{slug}/files/Trip/manifest.json")
            await tree.read(f"{slug}/{rendition}")
            await tree.cache.writer.flush()
            return tree.renditions.rendered, listed, manifest

    rendered, listed, before = trio.run(partial(run, OLD, ()))
    assert (rendered, listed) == (1, ["info.json"])
    read = gallery.asked["facts"]
    assert read > 0
    rendered, listed, after = trio.run(partial(run, NEW, (OLD,)))
    assert (rendered, sorted(listed)) == (0, ["full", "info.json"])
    assert gallery.asked["facts"] == read
    assert after == before.replace(f"{BASE_URL}/old/".encode(), f"{BASE_URL}/new/".encode()) != before
