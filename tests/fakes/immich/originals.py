"""The bytes of assets: files that were given, or pictures drawn when somebody asks.

A drawn original is a picture that many share, and a tail of its own that decoders skip: so its length and SHA-1 are
known without drawing it twice, and 100,000 of them cost nothing.
"""

from __future__ import annotations

import functools
import hashlib
import io
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import av
from PIL import Image, ImageDraw, ImageOps, TiffImagePlugin

Format = Literal["JPEG", "PNG", "TIFF", "WEBP", "GIF", "HEIF", "MP4"]
FORMATS: dict[str, Format] = {
    "jpg": "JPEG", "jpeg": "JPEG", "png": "PNG", "tif": "TIFF", "tiff": "TIFF", "webp": "WEBP", "gif": "GIF",
    "heic": "HEIF", "heif": "HEIF", "mp4": "MP4", "mov": "MP4", "m4v": "MP4",
}  # fmt: skip
"""By the name's ending; RAW endings (dng, nef, cr2, …) are TIFF files."""
LOOKS = 8
"""How many pictures of one size and format differ to the eye; all differ in their bytes."""
TURNED = ("5", "6", "7", "8")
ORIENTATION_TAG = 0x0112
CLIP_FRAMES = 20
CLIP_MS = 2000
CLIP_RATE = 10
UNREADABLE = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow says to bytes that are no picture of its."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A picture as displayed: `width` x `height` px, in one of LOOKS looks. `orientation`: how the file holds it."""

    format: Format
    width: int
    height: int
    look: int = 0
    orientation: str | None = None

    @property
    def sensor(self) -> tuple[int, int]:
        """Width and height of what the file holds."""
        return (self.height, self.width) if self.orientation in TURNED else (self.width, self.height)


@dataclass(frozen=True, slots=True)
class Probe:
    """`sensor`: width and height of what the file holds; `orientation` of EXIF; `duration_ms` of a video."""

    sensor: tuple[int, int]
    orientation: str | None
    duration_ms: int | None

    @property
    def displayed(self) -> tuple[int, int]:
        """Width and height when it is upright."""
        return self.sensor[::-1] if self.orientation in TURNED else self.sensor


@dataclass(frozen=True, slots=True)
class Original:
    """`path`: a file that was given. `recipe`: a drawn picture, told apart by `serial`. One of the two."""

    path: Path | None = None
    recipe: Recipe | None = None
    serial: int = 0

    def measure(self) -> tuple[int, bytes]:
        """Length in bytes, and SHA-1."""
        if self.recipe is None:
            assert self.path
            with self.path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha1").digest()
            return self.path.stat().st_size, digest
        length, partial = _measured(self.recipe)
        whole = partial.copy()
        tail = _tail(self.recipe.format, self.serial)
        whole.update(tail)
        return length + len(tail), whole.digest()

    def read(self) -> bytes:
        """All of it."""
        if self.recipe is None:
            assert self.path
            return self.path.read_bytes()
        return drawn(self.recipe) + _tail(self.recipe.format, self.serial)

    def probe(self) -> Probe | None:
        """What its header says, without decoding; None: it is no picture."""
        if self.recipe is not None:
            recipe = self.recipe
            return Probe(recipe.sensor, recipe.orientation, CLIP_MS if recipe.format == "MP4" else None)
        assert self.path
        return _probed(self.path)

    def reduced(self, short_side: int) -> Image.Image | None:
        """Upright, with that short side at most, in RGB; None: it cannot be decoded. Never enlarged (immich.md §3)."""
        if self.recipe is not None:
            size = fitted(self.recipe.width, self.recipe.height, short_side)
            return _painted(size, self.recipe.look)
        assert self.path
        return _reduced_file(self.path, short_side)


def fitted(width: int, height: int, short_side: int) -> tuple[int, int]:
    """The size of a preview: the short side is `short_side`, if the picture is not smaller (sharp's fit outside)."""
    scale = min(1.0, short_side / min(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _probed(path: Path) -> Probe | None:
    try:
        with Image.open(path) as image:
            told = image.getexif().get(ORIENTATION_TAG)
            return Probe(image.size, str(told) if told else None, None)
    except UNREADABLE:
        pass  # then it is a video, or nothing
    try:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            milliseconds = round((container.duration or 0) / 1000)
            return Probe((stream.width, stream.height), "1", milliseconds)
    except (av.FFmpegError, IndexError):
        return None


def _reduced_file(path: Path, short_side: int) -> Image.Image | None:
    try:
        with Image.open(path) as image:
            image.draft("RGB", (short_side, short_side))
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except UNREADABLE:
        return _first_frame(path, short_side)
    return upright.resize(fitted(upright.width, upright.height, short_side))


def _first_frame(path: Path, short_side: int) -> Image.Image | None:
    try:
        with av.open(str(path)) as container:
            frame = next(container.decode(video=0))
            image: Image.Image = frame.to_image()  # type: ignore[no-untyped-call]
    except (av.FFmpegError, StopIteration, IndexError):
        return None
    return image.resize(fitted(image.width, image.height, short_side))


def _painted(size: tuple[int, int], look: int) -> Image.Image:
    """A slope from light to dark in the look's colour, with a mark in the upper left corner."""
    colour = tuple((look >> bit & 1) * 160 + 60 for bit in range(3))
    slope = Image.linear_gradient("L").resize(size)
    image = Image.merge(
        "RGB", [slope.point([min(255, value * part // 160) for value in range(256)]) for part in colour]
    )
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, max(1, size[0] // 8), max(1, size[1] // 8)), fill=(255, 255, 255))
    return image


@functools.lru_cache(maxsize=64)
def drawn(recipe: Recipe) -> bytes:
    """The file that all originals of that recipe begin with."""
    if recipe.format == "MP4":
        return _clip(recipe)
    image = _painted((recipe.width, recipe.height), recipe.look)
    buffer = io.BytesIO()
    options: dict[str, object] = {"quality": 80} if recipe.format in ("JPEG", "HEIF", "WEBP") else {}
    if recipe.orientation:
        back = {"3": 180, "6": 90, "8": 270}[recipe.orientation]
        image = image.rotate(back, expand=True)
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = int(recipe.orientation)
        options["exif"] = exif
    if recipe.format == "HEIF":
        import pillow_heif

        pillow_heif.register_heif_opener()
    if recipe.format == "TIFF":
        options["compression"] = "tiff_lzw"
        assert TiffImagePlugin  # the plugin is loaded by this import
    image.save(buffer, recipe.format, **options)
    return buffer.getvalue()


def _clip(recipe: Recipe) -> bytes:
    with tempfile.NamedTemporaryFile(suffix=".mp4") as file:
        with av.open(file.name, "w") as container:
            stream = container.add_stream("mpeg4", rate=CLIP_RATE)
            stream.width, stream.height, stream.pix_fmt = recipe.width, recipe.height, "yuv420p"
            picture = _painted((recipe.width, recipe.height), recipe.look)
            frame = av.VideoFrame.from_image(picture)  # type: ignore[no-untyped-call]
            for index in range(CLIP_FRAMES):
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return Path(file.name).read_bytes()


@functools.lru_cache(maxsize=1024)
def _measured(recipe: Recipe) -> tuple[int, hashlib._Hash]:
    data = drawn(recipe)
    return len(data), hashlib.sha1(data)


def _tail(format: Format, serial: int) -> bytes:
    """Bytes that a decoder of that format skips, and that no other serial has."""
    mark = f"{serial:016x}".encode()
    if format in ("MP4", "HEIF"):
        return (8 + len(mark)).to_bytes(4, "big") + b"free" + mark
    return b"\n" + mark
