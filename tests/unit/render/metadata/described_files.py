"""Files that say something of themselves, built here: IPTC blocks by hand, XMP as text, the rest by Pillow."""

from __future__ import annotations

from io import BytesIO

from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

NAMESPACES = " ".join(
    f'xmlns:{prefix}="{uri}"'
    for prefix, uri in {
        "dc": "http://purl.org/dc/elements/1.1/",
        "xmp": "http://ns.adobe.com/xap/1.0/",
        "xmpRights": "http://ns.adobe.com/xap/1.0/rights/",
        "cc": "http://creativecommons.org/ns#",
        "photoshop": "http://ns.adobe.com/photoshop/1.0/",
        "tiff": "http://ns.adobe.com/tiff/1.0/",
        "exif": "http://ns.adobe.com/exif/1.0/",
        "aux": "http://ns.adobe.com/exif/1.0/aux/",
        "Iptc4xmpCore": "http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/",
        "Iptc4xmpExt": "http://iptc.org/std/Iptc4xmpExt/2008-02-29/",
        "mwg-rs": "http://www.metadataworkinggroup.com/schemas/regions/",
        "MP": "http://ns.microsoft.com/photo/1.2/",
        "MPRI": "http://ns.microsoft.com/photo/1.2/t/RegionInfo#",
        "MPReg": "http://ns.microsoft.com/photo/1.2/t/Region#",
        "lr": "http://ns.adobe.com/lightroom/1.0/",
        "digiKam": "http://www.digikam.org/ns/1.0/",
    }.items()
)


def xmp(inside: str = "", attributes: str = "") -> bytes:
    """A packet with one rdf:Description of these elements and attributes."""
    return (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" {NAMESPACES} {attributes}>{inside}</rdf:Description>'
        '</rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()


def array(name: str, kind: str, *items: str) -> str:
    """An RDF array of plain texts."""
    listed = "".join(f"<rdf:li>{item}</rdf:li>" for item in items)
    return f"<{name}><rdf:{kind}>{listed}</rdf:{kind}></{name}>"


def alternatives(name: str, **texts: str) -> str:
    """An rdf:Alt; "_" in a language stands for "-"."""
    listed = "".join(f'<rdf:li xml:lang="{tag.replace("_", "-")}">{text}</rdf:li>' for tag, text in texts.items())
    return f"<{name}><rdf:Alt>{listed}</rdf:Alt></{name}>"


def dataset(number: int, value: bytes, record: int = 2) -> bytes:
    """One IPTC-IIM dataset."""
    return bytes((0x1C, record, number)) + len(value).to_bytes(2) + value


UTF_8_CHARSET = dataset(90, b"\x1b%G", record=1)


def photoshop_segment(iptc: bytes) -> bytes:
    """An APP13 that holds another resource first, then the IPTC block."""
    other = b"8BIM\x03\xed\x00\x00" + (3).to_bytes(4) + b"abc\x00"
    resource = b"8BIM\x04\x04\x03abc" + len(iptc).to_bytes(4) + iptc + b"\0" * (len(iptc) % 2)
    payload = b"Photoshop 3.0\0" + other + resource
    return b"\xff\xed" + (len(payload) + 2).to_bytes(2) + payload


def jpeg(*segments: bytes, xmp: bytes | None = None, exif: Image.Exif | None = None) -> bytes:
    """A small JPEG; `segments` stand first."""
    settings: dict[str, object] = {}
    if xmp is not None:
        settings["xmp"] = xmp
    if exif is not None:
        settings["exif"] = exif
    made = picture("JPEG", **settings)
    return made[:2] + b"".join(segments) + made[2:]


def picture(name: str, **settings: object) -> bytes:
    """A small picture as Pillow writes it."""
    buffer = BytesIO()
    Image.new("RGB", (16, 8), (9, 90, 200)).save(buffer, name, **settings)
    return buffer.getvalue()


def exif(tags: dict[int, object], gps: dict[int, object] | None = None) -> Image.Exif:
    """EXIF of these tags."""
    made = Image.Exif()
    made.update(tags)
    if gps is not None:
        made[0x8825] = gps
    return made


def tiff(tags: dict[int, object]) -> bytes:
    """A TIFF of these tags; bytes are written as UNDEFINED or BYTE."""
    directory = ImageFileDirectory_v2()
    for tag, value in tags.items():
        directory[tag] = value
        if isinstance(value, bytes):
            directory.tagtype[tag] = 1
    return picture("TIFF", tiffinfo=directory)


def degrees(value: float) -> tuple[IFDRational, ...]:
    """Degrees, minutes and seconds as EXIF has them."""
    whole, minutes = int(value), int(value * 60) % 60
    seconds = round((value * 3600 - whole * 3600 - minutes * 60) * 10_000)
    return (IFDRational(whole, 1), IFDRational(minutes, 1), IFDRational(seconds, 10_000))
