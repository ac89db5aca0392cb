"""The rights URIs that `rights` may hold. Rule: Presentation API 3.0 §3.1 and Image API 3.0 §5.2, rights."""

from __future__ import annotations

import re

_CREATIVE_COMMONS = re.compile(
    r"https?://(?:www\.)?creativecommons\.org/"
    r"(?P<path>licenses/(?:by(?:-nc)?(?:-nd|-sa)?|nd|nc|sa|nd-nc|nc-sa)/[1-4]\.[0-9](?:/[a-z]{2,3})?"
    r"|publicdomain/(?:zero|mark)/1\.0)"
    r"(?:/(?:deed|legalcode)(?:\.[A-Za-z_-]{2,10})?|/rdf)?/?",
    re.IGNORECASE,
)
_RIGHTS_STATEMENT = re.compile(
    r"https?://(?:www\.)?rightsstatements\.org/(?:vocab|page)/(?P<name>[A-Z-]{3,9})/1\.0/?(?:\?language=[a-z-]{2,8})?",
    re.IGNORECASE,
)
_STATEMENTS = {
    name.casefold(): name
    for name in (
        *("InC", "InC-OW-EU", "InC-EDU", "InC-NC", "InC-RUU", "NoC-CR", "NoC-NC", "NoC-OKLR", "NoC-US"),
        *("CNE", "UND", "NKC"),
    )
}


def rights_uri(text: str) -> str | None:
    """The Creative Commons or RightsStatements URI that `text` is, as those bodies define it; None for all else.

    The defined form begins with http:// and ends in a slash; pages made for people ("deed.de") name the same thing.
    """
    text = text.strip()
    if match := _CREATIVE_COMMONS.fullmatch(text):
        return f"http://creativecommons.org/{match['path'].lower()}/"
    if (match := _RIGHTS_STATEMENT.fullmatch(text)) and (name := _STATEMENTS.get(match["name"].casefold())):
        return f"http://rightsstatements.org/vocab/{name}/1.0/"
    return None
