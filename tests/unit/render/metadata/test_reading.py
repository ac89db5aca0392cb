"""Descriptions in files of every format that has a place for them; damage says nothing."""

from __future__ import annotations

import zlib
from io import BytesIO

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from iiiffs.model.description import NOTHING_SAID, Description, merged
from iiiffs.model.gallery import Facts
from iiiffs.render.headers import read_facts
from iiiffs.render.metadata.reading import read_description
from tests.unit.render.metadata.described_files import (
    UTF_8_CHARSET,
    alternatives,
    array,
    dataset,
    degrees,
    exif,
    jpeg,
    photoshop_segment,
    picture,
    tiff,
    xmp,
)

PACKET = xmp(alternatives("dc:title", de="Meer") + array("dc:subject", "Bag", "blau"), 'xmp:Rating="4"')
SAID = Description(label=(("de", "Meer"),), keywords=("blau",), rating=4)
TAGS = exif({0x010F: "Canon", 0x0110: "Canon EOS R5", 0x013B: "Ada; Bob"})
SAID_IN_TAGS = Description(camera="Canon EOS R5", creators=("Ada", "Bob"))


def described(data: bytes) -> Description:
    return read_description(BytesIO(data), "a.jpg")


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


def png_with(packet: bytes, *, compressed: bool = False, at_the_end: bool = False) -> bytes:
    made = picture("PNG")
    text = zlib.compress(packet) if compressed else packet
    chunk = png_chunk(b"iTXt", b"XML:com.adobe.xmp\0" + bytes((compressed, 0)) + b"\0\0" + text)
    place = made.index(b"IEND") - 4 if at_the_end else made.index(b"IDAT") - 4
    return made[:place] + chunk + made[place:]


def gif_with(packet: bytes) -> bytes:
    made = picture("GIF")
    colours = 13 + (3 << ((made[10] & 7) + 1) if made[10] & 0x80 else 0)
    comment = b"\x21\xfe\x05hello\x00"
    trailer = b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    return made[:colours] + comment + b"\x21\xff\x0bXMP DataXMP" + packet + trailer + made[colours:]


def jpeg2000_with(packet: bytes) -> bytes:
    content = bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + packet
    return picture("JPEG2000")[:12] + (len(content) + 8).to_bytes(4) + b"uuid" + content


def pillow_png() -> bytes:
    text = PngInfo()
    text.add_itxt("XML:com.adobe.xmp", PACKET.decode())
    return picture("PNG", pnginfo=text)


FILES = {
    "JPEG": jpeg(xmp=PACKET),
    "WebP": picture("WEBP", xmp=PACKET),
    "WebP with tags": picture("WEBP", xmp=PACKET, exif=TAGS),
    "AVIF": picture("AVIF", xmp=PACKET),
    "AVIF with tags": picture("AVIF", xmp=PACKET, exif=TAGS),
    "TIFF": tiff({700: PACKET}),
    "PNG": pillow_png(),
    "PNG, compressed": png_with(PACKET, compressed=True),
    "PNG, after the pixels": png_with(PACKET, at_the_end=True),
    "GIF": gif_with(PACKET),
    "JPEG 2000": jpeg2000_with(PACKET),
    "JPEG with fill bytes": jpeg(b"\xff", xmp=PACKET),
}


@pytest.mark.parametrize("case", FILES)
def test_xmp_is_found(case: str) -> None:
    found = described(FILES[case])
    assert (found.label, found.keywords, found.rating) == (SAID.label, SAID.keywords, SAID.rating)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_tags_are_found(name: str) -> None:
    assert described(picture(name, exif=TAGS)) == SAID_IN_TAGS


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF", "GIF", "JPEG2000", "BMP"])
def test_a_file_that_says_nothing(name: str) -> None:
    assert described(picture(name)) is NOTHING_SAID


def test_the_stream_is_left_where_it_was() -> None:
    stream = BytesIO(FILES["JPEG"])
    stream.seek(7)
    read_description(stream, "a.jpg")
    assert stream.tell() == 7


def test_pixels_are_not_read() -> None:
    whole = jpeg(xmp=PACKET)
    assert described(whole[: whole.index(b"\xff\xda")]) == SAID


# ---- EXIF ---------------------------------------------------------------------------------------------------------

GPS: dict[int, object] = {1: "N", 2: degrees(40.5), 3: "W", 4: degrees(3.69)}


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        ({0x010E: "A harbour"}, Description(summary=(("", "A harbour"),))),
        ({0x010E: "Größe".encode()}, Description(summary=(("", "Größe"),))),
        ({0x010E: "Größe".encode("cp1252")}, Description(summary=(("", "Größe"),))),
        ({0x010E: "OLYMPUS DIGITAL CAMERA         "}, NOTHING_SAID),
        ({0x010E: "DCIM\\100MEDIA\\DJI_0001.JPG"}, NOTHING_SAID),
        ({0x8298: "Ada\0Ed"}, Description(statement=(("", "Ada, Ed"),))),
        (
            {0x8298: "https://creativecommons.org/publicdomain/zero/1.0/"},
            Description(
                rights="http://creativecommons.org/publicdomain/zero/1.0/",
                statement=(("", "https://creativecommons.org/publicdomain/zero/1.0/"),),
            ),
        ),
        ({0x9C9B: "Meer".encode("utf-16-le") + b"\0\0"}, Description(label=(("", "Meer"),))),
        ({0x9C9E: "sea; blue;".encode("utf-16-le")}, Description(keywords=("sea", "blue"))),
        ({0x4746: 5}, Description(rating=5)),
        ({0x4746: 99}, NOTHING_SAID),
        ({0x010F: "SONY", 0x0110: "ILCE-7M4"}, Description(camera="SONY ILCE-7M4")),
        ({0x010F: "OLYMPUS IMAGING CORP.", 0x0110: "E-M1"}, Description(camera="OLYMPUS E-M1")),
        ({0x0110: "Pixel 8"}, Description(camera="Pixel 8")),
        ({0xA431: "SN-4711", 0xC62F: "SN-4712", 0xA430: "Ada"}, NOTHING_SAID),
    ],
)
def test_tags(tags: dict[int, object], expected: Description) -> None:
    assert described(jpeg(exif=exif(tags))) == expected


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, (40.5, -3.69)),
        ({1: "S", 3: "E"}, (-40.5, 3.69)),
        ({9: "V"}, None),
        ({2: degrees(0), 4: degrees(0)}, None),
        ({2: degrees(91)}, None),
    ],
)
def test_position(changed: dict[int, object], expected: tuple[float, float] | None) -> None:
    assert described(jpeg(exif=exif({}, {**GPS, **changed}))).position == expected


# ---- IPTC ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        (
            dataset(5, b"Sea") + dataset(120, b"At\rthe sea"),
            Description(label=(("", "Sea"),), summary=(("", "At\nthe sea"),)),
        ),
        (dataset(25, b"sea") + dataset(25, b"blue"), Description(keywords=("sea", "blue"))),
        (dataset(80, b"Ada") + dataset(80, b"Bob"), Description(creators=("Ada", "Bob"))),
        (dataset(116, b"(c) Ada") + dataset(110, b"Agency"), Description(statement=(("", "(c) Ada"),))),
        (
            dataset(101, b"Spain") + dataset(90, b"Madrid") + dataset(92, b"Prado"),
            Description(place=("Prado", "Madrid", "Spain")),
        ),
        (UTF_8_CHARSET + dataset(90, "Köln".encode()), Description(place=("Köln",))),
        (dataset(90, "Köln".encode()), Description(place=("Köln",))),
        (dataset(90, "Köln".encode("latin-1")), Description(place=("Köln",))),
        (dataset(55, b"20240601") + dataset(60, b"123015+0200"), Description(captured="2024-06-01T12:30:15+02:00")),
        (dataset(55, b"20240601") + dataset(60, b"123015"), Description(captured="2024-06-01T12:30:15")),
        (dataset(55, b"20240601"), Description(captured="2024-06-01T00:00:00")),
        (dataset(55, b"20240000"), NOTHING_SAID),
        (b"\x1c\x02\x19\x80\x04\x00\x00\x00\x03sea", Description(keywords=("sea",))),
        (dataset(25, b"sea") + b"\x1c\x02\x19\x70\x00cut", Description(keywords=("sea",))),
        (b"\x1c\x02\x19\xff\xff", NOTHING_SAID),
        (b"", NOTHING_SAID),
    ],
)
def test_iptc(block: bytes, expected: Description) -> None:
    assert described(jpeg(photoshop_segment(block))) == expected
    if block:
        assert described(tiff({33723: block})) == expected


# ---- strength and damage ------------------------------------------------------------------------------------------


def test_xmp_is_stronger_than_iptc_and_iptc_than_tags() -> None:
    block = dataset(5, b"iptc") + dataset(120, b"iptc") + dataset(25, b"iptc")
    tags = exif(
        {0x9C9B: "exif".encode("utf-16-le"), 0x010E: "exif", 0x0110: "exif", 0x9C9E: "exif".encode("utf-16-le")}
    )
    packet = xmp(alternatives("dc:title", x_default="xmp"))
    assert described(jpeg(photoshop_segment(block), xmp=packet, exif=tags)) == Description(
        label=(("", "xmp"),), summary=(("", "iptc"),), keywords=("iptc",), camera="exif"
    )


def test_iptc_over_several_segments_is_joined() -> None:
    block = b"".join(dataset(25, b"word %d" % i) for i in range(60))
    segment = photoshop_segment(block)[4 + len(b"Photoshop 3.0\0") :]
    parts = [b"Photoshop 3.0\0" + part for part in (segment[:100], segment[100:])]
    data = jpeg(*(b"\xff\xed" + (len(part) + 2).to_bytes(2) + part for part in parts))
    assert len(described(data).keywords) == 60


def test_pixels_that_look_like_a_packet_are_none() -> None:
    data = png_with(PACKET, at_the_end=True)
    broken = data.replace(b"blau", b"grau")
    assert described(broken) == NOTHING_SAID


def test_a_bomb_in_a_compressed_text_says_nothing() -> None:
    assert described(png_with(PACKET + b" " * (8 << 20), compressed=True)) == NOTHING_SAID
    assert described(png_with(PACKET + b" " * 8, compressed=True)) == SAID


WHOLE = [*FILES.values(), jpeg(photoshop_segment(dataset(25, b"sea")), exif=exif({0x0110: "X"}, GPS))]


@pytest.mark.parametrize("data", WHOLE)
def test_a_file_that_is_cut_anywhere_raises_nothing(data: bytes) -> None:
    for length in range(0, min(len(data), 2_000), 3):
        assert isinstance(described(data[:length]), Description)


@given(st.sampled_from(WHOLE), st.lists(st.tuples(st.integers(0, 1_500), st.integers(0, 255)), min_size=1, max_size=8))
def test_no_damage_raises(data: bytes, changes: list[tuple[int, int]]) -> None:
    damaged = bytearray(data)
    for place, value in changes:
        damaged[place % len(damaged)] = value
    assert isinstance(described(bytes(damaged)), Description)


@given(st.sampled_from([b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"GIF89a", b"\0\0\0\x18ftypheic"]), st.binary())
def test_no_bytes_raise(start: bytes, rest: bytes) -> None:
    assert isinstance(described(start + rest), Description)


def test_a_file_of_apple_s_kind() -> None:
    """HEIC by libheif: items in another layout than Pillow's AVIF."""
    pillow_heif = pytest.importorskip("pillow_heif")
    made = BytesIO()
    image = pillow_heif.from_pillow(Image.new("RGB", (16, 16)))
    image.save(made, exif=TAGS.tobytes(), xmp=PACKET)
    assert described(made.getvalue()) == merged(SAID_IN_TAGS, SAID)


def test_facts_carry_the_description() -> None:
    assert read_facts(BytesIO(jpeg(xmp=PACKET)), "a.jpg").description == SAID
    assert read_facts(BytesIO(jpeg()), "a.jpg").description is NOTHING_SAID
    known = read_facts(BytesIO(WHOLE[-1]), "a.jpg")
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(known), type=Facts) == known
