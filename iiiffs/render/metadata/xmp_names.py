"""The names of XMP that are read, in lxml's notation: "{namespace}name"."""

from __future__ import annotations

_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
RDF, DESCRIPTION, LI, RESOURCE = f"{_RDF}RDF", f"{_RDF}Description", f"{_RDF}li", f"{_RDF}resource"
ARRAYS = frozenset({f"{_RDF}Alt", f"{_RDF}Bag", f"{_RDF}Seq"})
LANG = "{http://www.w3.org/XML/1998/namespace}lang"

_DC = "{http://purl.org/dc/elements/1.1/}"
TITLE, CAPTION, RIGHTS = f"{_DC}title", f"{_DC}description", f"{_DC}rights"
CREATOR, SUBJECT = f"{_DC}creator", f"{_DC}subject"

_XMP = "{http://ns.adobe.com/xap/1.0/}"
RATING = f"{_XMP}Rating"

_XMP_RIGHTS = "{http://ns.adobe.com/xap/1.0/rights/}"
WEB_STATEMENT, USAGE_TERMS = f"{_XMP_RIGHTS}WebStatement", f"{_XMP_RIGHTS}UsageTerms"
LICENSE = "{http://creativecommons.org/ns#}license"

_PHOTOSHOP = "{http://ns.adobe.com/photoshop/1.0/}"
HEADLINE, CREDIT, DATE_CREATED = f"{_PHOTOSHOP}Headline", f"{_PHOTOSHOP}Credit", f"{_PHOTOSHOP}DateCreated"

_TIFF = "{http://ns.adobe.com/tiff/1.0/}"
MAKE, MODEL = f"{_TIFF}Make", f"{_TIFF}Model"

_EXIF = "{http://ns.adobe.com/exif/1.0/}"
DATE_TAKEN, LATITUDE, LONGITUDE = f"{_EXIF}DateTimeOriginal", f"{_EXIF}GPSLatitude", f"{_EXIF}GPSLongitude"

_CORE = "{http://iptc.org/std/Iptc4xmpCore/1.0/xmlns/}"
_EXT = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}"
PERSON_IN_IMAGE, LOCATION_SHOWN, LOCATION_CREATED = (
    f"{_EXT}PersonInImage",
    f"{_EXT}LocationShown",
    f"{_EXT}LocationCreated",
)
PLACE = (f"{_CORE}Location", f"{_PHOTOSHOP}City", f"{_PHOTOSHOP}State", f"{_PHOTOSHOP}Country")
PLACE_PARTS = (f"{_EXT}Sublocation", f"{_EXT}City", f"{_EXT}ProvinceState", f"{_EXT}CountryName")

_MWG = "{http://www.metadataworkinggroup.com/schemas/regions/}"
_MP_INFO, _MP_REGION = (
    "{http://ns.microsoft.com/photo/1.2/}RegionInfo",
    "{http://ns.microsoft.com/photo/1.2/t/Region#}",
)
REGIONS = (
    (f"{_MWG}Regions", f"{_MWG}Name", f"{_MWG}Type"),
    (_MP_INFO, f"{_MP_REGION}PersonDisplayName", f"{_MP_REGION}Type"),
)
"""(property, field that holds the name, field that holds the kind)."""

HIERARCHIES = (
    ("{http://ns.adobe.com/lightroom/1.0/}hierarchicalSubject", "|"),
    ("{http://www.digikam.org/ns/1.0/}TagsList", "/"),
)
"""(property, what stands between its levels)."""
TAG_PATHS = (*reversed(HIERARCHIES), (SUBJECT, "\0"))
"""(property, separator), the best way to say it first; a plain keyword has no levels."""
PEOPLE_ROOTS = frozenset({"people", "person", "persons", "faces", "personen", "personnes", "personas", "persone"})
"""First levels, casefolded, below which programs keep the names of people."""

WANTED = frozenset(
    {
        *(TITLE, CAPTION, RIGHTS, CREATOR, SUBJECT, RATING, WEB_STATEMENT, USAGE_TERMS, LICENSE),
        *(HEADLINE, CREDIT, DATE_CREATED, MAKE, MODEL, DATE_TAKEN, LATITUDE, LONGITUDE),
        *(PERSON_IN_IMAGE, LOCATION_SHOWN, LOCATION_CREATED, *PLACE),
        *(name for name, _, _ in REGIONS),
        *(name for name, _ in HIERARCHIES),
    }
)
