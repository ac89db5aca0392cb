"""A mixed gallery: a file of every format, oddity and kind of metadata that a real collection holds, made on the spot.

What each file is, and how large it must come out, is written down here by hand (`MIXED`), never asked of iiiffs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import pillow_heif
from PIL import Image, ImageDraw

from tests.unit.render.metadata.described_files import alternatives, array, degrees, exif, xmp

PURE = (200, 40, 60)
COLOURS = ((200, 40, 60), (40, 170, 80), (50, 80, 200), (230, 210, 90))

POSITION = (40.5123, 3.6912)
"""North, west."""
SECRETS = ("Eve Example", "Ada Maker", "Leica", "M11", "SN-4711", "SN-4712", "SN-4713", "40.5123", "3.6912", "Madrid")
"""All that `told_exif` and `told_packet` tell of people, creators, cameras and places."""


def quarters(size: tuple[int, int] = (160, 120), mode: str = "RGB") -> Image.Image:
    """Four quarters of four colours, so that a turned picture is told from an upright one."""
    image = Image.new("RGB", size)
    width, height = size[0] // 2, size[1] // 2
    for place, colour in enumerate(COLOURS):
        left, top = place % 2 * width, place // 2 * height
        ImageDraw.Draw(image).rectangle((left, top, left + width, top + height), fill=colour)
    return image.convert(mode)


def deep_ramp(height: int) -> list[int]:
    """The 16-bit values of the rows of "11 deep.png", from black to white."""
    return [round(65535 * row / (height - 1)) for row in range(height)]


def taken(moment: str, zone: str | None = None) -> Image.Exif:
    """EXIF with a capture time, "2024:06:01 12:00:00", and its zone."""
    made = Image.Exif()
    made.get_ifd(0x8769)[0x9003] = moment
    if zone is not None:
        made.get_ifd(0x8769)[0x9011] = zone
    return made


def told_exif() -> Image.Exif:
    """EXIF with a place, a camera, its serial numbers and who made the picture."""
    made = exif(
        {0x010F: "Leica", 0x0110: "M11", 0x013B: "Ada Maker", 0x8298: "(c) Ada Maker", 0xC62F: "SN-4711"},
        {1: "N", 2: degrees(POSITION[0]), 3: "W", 4: degrees(POSITION[1])},
    )
    made.get_ifd(0x8769).update({0x9003: "2024:06:01 12:00:00", 0x9011: "+02:00", 0xA431: "SN-4712"})
    return made


def told_packet() -> bytes:
    """XMP with people, a place, two languages, keywords, a rating, rights, and a serial number."""
    return xmp(
        alternatives("dc:title", en="A boat", de="Ein Boot")
        + alternatives("dc:description", en="It waits.", de="Es wartet.")
        + array("Iptc4xmpExt:PersonInImage", "Bag", "Eve Example")
        + array("dc:subject", "Bag", "sea", "boat", "Eve Example", "Eve Example at sea")
        + array("dc:creator", "Seq", "Ada Maker")
        + alternatives("dc:rights", x_default="(c) Ada Maker")
        + "<xmpRights:WebStatement>http://creativecommons.org/licenses/by/4.0/</xmpRights:WebStatement>",
        'xmp:Rating="5" photoshop:City="Madrid" aux:SerialNumber="SN-4713" '
        'exif:GPSLatitude="40,30.738N" exif:GPSLongitude="3,41.472W"',
    )


def clip(
    size: tuple[int, int] = (96, 64), frames: int = 10, format_: str = "mp4", tags: Mapping[str, str] | None = None
) -> bytes:
    """A video of ten frames a second."""
    buffer = BytesIO()
    with av.open(buffer, "w", format=format_, options={"movflags": "use_metadata_tags"}) as container:
        container.metadata.update(tags or {})
        stream = container.add_stream("libx264" if format_ == "mp4" else "mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for number in range(frames):
            frame = av.VideoFrame.from_image(quarters(size))  # type: ignore[no-untyped-call]
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def sound(format_: str, codec: str, seconds: int = 2) -> bytes:
    """Silence."""
    buffer, rate = BytesIO(), 48_000
    with av.open(buffer, "w", format=format_) as container:
        stream = container.add_stream(codec, rate=rate)
        assert isinstance(stream, av.AudioStream)
        stream.layout = "mono"
        for number in range(seconds * rate // 1000):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1000)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            frame.sample_rate, frame.pts, frame.time_base = rate, number * 1000, Fraction(1, rate)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return buffer.getvalue()


def heic(path: Path, image: Image.Image, **settings: object) -> None:
    """A HEIC file."""
    pillow_heif.from_pillow(image).save(path, quality=90, **settings)


@dataclass(frozen=True, slots=True)
class Shown:
    """What a canvas must be. `pages`: of a file that has several; `played`: None, "Video" or "Sound", of `seconds`."""

    extent: tuple[int, int] | None
    pages: tuple[tuple[int, int], ...] = ()
    played: str | None = None
    seconds: float = 0.0
    day: str | None = None


MIXED: Mapping[str, Shown] = {
    "01 told.jpg": Shown((160, 120), day="2024-06-01"),
    "02 turned.jpg": Shown((120, 160), day="2024-06-02"),
    "03 live.heic": Shown((160, 120), day="2024-06-02"),
    "04 live.jpg": Shown((160, 120), day="2024-06-02"),
    "05.avif": Shown((160, 120)),
    "06 pages.tif": Shown((160, 120), pages=((160, 120), (120, 160), (96, 96))),
    "07.jp2": Shown((160, 120)),
    "08.gif": Shown((160, 120)),
    "09 beside.webp": Shown((160, 120)),
    "10.bmp": Shown((160, 120)),
    "11 deep.png": Shown((160, 120)),
    "12 press.jpg": Shown((160, 120)),
    "13 clip.mp4": Shown((96, 64), played="Video", seconds=1.0, day="2024-06-04"),
    "14 tune.mp3": Shown(None, played="Sound", seconds=2.0),
    "15 tune.m4a": Shown(None, played="Sound", seconds=2.0),
    "20 big.tif": Shown((160, 120)),
}
"""File -> canvas; in natural order, which is that of the album. `day`: as the file itself says."""
BESIDE = ("03 live.mov", "04 live.MOV", "09 beside.webp.xmp", "notes.txt")
"""Files of the album that have no canvas of their own."""
UNTOLD_S = 1_717_416_000
"""2024-06-03T12:00:00Z: the mtime of all of them."""
TURNED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""EXIF orientation -> how the upright picture is turned before it is stored. Rule: EXIF 2.32 §4.6.4 A."""

OWNED = """label = { en = "Harbour", de = "Hafen" }
summary = "Seen from the pier."
rights = "http://creativecommons.org/licenses/by/4.0/"
required_statement = { label = "Attribution", value = "City Archive" }
provider = { id = "https://example.org/", label = "City Archive" }
metadata = [ { label = "Fonds", value = ["A 12", "A 13"] } ]
order = "date"
start = "b.jpg"
ranges = [ { label = "Best", items = ["c.jpg", "a.jpg"] } ]
[file."a.jpg"]
label = "The pier"
"""


def write_mixed(folder: Path) -> None:
    """`folder` holds MIXED and BESIDE."""
    folder.mkdir(parents=True)
    image = quarters()
    image.save(folder / "01 told.jpg", exif=told_exif(), xmp=told_packet(), quality=95)
    turned = taken("2024:06:02 09:00:00", "+02:00")
    turned[0x0112] = 6
    image.save(folder / "02 turned.jpg", exif=turned, quality=95)
    heic(folder / "03 live.heic", image, exif=taken("2024:06:02 10:00:00").tobytes())
    (folder / "03 live.mov").write_bytes(clip(format_="mov"))
    image.save(folder / "04 live.jpg", exif=taken("2024:06:02 11:00:00"))
    (folder / "04 live.MOV").write_bytes(clip(format_="mov"))
    image.save(folder / "05.avif")
    pages = [quarters((120, 160)), quarters((96, 96))]
    image.save(folder / "06 pages.tif", save_all=True, append_images=pages)
    image.save(folder / "07.jp2")
    image.convert("P", palette=Image.Palette.ADAPTIVE).save(
        folder / "08.gif", save_all=True, append_images=[Image.new("P", image.size)]
    )
    image.save(folder / "09 beside.webp")
    (folder / "09 beside.webp.xmp").write_bytes(sidecar("harbour", 5))
    image.save(folder / "10.bmp")
    rows = b"".join(value.to_bytes(2, "little") * image.width for value in deep_ramp(image.height))
    Image.frombytes("I;16", image.size, rows).save(folder / "11 deep.png")
    quarters(mode="CMYK").save(folder / "12 press.jpg", quality=95)
    (folder / "13 clip.mp4").write_bytes(clip(tags={"creation_time": "2024-06-04T08:00:00Z"}))
    (folder / "14 tune.mp3").write_bytes(sound("mp3", "libmp3lame"))
    (folder / "15 tune.m4a").write_bytes(sound("mp4", "aac"))
    image.save(folder / "20 big.tif", big_tiff=True)
    (folder / "notes.txt").write_text("no picture\n")
    set_times(folder)


def sidecar(keyword: str, rating: int) -> bytes:
    """An .xmp of one keyword and a rating, with titles in two languages."""
    titles = alternatives("dc:title", en=f"At the {keyword}", fr=f"Au {keyword}")
    return xmp(titles + array("dc:subject", "Bag", keyword), f'xmp:Rating="{rating}"')


def write_turned(folder: Path) -> None:
    """`folder` holds N.jpg for every orientation N, all of them `quarters()` when upright."""
    folder.mkdir(parents=True)
    for orientation, turn in TURNED.items():
        image, tags = quarters(), Image.Exif()
        tags[0x0112] = orientation
        (image if turn is None else image.transpose(turn)).save(folder / f"{orientation}.jpg", exif=tags, quality=95)


def write_owned(folder: Path) -> None:
    """`folder` holds a.jpg, b.jpg and c.jpg, taken in the order c, a, b, and OWNED as its iiif.toml."""
    folder.mkdir(parents=True)
    for name, hour in (("a", 11), ("b", 12), ("c", 10)):
        quarters().save(folder / f"{name}.jpg", exif=taken(f"2019:03:01 {hour}:00:00"))
    (folder / "iiif.toml").write_text(OWNED)


def write_long(folder: Path, months: Mapping[str, int]) -> None:
    """`folder` holds as many pictures of each month ("2018:05") as `months` says."""
    folder.mkdir(parents=True)
    for month, count in months.items():
        for number in range(count):
            name = f"{month.replace(':', '-')} {number}.jpg"
            quarters().save(folder / name, exif=taken(f"{month}:{number % 28 + 1:02} 12:00:00"))


def set_times(folder: Path) -> None:
    """Every file of `folder` is as old as UNTOLD_S says."""
    for path in folder.iterdir():
        os.utime(path, (UNTOLD_S, UNTOLD_S))


def write_sounds(folder: Path) -> None:
    """`folder` holds sound and nothing else."""
    folder.mkdir(parents=True)
    (folder / "tune.mp3").write_bytes(sound("mp3", "libmp3lame", 1))
