"""From bytes to documents: what is switched off, and every serial number, is in no document."""

from __future__ import annotations

from io import BytesIO

import msgspec
import pytest

from iiiffs.iiif.canvases import CanvasItem
from iiiffs.iiif.description import PRIVATE, PUBLISHED, Privacy
from iiiffs.iiif.presentation import AlbumHeading, manifest
from iiiffs.iiif.scaling import Limits
from iiiffs.iiif.uris import Uris
from iiiffs.model.gallery import AccountName, AlbumId, AssetId, Facts
from iiiffs.render.headers import read_facts
from tests.unit.render.metadata.described_files import (
    alternatives,
    array,
    dataset,
    degrees,
    exif,
    jpeg,
    photoshop_segment,
    xmp,
)

EVERYTHING = Privacy(places=True, people=True, cameras=True, creators=True)
SERIALS = exif(
    {0x010F: "Leica", 0x0110: "M11", 0x013B: "Ada Maker", 0xC62F: "SN-4711"},
    {1: "N", 2: degrees(40.5123), 3: "W", 4: degrees(3.6912)},
)
SERIALS.get_ifd(0x8769).update({0xA431: "SN-4712", 0xA435: "SN-4713", 0xA430: "Owner SN-4714"})
PACKET = xmp(
    alternatives("dc:title", x_default="Eve Example in Madrid", de="Blau")
    + array("Iptc4xmpExt:PersonInImage", "Bag", "Eve Example")
    + array("dc:subject", "Bag", "Eve Example", "blue"),
    'aux:SerialNumber="SN-4715" aux:LensSerialNumber="SN-4716" aux:OwnerName="SN-4717"',
)
DATA = jpeg(
    photoshop_segment(dataset(90, b"Madrid") + dataset(116, b"(c) Ada Maker") + dataset(120, b"Waves at Madrid")),
    exif=SERIALS,
    xmp=PACKET,
)


def facts() -> Facts:
    return read_facts(BytesIO(DATA), "a.jpg", 1_000_000)


def text(privacy: Privacy) -> str:
    known = facts()
    item = CanvasItem(AssetId("a"), "a.jpg", known.extent, None, known.captured, description=known.description)
    heading = AlbumHeading(AccountName("home"), AlbumId("alb"), "Trip", None)
    made = manifest(Uris("http://h"), heading, [item], Limits(1000, 1000, 1_000_000), privacy=privacy)
    return msgspec.json.encode(made).decode()


def test_the_file_really_holds_them() -> None:
    for serial in range(4711, 4718):
        assert b"SN-%d" % serial in DATA


def test_no_serial_number_is_even_read() -> None:
    assert "SN-" not in repr(facts())
    assert "SN-" not in text(EVERYTHING)


@pytest.mark.parametrize(
    ("privacy", "there", "nowhere"),
    [
        (EVERYTHING, ["Madrid", "40.5123", "-3.6912", "Eve", "Ada", "M11", "Blau"], []),
        (PRIVATE, ["Eve", "Ada", "M11"], ["40.5", "3.69", '"Place"']),
        (PUBLISHED, ["M11", "Blau", "blue"], ["Madrid", "40.5", "3.69", "Eve", "Ada"]),
        (Privacy(cameras=False), ["Eve", "Blau"], ["Leica", "M11", "Madrid", "40.5"]),
    ],
)
def test_documents_hold_only_what_is_on(privacy: Privacy, there: list[str], nowhere: list[str]) -> None:
    made = text(privacy)
    assert [word for word in there if word not in made] == []
    assert [word for word in nowhere if word in made] == []
