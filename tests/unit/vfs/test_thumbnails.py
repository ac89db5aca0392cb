"""`.sh_thumbnails`: what desktops look up there, what is in it, and that walking it renders nothing."""

from __future__ import annotations

import functools
import io
from collections.abc import Awaitable, Callable
from hashlib import md5
from pathlib import Path
from typing import Any

import pytest
import trio
from PIL import Image

from iiiffs.errors import VersionChanged
from iiiffs.render.png_text import with_texts
from iiiffs.tree.nodes import Thumbnail
from iiiffs.tree.thumbnails import BOXES_PX, thumbnail_names, thumbnail_uri
from iiiffs.tree.visibility import Visibility
from tests.harness.memory import MemoryProvider
from tests.harness.tree import Tree, jpeg, tree_of


def in_trio(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        trio.run(functools.partial(test, *args, **kwargs))

    return run


def at(name: str, size: str = "normal") -> str:
    """Where the thumbnail of `name` is looked up, by the rule's words."""
    return f"a/files/.sh_thumbnails/{size}/{md5(name.encode()).hexdigest()}.png"


def opened(png: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(png))
    image.load()
    return image


@pytest.fixture
def gallery() -> MemoryProvider:
    provider = MemoryProvider(real_names=True)
    provider.put("wide", "wide sea.jpg", jpeg(900, 300, "teal"))
    provider.put("small", "small.jpg", jpeg(60, 40))
    provider.put("bad", "bad.jpg", b"no picture")
    return provider


@pytest.mark.parametrize(
    ("size", "extent"),
    [("normal", (128, 43)), ("large", (256, 85)), ("x-large", (512, 171)), ("xx-large", (900, 300))],
)
@pytest.mark.warns("bad.jpg")
@in_trio
async def test_a_thumbnail_is_the_picture_with_words(
    gallery: MemoryProvider, tmp_path: Path, size: str, extent: tuple[int, int]
) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        png = opened(await tree.read(at("wide sea.jpg", size)))
        assert (png.format, png.size) == ("PNG", extent)
        asset, original = gallery.assets["wide"], await tree.walk("a/files/wide sea.jpg")  # type: ignore[index]
        assert png.text == {  # type: ignore[attr-defined]
            "Thumb::URI": "./wide%20sea.jpg",
            "Thumb::MTime": str(original.attributes.mtime_ns // 10**9),
            "Thumb::Size": str(asset.size_bytes),
            "Thumb::Mimetype": "image/jpeg",
        }
        rendition = await tree.read(f"a/iiif/3/wide/full/!{BOXES_PX[size]},{BOXES_PX[size]}/0/default.png")
        assert opened(rendition).tobytes() == png.tobytes()
        assert tree.renditions.rendered == 1


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_small_pictures_are_not_enlarged_and_others_have_none(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        assert opened(await tree.read(at("small.jpg", "large"))).size == (60, 40)
        for path in (at("bad.jpg"), at("absent.jpg"), at("small.jpg", "huge"), at("small.jpg").removesuffix(".png")):
            assert await tree.try_walk(path) is None


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_every_spelling_is_one_thumbnail(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        spelled = ("wide sea.jpg", "wide%20sea.jpg", "./wide sea.jpg", "./wide%20sea.jpg")
        assert len({(await tree.walk(at(name))).node for name in spelled}) == 1


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_walking_renders_nothing(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        assert ".sh_thumbnails" not in await tree.names("a/files")
        assert await tree.names("a/files/.sh_thumbnails") == ["normal", "large", "x-large", "xx-large"]
        for size in BOXES_PX:
            assert await tree.names(f"a/files/.sh_thumbnails/{size}") == []
        assert tree.renditions.rendered == 0
        await tree.walk(at("small.jpg"))
        assert tree.renditions.rendered == 1


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_a_thumbnail_is_of_one_version(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        before = await tree.walk(at("small.jpg"))
        held = await tree.read(at("small.jpg"))
        await trio.sleep(gallery.capabilities.fresh_s + 0.1)
        gallery.put("small", "small.jpg", jpeg(60, 40, "red"))
        after = await tree.walk(at("small.jpg"))
        assert after.node != before.node
        assert after.attributes.mtime_ns > before.attributes.mtime_ns
        assert opened(await tree.read(at("small.jpg"))).getpixel((0, 0)) != opened(held).getpixel((0, 0))
        with pytest.raises(VersionChanged):
            await tree.filesystem.open(await _uncached(tree, before.node))


async def _uncached(tree: Tree, node: object) -> Thumbnail:
    """`node` with a digest that no bytes have, as of a render that came out otherwise."""
    assert isinstance(node, Thumbnail)
    return Thumbnail(node.account, node.asset, node.version, node.name, node.box_px, "0" * 32)


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_the_same_bytes_after_a_restart(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        first = (await tree.walk(at("wide sea.jpg"))).node
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        assert (await tree.walk(at("wide sea.jpg"))).node == first


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_a_real_folder_of_that_name_wins(gallery: MemoryProvider, tmp_path: Path) -> None:
    real = gallery.add_album("real", ".sh_thumbnails")
    gallery.put("own", "own.jpg", jpeg(), real)
    async with tree_of(tmp_path, {"a": gallery}) as tree:
        assert "own.jpg" in await tree.names("a/files/.sh_thumbnails")


@pytest.mark.warns("bad.jpg")
@in_trio
async def test_names_that_are_not_shown_have_no_thumbnail(gallery: MemoryProvider, tmp_path: Path) -> None:
    async with tree_of(tmp_path, {"a": gallery}, visibility=Visibility(None, originals=False, control=False)) as tree:
        assert await tree.try_walk("a/files/.sh_thumbnails") is None


def test_names_that_are_no_text() -> None:
    assert thumbnail_uri("b\udcff ü.jpg") == "./b%FF%20%C3%BC.jpg"
    assert md5(b"b\xff.jpg").hexdigest() + ".png" in thumbnail_names("b\udcff.jpg")
    assert thumbnail_uri("(a)+b,c=d@e!.jpg") == "./(a)+b,c=d@e!.jpg"


def test_texts_leave_the_pixels_alone() -> None:
    buffer = io.BytesIO()
    Image.linear_gradient("L").save(buffer, "PNG")
    written = with_texts(buffer.getvalue(), {"Title": "one", "Author": "é"})
    assert opened(written).text == {"Title": "one", "Author": "é"}  # type: ignore[attr-defined]
    assert opened(written).tobytes() == Image.linear_gradient("L").tobytes()
    assert written == with_texts(buffer.getvalue(), {"Title": "one", "Author": "é"})
    with pytest.raises(ValueError, match="PNG"):
        with_texts(jpeg(), {})
