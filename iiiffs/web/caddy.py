"""The Caddy configuration that serves a mount: text from a value, nothing else.

It is whole: `caddy run --config FILE` runs it as any user, in the foreground. It answers as the nginx configuration
does (see `nginx`); Caddy 2.6 or newer, no plug-ins. What differs:

- An alias path's 303 takes its URI from the info.json that the alias leads to, since Caddy cannot tell where a symlink
  leads. What is not an id of this site's is served in place.
- Caddy looks a path up in a template (its `file` matcher takes `[` in a name for a pattern, and then lists
  directories): see `caddy_templates`.

How it is written. In Caddy's own language, JSON: a Caddyfile of 2.6 cannot forbid that the configuration is copied to
the user's home. Routes are tried in their order, and one that answers ends the request: `@id` says what each is for.
Headers are set first, and stay on the answer when an error follows.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from iiiffs.errors import ConfigError
from iiiffs.web.answers import (
    ANY_TYPE,
    ASKED_HEADERS,
    CONTROLS,
    DOCUMENT,
    DOCUMENT_TYPE,
    EXPOSED_HEADERS,
    INFO_2,
    INFO_2_TYPE,
    INFO_3,
    INFO_3_TYPE,
    LINK,
    MEDIA_TYPES,
    METHODS,
    ORIGINAL_POLICY,
    PAGE,
    PAGE_TYPE,
    PLAIN_INFO_2_TYPE,
    PREFLIGHT_AGE_S,
    REFERRER_POLICY,
    SERVICE,
    VIEWER_TYPES,
    VIEWERS_POLICY,
    shown_page_policy,
)
from iiiffs.web.caddy_parts import (
    Part,
    add_header,
    compress,
    folder,
    pattern,
    refuse,
    route,
    routes,
    say,
    set_headers,
    strip,
    untyped,
    whole,
)
from iiiffs.web.caddy_templates import TEMPLATE_TYPE, alias_template, folder_template, service_template
from iiiffs.web.page import VIEWERS_NAME
from iiiffs.web.site import Site

TYPE = "{iiiffs_type}"
IN_PLACE = 418
"""The error that the alias's template raises for what is no alias. No client sees it."""
PACKED = (f"^{PAGE}$", f"^{DOCUMENT}$", f"^{INFO_3}$", f"^{INFO_2}$")
DOCUMENTS = ("*.json", "*.html", "*/")
"""Paths that may be a document or a page. Most requests are for images: they shall pass few regular expressions."""
CONDITIONS = ("Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since")


def caddy_config(site: Site) -> str:
    """A complete configuration, as JSON.

    Errors: ConfigError for a site without a `secret`.
    """
    if not re.fullmatch("[A-Za-z0-9]{16,}", site.secret):
        raise ConfigError("Caddy's configuration needs a secret of at least 16 letters and digits")
    server: Part = {
        "listen": [str(site.address)],
        "protocols": ["h1", "h2c"],
        "automatic_https": {"disable": True},
        "routes": [*_refusals(site), *_headers(site), *_methods(), *_paths(site)],
        "errors": {"routes": _errors(site)},
    }
    document: Part = {
        "@id": "Printed by iiiffs. Run it with: caddy run --config THIS-FILE",
        "admin": {"disabled": True, "config": {"persist": False}},
        "storage": {"module": "file_system", "root": f"{site.run_dir.rstrip('/')}/caddy"},
        "logging": {"logs": {"default": {"level": "ERROR"}}},
        "apps": {"http": {"grace_period": "3s", "servers": {"iiiffs": server}}},
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _refusals(site: Site) -> list[Part]:
    names = [name.strip("[]") for name in site.names]
    # A page of a stranger whose name was pointed at this address (DNS rebinding) learns nothing
    return [route("any-other-name", refuse(421), **{"not": [{"host": names}]})]


def _headers(site: Site) -> list[Part]:
    always = set_headers(
        X_Content_Type_Options="nosniff",
        Referrer_Policy=REFERRER_POLICY,
        # The pages run their own script only, and nothing else on this site runs any. Viewers bring a policy.
        Content_Security_Policy=ORIGINAL_POLICY,
    )
    viewers = f"{site.prefix}/{VIEWERS_NAME}/*"
    page = set_headers(Content_Security_Policy=shown_page_policy(site.viewer_base))
    return [
        route("on-every-answer", always),
        route("policy-of-pages", page, path=["*/", "*/index.html"]),
        route("policy-of-viewers", set_headers(Content_Security_Policy=VIEWERS_POLICY), path=[viewers]),
        *_cors(site),
    ]


def _cors(site: Site) -> list[Part]:
    match: Part = {}
    vary: list[Part] = []
    if not site.everyone:
        vary = [route("vary", add_header("Vary", "Origin"))]
        listed = f"^(?:{'|'.join(re.escape(origin) for origin in site.origins)})$"
        match = {"header_regexp": {"Origin": pattern(listed)}}
    origin = "*" if site.everyone else "{http.request.header.Origin}"
    answer = set_headers(Access_Control_Allow_Origin=origin, Access_Control_Expose_Headers=EXPOSED_HEADERS)
    preflight = set_headers(
        Access_Control_Allow_Methods=METHODS,
        Access_Control_Allow_Headers=ASKED_HEADERS,
        Access_Control_Max_Age=str(PREFLIGHT_AGE_S),
    )
    return [
        *vary,
        route("allowed-origin", answer, **match),
        route("preflight", preflight, method=["OPTIONS"], **match),
    ]


def _methods() -> list[Part]:
    others = {"not": [{"method": METHODS.split(", ")}]}
    return [
        route("other-methods", set_headers(Allow=METHODS), refuse(405), **others),
        # No name here holds a control character, or is longer than a file system's
        route("no-name", refuse(404), path_regexp=pattern(f"{CONTROLS}|[^/]{{256}}")),
        route("options", set_headers(Allow=METHODS), say(204), method=["OPTIONS"]),
    ]


def _former(site: Site) -> list[Part]:
    """The addresses of an earlier image server lead to the accounts that have its images."""
    return [
        route(
            f"former-{number}",
            {
                "handler": "rewrite",
                "path_regexp": [{"find": f"^{re.escape(former.path)}/", "replace": f"{site.prefix}{former.place}/"}],
            },
            path_regexp=pattern(f"^{re.escape(former.path)}/."),
        )
        for number, former in enumerate(site.longest_former)
    ]


def _prefix(site: Site) -> list[Part]:
    prefix = site.prefix
    if not prefix:
        return []
    moved: Part = {"handler": "static_response", "status_code": 301, "headers": {"Location": [f"{prefix}/"]}}
    outside: Part = {"not": [{"path_regexp": pattern(f"^{re.escape(prefix)}/")}]}
    return [
        route("prefix-without-slash", moved, path_regexp=pattern(f"^{re.escape(prefix)}$")),
        route("outside", refuse(404), **outside),
        route("strip", strip(prefix)),
    ]


def _paths(site: Site) -> list[Part]:
    """Routes by path: rewrites first, then what answers."""
    return [*_former(site), *_prefix(site), *_viewers(site), *_tree(site)]


def _viewers(site: Site) -> list[Part]:
    name = re.escape(VIEWERS_NAME)
    rows = _rows(VIEWER_TYPES, "(?:^|[^a-z])")
    # An absent list of viewers is an empty answer, not an error in a browser's log
    return [
        routes(
            "viewers",
            route("viewers-types", *_typed(rows)),
            route("viewers-packed", compress(), **whole()),
            route("viewers-files", strip(f"/{VIEWERS_NAME}"), _file_server(site.viewers)),
            route("no-viewers", untyped(), say(204), path_regexp=pattern(r"^/versions\.json$")),
            route("no-viewer", refuse(404)),
            path_regexp=pattern(f"^/{name}/"),
        ),
        # The mount's own state (.iiiffs names private paths) and the litter of desktops
        route("hidden", refuse(404), path_regexp=pattern(r"^/\.")),
    ]


def _tree(site: Site) -> list[Part]:
    types = (PAGE_TYPE, DOCUMENT_TYPE, INFO_3_TYPE, PLAIN_INFO_2_TYPE)
    known = [*zip(PACKED, types, strict=True), *_rows(MEDIA_TYPES, "(?i)[.]")]
    json_ld = {"Accept": {"pattern": r"application/ld\+json"}}
    info_2 = pattern(f"^{INFO_2}$")
    image = r"(?:/info\.json|(?:/[^/]+){4})?/*$"
    others: Part = {"not": [{"path": DOCUMENTS}]}
    return [
        routes(
            "documents",
            route("documents-types", *_typed(known)),
            # Image API 2.1 §5.1: JSON-LD for who asks for it, plain JSON for everybody else
            route("info-2", add_header("Vary", "Accept"), path_regexp=info_2),
            route("info-2-ld", set_headers(Content_Type=INFO_2_TYPE), path_regexp=info_2, header_regexp=json_ld),
            route("packed", compress(), path_regexp=pattern("|".join(PACKED)), **whole()),
            path=DOCUMENTS,
        ),
        route("types", *_typed(_rows(MEDIA_TYPES, "(?i)[.]")), **others),
        # An image, or its directory, which is a base URI
        route(
            "services",
            _file_server(site.root),
            *_template(site, service_template(site), 303),
            path_regexp=pattern(f"^({SERVICE}?)/*$", "service"),
        ),
        # ALBUM/iiif/NAME leads to an asset's own directory: 303 to the URI that lasts
        route(
            "aliases",
            *_template(site, alias_template(site, IN_PLACE), 303, (f"<{site.secret}", f"{site.secret}>")),
            path_regexp=pattern(f"^({LINK}){image}", "link"),
        ),
        route("pages", _file_server(site.root, "index.html"), refuse(404), path_regexp=pattern("/$")),
        # A file; a directory without its slash
        route(
            "files",
            _file_server(site.root),
            *_template(site, folder_template(), 301),
            path_regexp=pattern("^(.*[^/])$", "name"),
        ),
    ]


def _file_server(root: str, *index: str, status: int | None = None) -> Part:
    """A regular file is sent, with `status` if it is given; anything else is left to the next handler."""
    always: Part = {} if status is None else {"status_code": status}
    how: Part = {"canonical_uris": False, "pass_thru": True, **always}
    return {"handler": "file_server", "root": folder(root), "index_names": index, **how}


def _template(site: Site, text: str, status: int, marks: tuple[str, ...] = ()) -> list[Part]:
    """The template's answer has `status` and what it sets, unless it raises an error; it has no body."""
    delimiters: Part = {"delimiters": marks} if marks else {}
    return [
        # A template's name is the path, whose `%` would spoil the error that it raises
        {"handler": "rewrite", "uri": "/"},
        set_headers(Content_Type=TEMPLATE_TYPE),
        {"handler": "templates", "mime_types": [TEMPLATE_TYPE], "file_root": folder(site.root), **delimiters},
        {"handler": "static_response", "status_code": status, "body": text},
    ]


def _rows(types: tuple[tuple[str, str], ...], before: str) -> list[tuple[str, str]]:
    return [(f"{before}(?:{names.replace(' ', '|')})$", media_type) for media_type, names in types]


def _typed(rows: Sequence[tuple[str, str]]) -> list[Part]:
    mappings = [{"input_regexp": regex, "outputs": [media_type]} for regex, media_type in rows]
    known: Part = {"source": "{http.request.uri.path}", "destinations": [TYPE], "mappings": mappings}
    return [{"handler": "map", **known, "defaults": [ANY_TYPE]}, set_headers(Content_Type=TYPE)]


def _errors(site: Site) -> list[Part]:
    # What looked like an alias and is none. A part of it is not given: this file server says 200 to everything
    unconditional: Part = {"handler": "headers", "request": {"delete": CONDITIONS}}
    stripped = [route("in-place-strip", strip(site.prefix))] if site.prefix else []
    status = "{http.error.status_code}"
    return [
        routes(
            "in-place",
            *stripped,
            route("in-place-type", unconditional, set_headers(Content_Type=TYPE)),
            route(
                "in-place-pages",
                _file_server(site.root, "index.html", status=200),
                untyped(),
                say(404),
                path_regexp=pattern("/$"),
            ),
            route(
                "in-place-files",
                _file_server(site.root, status=200),
                *_template(site, folder_template(), 301),
                path_regexp=pattern("^(.*[^/])$", "name"),
            ),
            expression=f"{status} == {IN_PLACE}",
        ),
        route("error", untyped(), say(status)),
    ]
