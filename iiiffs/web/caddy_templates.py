"""Caddy's templates: they set an answer's Location, or raise the error that it is.

Each is executed as the body of an answer (see `caddy`), which stays empty. What a client wrote reaches them through
`placeholder`, as a value: it is never part of a template's text.
"""

from __future__ import annotations

import json
import re

from iiiffs.web.answers import UNRESERVED
from iiiffs.web.site import Site

TEMPLATE_TYPE = "text/x-iiiffs"
ASKED = 'placeholder "http.request.orig_uri"'


def service_template(site: Site) -> str:
    """Of what is no file below iiif/2 or iiif/3: 303 from a base URI; 400 below an image that exists, else 404."""
    raw = _go(f"^{re.escape(site.prefix)}/[^/?]+/iiif/[23]/[^?]*[^/?]")
    plain = _go(f"^/{UNRESERVED}/iiif/[23]/{UNRESERVED}$")
    former = "".join(
        f"{{{{if not $base}}}}{{{{ $asked = regexFind {_go(f'^{re.escape(old.path)}/[^?]*[^/?]')} ({ASKED})}}}}"
        f"{{{{if $asked}}}}{{{{ $base = print {_go(old.origin)} $asked}}}}{{{{end}}}}{{{{end}}}}"
        for old in site.longest_former
    )
    return (
        '{{ $path := placeholder "http.regexp.service.1"}}'
        '{{ $base := ""}}{{ $asked := ""}}'
        f"{former}"
        f"{{{{if not $base}}}}{{{{ $asked = regexFind {raw} ({ASKED}) | trimPrefix {_go(site.prefix)}}}}}"
        f"{{{{if not $asked}}}}{{{{ $asked = regexFind {plain} $path}}}}{{{{end}}}}"
        f"{{{{if $asked}}}}{{{{ $base = print {_go(site.base)} $asked}}}}{{{{end}}}}{{{{end}}}}"
        '{{if and $base (fileExists (print $path "/info.json"))}}'
        f'{{{{.RespHeader.Set "Location" (print $base "/info.json")}}}}{_no_type()}'
        "{{else}}"
        f'{{{{ $image := regexReplaceAll {_go("(/[^/]+){4}$")} (placeholder "http.regexp.service.0") ""}}}}'
        '{{if and $image (fileExists (print $image "/info.json"))}}{{httpError 400}}{{else}}{{httpError 404}}{{end}}'
        "{{end}}"
    )


def alias_template(site: Site, in_place: int) -> str:
    """Of what looks like an alias: 303 to the id in its info.json if that is one of this site's, else `in_place`;
    404 if there is nothing."""
    known = _go(rf"\x22id\x22:\s*\x22{re.escape(site.base)}/{UNRESERVED}/iiif/3/[^\x22]+")
    key = _go(r"^\x22id\x22:\s*\x22")
    rest = _go("^[^?]*/iiif/[^/?]+/?")
    text = (
        '{{ $file := print (placeholder "http.regexp.link.1") "/info.json"}}{{ $id := ""}}'
        f"{{{{if fileExists $file}}}}{{{{ $id = regexFind {known} (include $file)}}}}{{{{end}}}}"
        "{{if $id}}"
        f'{{{{ $rest := regexReplaceAll {_go("[?].*$")} (regexReplaceAll {rest} ({ASKED}) "") ""}}}}'
        f'{{{{.RespHeader.Set "Location" (print (regexReplaceAll {key} $id "") "/" (default "info.json" $rest))}}}}'
        f"{_no_type()}"
        '{{else if fileExists (placeholder "http.regexp.link.0")}}'
        f"{{{{httpError {in_place}}}}}{{{{else}}}}{{{{httpError 404}}}}{{{{end}}}}"
    )
    return text.replace("{{", f"<{site.secret} ").replace("}}", f" {site.secret}>")


def folder_template() -> str:
    """Of what is no file: 301 to a directory's own path, with the slash; else 404."""
    return (
        '{{if fileExists (placeholder "http.regexp.name.1")}}'
        f'{{{{.RespHeader.Set "Location" (print (regexReplaceAll {_go("^/+")} '
        f'(regexReplaceAll {_go("[?].*$")} ({ASKED}) "") "/") "/")}}}}{_no_type()}'
        "{{else}}{{httpError 404}}{{end}}"
    )


def _no_type() -> str:
    return '{{.RespHeader.Del "Content-Type"}}'


def _go(text: str) -> str:
    """`text` as a Go string; as JSON, it holds ASCII only."""
    return json.dumps(text)
