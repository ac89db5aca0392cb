"""XMP packets: the forms of RDF, languages, and packets that mean harm."""

from __future__ import annotations

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.model.description import NOTHING_SAID, Description
from iiiffs.render.metadata.reading import SidecarRead, read_sidecar, read_whole_sidecar
from tests.unit.render.metadata.described_files import alternatives, array, xmp

FACES = """<mwg-rs:Regions rdf:parseType="Resource"><mwg-rs:RegionList><rdf:Bag>
<rdf:li rdf:parseType="Resource"><mwg-rs:Name>Ada Example</mwg-rs:Name><mwg-rs:Type>Face</mwg-rs:Type></rdf:li>
<rdf:li><rdf:Description mwg-rs:Name="Bob Example" mwg-rs:Type="Face"><mwg-rs:Area rdf:parseType="Resource"/>
</rdf:Description></rdf:li>
<rdf:li mwg-rs:Name="Cy Example"/>
<rdf:li rdf:parseType="Resource"><mwg-rs:Name>Rex</mwg-rs:Name><mwg-rs:Type>Pet</mwg-rs:Type></rdf:li>
</rdf:Bag></mwg-rs:RegionList></mwg-rs:Regions>"""
WINDOWS_FACES = """<MP:RegionInfo rdf:parseType="Resource"><MPRI:Regions><rdf:Bag>
<rdf:li MPReg:PersonDisplayName="Dee Example" MPReg:Rectangle="0,0,1,1"/></rdf:Bag></MPRI:Regions></MP:RegionInfo>"""
CREATED_PLACE = """<Iptc4xmpExt:LocationCreated><rdf:Bag><rdf:li rdf:parseType="Resource">
<Iptc4xmpExt:Sublocation>Prado</Iptc4xmpExt:Sublocation><Iptc4xmpExt:City>Madrid</Iptc4xmpExt:City>
<Iptc4xmpExt:CountryName>Spain</Iptc4xmpExt:CountryName></rdf:li></rdf:Bag></Iptc4xmpExt:LocationCreated>"""

CASES: dict[str, tuple[bytes, Description]] = {
    "title in languages": (
        xmp(alternatives("dc:title", x_default="Sea", en="Sea", de="Das  Meer")),
        Description(label=(("en", "Sea"), ("de", "Das Meer"))),
    ),
    "title of no language": (xmp(alternatives("dc:title", x_default="Sea")), Description(label=(("", "Sea"),))),
    "a default that is another text": (
        xmp(alternatives("dc:title", x_default="Sea", de="Meer")),
        Description(label=(("", "Sea"), ("de", "Meer"))),
    ),
    "a language twice": (
        xmp("<dc:title><rdf:Alt><rdf:li xml:lang='DE'>A</rdf:li><rdf:li xml:lang='de'>B</rdf:li></rdf:Alt></dc:title>"),
        Description(label=(("de", "A"),)),
    ),
    "a language that is none": (
        xmp("<dc:title><rdf:Alt><rdf:li xml:lang='d e'>A</rdf:li></rdf:Alt></dc:title>"),
        Description(label=(("", "A"),)),
    ),
    "region of a language": (
        xmp("<dc:title><rdf:Alt><rdf:li xml:lang='en_US'>A</rdf:li></rdf:Alt></dc:title>"),
        Description(label=(("en-US", "A"),)),
    ),
    "headline for a title": (xmp(attributes='photoshop:Headline="Sea"'), Description(label=(("", "Sea"),))),
    "caption of two lines": (
        xmp(alternatives("dc:description", x_default="One&#xA;two &amp; &lt;three&gt;")),
        Description(summary=(("", "One\ntwo & <three>"),)),
    ),
    "simple value where an array should be": (xmp("<dc:title>Sea</dc:title>"), Description(label=(("", "Sea"),))),
    "creators": (xmp(array("dc:creator", "Seq", "Ada", "Bob", "Ada")), Description(creators=("Ada", "Bob"))),
    "keywords": (xmp(array("dc:subject", "Bag", "sea", " blue ", "")), Description(keywords=("sea", "blue"))),
    "hierarchies": (
        xmp(
            array("dc:subject", "Bag", "Madrid", "People", "Ada Example")
            + array("lr:hierarchicalSubject", "Bag", "Places|Spain|Madrid", "People|Friends|Ada Example")
            + array("digiKam:TagsList", "Seq", "Animals/Cat", "People/Ada Example")
        ),
        Description(keywords=("Madrid", "Cat"), people=("Ada Example",)),
    ),
    "people": (
        xmp(array("Iptc4xmpExt:PersonInImage", "Bag", "Eve Example", "Ada Example") + FACES + WINDOWS_FACES),
        Description(people=("Eve Example", "Ada Example", "Bob Example", "Cy Example", "Dee Example")),
    ),
    "rating": (xmp(attributes='xmp:Rating="4"'), Description(rating=4)),
    "rating as an element": (xmp("<xmp:Rating>-1</xmp:Rating>"), Description(rating=-1)),
    "rating with a fraction": (xmp(attributes='xmp:Rating="3.0"'), Description(rating=3)),
    "no rating": (xmp(attributes='xmp:Rating="9"'), NOTHING_SAID),
    "place": (
        xmp("<photoshop:City>Madrid</photoshop:City>", 'photoshop:Country="Spain" Iptc4xmpCore:Location="Prado"'),
        Description(place=("Prado", "Madrid", "Spain")),
    ),
    "place as a structure": (xmp(CREATED_PLACE), Description(place=("Prado", "Madrid", "Spain"))),
    "position in minutes": (
        xmp(attributes='exif:GPSLatitude="40,30.0N" exif:GPSLongitude="3,41.4W"'),
        Description(position=(40.5, -3.69)),
    ),
    "position in seconds": (
        xmp(attributes='exif:GPSLatitude="33,30,36S" exif:GPSLongitude="151,0,0E"'),
        Description(position=(-33.51, 151.0)),
    ),
    "half a position": (xmp(attributes='exif:GPSLatitude="40,30.0N"'), NOTHING_SAID),
    "no position on Earth": (xmp(attributes='exif:GPSLatitude="95,0.0N" exif:GPSLongitude="3,4.4W"'), NOTHING_SAID),
    "licence": (
        xmp('<cc:license rdf:resource="https://creativecommons.org/licenses/by/4.0/deed.de"/>'),
        Description(rights="http://creativecommons.org/licenses/by/4.0/"),
    ),
    "web statement and notice": (
        xmp(
            alternatives("dc:rights", x_default="© Ada", de="© Ada, alle Rechte"),
            'xmpRights:WebStatement="http://rightsstatements.org/vocab/InC/1.0/"',
        ),
        Description(
            rights="http://rightsstatements.org/vocab/InC/1.0/", statement=(("", "© Ada"), ("de", "© Ada, alle Rechte"))
        ),
    ),
    "a page that is no licence is shown": (
        xmp(attributes='xmpRights:WebStatement="https://example.org/terms"'),
        Description(statement=(("", "https://example.org/terms"),)),
    ),
    "date with a zone": (
        xmp(attributes='photoshop:DateCreated="2024-06-01T12:30:15.25+02:00"'),
        Description(captured="2024-06-01T12:30:15+02:00"),
    ),
    "date taken": (
        xmp(attributes='exif:DateTimeOriginal="2024-06-01T12:30"'),
        Description(captured="2024-06-01T12:30:00"),
    ),
    "a day": (xmp(attributes='photoshop:DateCreated="1931-06-01"'), Description(captured="1931-06-01T00:00:00")),
    "a month": (xmp(attributes='photoshop:DateCreated="1931-06"'), NOTHING_SAID),
    "no day": (xmp(attributes='photoshop:DateCreated="2024-02-30T00:00:00"'), NOTHING_SAID),
    "camera": (
        xmp(attributes='tiff:Make="NIKON CORPORATION" tiff:Model="NIKON D850"'),
        Description(camera="NIKON D850"),
    ),
    "serial numbers are not read": (
        xmp(attributes='aux:SerialNumber="SN-4711" aux:LensSerialNumber="SN-4712"'),
        NOTHING_SAID,
    ),
    "controls": (
        xmp(alternatives("dc:title", x_default="a&#x85;b&#x9F;c")),
        Description(label=(("", "abc"),)),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_a_packet_says(case: str) -> None:
    packet, expected = CASES[case]
    assert read_sidecar(packet) == expected


def test_several_descriptions_are_one() -> None:
    first, second = xmp(attributes='xmp:Rating="4"').decode(), xmp(attributes='photoshop:City="Rome"').decode()
    middle = second[second.index("<rdf:Description") : second.index("</rdf:RDF>")]
    joined = first.replace("</rdf:RDF>", middle + "</rdf:RDF>")
    assert read_sidecar(joined.encode()) == Description(rating=4, place=("Rome",))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings(encoding: str) -> None:
    packet = xmp(array("dc:subject", "Bag", "Größe")).decode().replace("\ufeff", "")
    assert read_sidecar(packet.encode(encoding)) == Description(keywords=("Größe",))


SUBJECT = array("dc:subject", "Bag", "boats", "sea")
PATHS = array("lr:hierarchicalSubject", "Bag", "Trips|2024| sea ", "a/b|c")
TAGS = array("digiKam:TagsList", "Seq", "Trips/2024/sea", "plain")


@pytest.mark.parametrize(
    ("inside", "tags"),
    [
        (SUBJECT, ("boats", "sea")),
        (SUBJECT + PATHS, ("Trips/2024/sea", "a|b/c")),
        (SUBJECT + PATHS + TAGS, ("Trips/2024/sea", "plain")),
        (array("dc:subject", "Bag", "a/b", "a/b", " ", ""), ("a|b",)),
        (alternatives("dc:title", x_default="no tags"), ()),
    ],
)
def test_tags_with_what_they_are_below(inside: str, tags: tuple[str, ...]) -> None:
    """One way to write them counts: whoever writes several repeats himself."""
    read = read_whole_sidecar(xmp(inside))
    assert read is not None and read.tags == tags


def test_a_whole_sidecar_says_the_same_and_a_damaged_one_is_known_for_that() -> None:
    packet = xmp(SUBJECT, 'xmp:Rating="4"')
    assert read_whole_sidecar(packet) == SidecarRead(read_sidecar(packet), ("boats", "sea"))
    assert read_whole_sidecar(xmp()) == SidecarRead(NOTHING_SAID, ())
    for damaged in (packet[:-30], b"", b"\0", b"<!DOCTYPE x>" + packet, packet + b" " * (4 << 20)):
        assert read_whole_sidecar(damaged) is None


def test_padding_around_a_packet_is_no_damage() -> None:
    assert read_sidecar(b"\n" + xmp(attributes='xmp:Rating="4"') + b" \n" * 1000 + b"\0").rating == 4


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
HOSTILE = {
    "laughs": f'<!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]>'.encode() + xmp("<dc:title>&l9;</dc:title>"),
    "file": b'<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/hostname">]>' + xmp("<dc:title>&f;</dc:title>"),
    "parameter entity": b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd">' + xmp("<dc:title>A</dc:title>"),
    "entity in UTF-16": f'<!doctype x [<!entity f "A">]>{xmp("<dc:title>A</dc:title>").decode()}'.encode("utf-16"),
    "long": xmp(array("dc:subject", "Bag", "x" * (50 << 20))),
    "deep": b"<a>" * 100_000,
    "cut": xmp(attributes='xmp:Rating="4"')[:-90],
    "not XML": b"\x00\xff\x10" * 100,
    "empty": b"",
    "blank": b" \n ",
    "another vocabulary": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "an encoding that hides": b"<?xml version='1.0' encoding='UTF-7'?>+ADwAIQ-DOCTYPE x+AD4-",
    "no entity of that name": xmp("<dc:title>&nobody;</dc:title>"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_packets_say_nothing(case: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "iiiffs.render.metadata.xmp"):
        assert read_sidecar(HOSTILE[case]) == NOTHING_SAID
    assert len(caplog.records) == (case != "another vocabulary")
    assert all("\n" not in record.getMessage() for record in caplog.records)


def test_an_encoding_that_is_declared_wrongly_does_no_harm() -> None:
    packet = (
        b"<?xml version='1.0' encoding='ISO-8859-1'?>" + xmp(array("dc:subject", "Bag", "Größe")).split(b"?>", 1)[1]
    )
    assert read_sidecar(packet).keywords == ("Größe",)


def test_texts_and_lists_are_bounded() -> None:
    many = [f"word {i}" for i in range(1_000)]
    found = read_sidecar(
        xmp(array("dc:subject", "Bag", "k" * 9_000, *many) + alternatives("dc:description", x_default="c" * 9_000))
    )
    assert len(found.keywords) == 200
    assert found.keywords[0] == "k" * 200
    assert found.summary == (("", "c" * 4_000),)


@given(st.binary(max_size=300))
def test_no_bytes_raise(data: bytes) -> None:
    assert read_sidecar(data) == NOTHING_SAID


@given(st.data())
def test_no_damage_raises(data: st.DataObject) -> None:
    packet = bytearray(CASES["people"][0])
    for _ in range(data.draw(st.integers(1, 4))):
        packet[data.draw(st.integers(0, len(packet) - 1))] = data.draw(st.integers(0, 255))
    assert isinstance(read_sidecar(bytes(packet)), Description)


COSTLY = {
    "attributes": xmp(attributes=" ".join(f'dc:a{i}="x"' for i in range(100_000))),
    "structures": xmp(f"<Iptc4xmpExt:LocationShown>{'<rdf:li/>' * 100_000}</Iptc4xmpExt:LocationShown>"),
    "people": xmp(f"<mwg-rs:Regions>{'<rdf:li>' * 99}{'</rdf:li>' * 99}{'<rdf:li/>' * 100_000}</mwg-rs:Regions>"),
}


@pytest.mark.parametrize("case", COSTLY)
def test_many_parts_cost_no_more_than_their_number(case: str) -> None:
    """Ends at once; was 50 s for the attributes with lxml's `attrib.items()`, which is quadratic."""
    assert read_sidecar(COSTLY[case]) == NOTHING_SAID
