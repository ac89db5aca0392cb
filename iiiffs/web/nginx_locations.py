"""The locations of the nginx configuration: which path is answered how.

Every location is a regex that captures `$iiiffs_path`, the path below the mount, and an `alias` made of it, so that a
prefix in base_url needs no rewriting. The maps that it reads are in `nginx`.
"""

from __future__ import annotations

import re

from iiiffs.web.answers import (
    DOCUMENT,
    DOCUMENT_TYPE,
    IMAGE,
    INFO_2,
    INFO_2_TYPE,
    INFO_3,
    INFO_3_TYPE,
    LINK,
    MEDIA_TYPES,
    PAGE_TYPE,
    PLAIN_INFO_2_TYPE,
    SERVICE,
    UNRESERVED,
    VIEWER_TYPES,
)
from iiiffs.web.page import VIEWERS_NAME
from iiiffs.web.site import Site


def quoted(text: str, *, variables: bool) -> str:
    """`text` as one nginx word. nginx cannot escape `$` where it knows variables: there a variable stands for it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return escaped.replace("$", "${iiiffs_dollar}") if variables else escaped


def folder(path: str, *, variables: bool = True) -> str:
    """A folder as part of an nginx word, without a slash at its end."""
    return quoted(path.rstrip("/"), variables=variables)


def in_pattern(text: str) -> str:
    r"""`text` inside a quoted regex that matches it literally.

    re.escape writes `\$`, whose `$` nginx would take for a variable in a map's key; a class does not begin a name.
    """
    escaped = "".join(f"[{c}]" if c in '$"{} ' else re.escape(c) for c in text)
    return escaped.replace('"', '\\"')


def types(rows: tuple[tuple[str, str], ...] = ((PAGE_TYPE, "html"), *MEDIA_TYPES)) -> str:
    """The lines of a `types` block."""
    return "\n".join(f'            "{media_type}" {names};' for media_type, names in rows)


def locations(site: Site) -> str:
    """Every location of the server: of two that match a path the first one answers."""
    pattern, root = in_pattern(site.prefix), folder(site.root)
    parts = [_viewers(site), _hidden(pattern), _documents(pattern, root, INFO_3, INFO_3_TYPE), _info_2(pattern, root)]
    parts += [_services(pattern, root), _documents(pattern, root, DOCUMENT, DOCUMENT_TYPE)]
    parts += [_aliases(site, pattern, root), _pages(pattern, root), _files(pattern, root)]
    if site.prefix:
        parts.append(f'        location = "{site.prefix}" {{ return 301 "{site.prefix}/"; }}')
    parts.append("        location / { return 404; }")
    return "\n\n".join(parts)


def _viewers(site: Site) -> str:
    viewers = folder(site.viewers)
    return f"""\
        # Viewers, if they are installed. An absent list of them is an empty answer, not an error in a browser's log.
        location = "{site.prefix}/{VIEWERS_NAME}/versions.json" {{
            alias "{viewers}/versions.json";
            error_page 404 =204 @iiiffs_no_viewers;
        }}
        location @iiiffs_no_viewers {{ return 204; }}
        location ^~ "{site.prefix}/{VIEWERS_NAME}/" {{
            alias "{viewers}/";
            types {{
{types(VIEWER_TYPES)}
            }}
            gzip on;
            error_page 403 =404 @iiiffs_nothing;
        }}
        location @iiiffs_nothing {{ return 404; }}   # a directory without a page: there is nothing to see"""


def _hidden(pattern: str) -> str:
    return f"""\
        # The mount's own state (.iiiffs names private paths) and the litter of desktops.
        location ~ "^{pattern}/\\." {{ return 404; }}"""


def _documents(pattern: str, root: str, path: str, media_type: str) -> str:
    return f"""\
        location ~ "^{pattern}(?<iiiffs_path>{path})$" {{
            alias "{root}$iiiffs_path";
            types {{ }}
            default_type '{media_type}';
            gzip on;
        }}"""


def _info_2(pattern: str, root: str) -> str:
    return f"""\
        # Image API 2.1 §5.1: JSON-LD for who asks for it, plain JSON for everybody else.
        location ~ "^{pattern}(?<iiiffs_path>{INFO_2})$" {{
            alias "{root}$iiiffs_path";
            types {{ }}
            default_type {INFO_2_TYPE};
            gzip on;
            if ($http_accept !~ "application/ld\\+json") {{ return 418; }}
            error_page 418 = @iiiffs_plain_json;
        }}
        location @iiiffs_plain_json {{
            root "{root}";
            types {{ }}
            default_type {PLAIN_INFO_2_TYPE};
            gzip on;
            try_files $iiiffs_path =404;
        }}"""


def _services(pattern: str, root: str) -> str:
    return f"""\
        # An image, or its directory: that is a base URI, and leads to info.json. Rule: Image API 3.0 §2 (303)
        location ~ "^{pattern}(?<iiiffs_path>{IMAGE})$" {{
            alias "{root}$iiiffs_path";
            error_page 301 404 = @iiiffs_no_image;
        }}
        location ~ "^{pattern}(?<iiiffs_path>{SERVICE})$" {{
            error_page 404 = @iiiffs_no_image;
            return 404;
        }}
        location @iiiffs_no_image {{
            set $iiiffs_base "";
            if (-f "{root}$iiiffs_path/info.json") {{ set $iiiffs_base $iiiffs_asked; }}
            if ($iiiffs_base != "") {{ return 303 "$iiiffs_base/info.json"; }}
            # A miss below an image that exists is the asker's mistake. Rule: Image API 3.0 §7 (400, 404)
            if ($iiiffs_image = "") {{ return 404; }}
            if (-f "{root}$iiiffs_image/info.json") {{ return 400; }}
            return 404;
        }}"""


def _aliases(site: Site, pattern: str, root: str) -> str:
    mount = in_pattern(site.root.rstrip("/"))
    return f"""\
        # ALBUM/iiif/NAME is a symlink to the asset's own directory: 303 to the URI that lasts. $realpath_root is where
        # the alias leads once links are followed; a provider's real folder named `iiif` leads nowhere else, and is
        # served as it is.
        location ~ "^{pattern}(?<iiiffs_path>(?<iiiffs_link>{LINK})(?:/.*)?)$" {{
            alias "{root}$iiiffs_probe";
            set $iiiffs_probe "";
            if (-d "{root}$iiiffs_link") {{ set $iiiffs_probe $iiiffs_link; }}
            set $iiiffs_real $realpath_root;
            set $iiiffs_probe $iiiffs_path;
            if ($iiiffs_rest = "-") {{ set $iiiffs_real ""; }}
            if ($iiiffs_real ~ "^{mount}(?<iiiffs_stable>/{UNRESERVED}/iiif/3/{UNRESERVED})$") {{
                return 303 "{site.base}$iiiffs_stable$iiiffs_rest";
            }}
            error_page 403 =404 @iiiffs_nothing;
        }}"""


def _pages(pattern: str, root: str) -> str:
    return f"""\
        location ~ "^{pattern}(?<iiiffs_path>/(?:.+/)?index\\.html)$" {{
            alias "{root}$iiiffs_path";
            gzip on;
        }}
        # Pages live under that one name; any other HTML is a stranger's file.
        location ~ "^{pattern}(?<iiiffs_path>/.*\\.[Hh][Tt][Mm][Ll]?)$" {{
            alias "{root}$iiiffs_path";
            types {{ }}
        }}"""


def _files(pattern: str, root: str) -> str:
    return f"""\
        location ~ "^{pattern}(?<iiiffs_path>/.*)$" {{
            alias "{root}$iiiffs_path";
            error_page 403 =404 @iiiffs_nothing;
        }}"""
