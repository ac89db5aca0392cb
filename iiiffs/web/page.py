"""index.html: one constant file a kind, which reads the manifest.json or collection.json beside it.

The bytes depend on the kind, on base_url and on where the viewers are, never on what a gallery holds: no title of a
stranger can become markup here, and one inode serves every album. The page's policy is a `<meta>` in it and, word for
word, a header of the printed web-server configurations, so that a foreign `index.html` in a folder of photos is shown
under the same policy and its scripts do not run.

What the page expects of the documents beside it (kind by kind in `PageKind`):

- ids begin with base_url. The page asks for them on the host that served it (base_url's path below that host), so that
  it works through a tunnel or another loopback name; only what base_url's path is cannot be changed on the way.
- a collection.json names the manifest.json of its own album among its `items` when there is one: the page then reads
  it and asks for nothing that is not there.
- an item of a collection is linked to its `homepage` where that is on the same site, else to the directory of its id.
"""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from importlib import resources
from urllib.parse import urlsplit

from iiiffs.errors import ConfigError
from iiiffs.tree.nodes import PageKind

VIEWERS_NAME = ".viewers"
"""The directory of the site, below base_url, at which web servers show the installed viewers.

It is no part of the mount. It begins with a dot, so no account can have this name.
"""


def page(kind: PageKind, viewer_base: str, base_url: str) -> bytes:
    """The bytes of index.html; equal arguments give equal bytes.

    `viewer_base`: [iiif] viewer_base: "" for `VIEWERS_NAME` below base_url, else an absolute http(s) URL of a folder
        that is laid out as `install_viewers` does.
    Errors: ConfigError if one of the two is no http(s) URL.
    """
    base_url = checked_url(base_url, "base_url").rstrip("/")
    viewers = checked_url(viewer_base, "viewer_base").rstrip("/") + "/" if viewer_base else f"./{VIEWERS_NAME}/"
    filled = {
        "@KIND@": kind.value,
        "@BASE_URL@": escape(base_url),
        "@VIEWERS@": escape(viewers),
        "@POLICY@": escape(page_policy(viewer_base), quote=True),
        "@STYLE@": asset_text("index.css"),
        "@SCRIPT@": asset_text("index.js"),
    }
    text = asset_text("index.html")
    for mark, value in filled.items():
        text = text.replace(mark, value)
    return text.encode()


def page_policy(viewer_base: str) -> str:
    """The Content-Security-Policy of both kinds of page, fit for a `<meta>` and for a header.

    Scripts: ours by its hash, and what ours loads ('strict-dynamic': OpenSeadragon). A browser that does not know that
    word loads no OpenSeadragon, and the page shows plain images.
    """
    connect = "'self'"
    if viewer_base:
        parts = urlsplit(checked_url(viewer_base, "viewer_base"))
        connect += f" {parts.scheme}://{parts.netloc}"
    directives = (
        "default-src 'none'",
        f"script-src {hash_source(asset_text('index.js'))} 'strict-dynamic'",
        f"style-src {hash_source(asset_text('index.css'))}",
        "img-src 'self' data: blob:",
        "media-src 'self'",
        f"connect-src {connect}",
        "base-uri 'none'",
        "form-action 'none'",
    )
    return "; ".join(directives)


def hash_source(text: str) -> str:
    """The source expression that admits exactly this inline text. Rule: CSP Level 3 §2.3.1 (hash-source)."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def asset_text(name: str) -> str:
    """One file of web/assets, as it was packaged."""
    return (resources.files("iiiffs.web") / "assets" / name).read_text(encoding="utf-8")


def checked_url(url: str, key: str) -> str:
    """`url` itself, if it is an absolute http(s) URL without user, query, fragment, blanks or quotes.

    Errors: ConfigError naming `key`.
    """
    wanted = f"{key} = {url!r} is no address: an absolute http:// or https:// URL was expected"
    if any(character <= " " or character in "\"'<>\\^`{}|;$\x7f" for character in url) or not url.isascii():
        raise ConfigError(wanted)
    try:
        parts = urlsplit(url)
        port_is_legal = parts.port is None or parts.port > 0
    except ValueError as error:
        raise ConfigError(wanted) from error
    host = re.fullmatch(r"[A-Za-z0-9_-][A-Za-z0-9._-]*|[0-9a-fA-F:.]*:[0-9a-fA-F:.]*", parts.hostname or "")
    if parts.scheme not in ("http", "https") or host is None or not port_is_legal:
        raise ConfigError(wanted)
    if parts.query or parts.fragment or "@" in parts.netloc or "?" in url or "#" in url:
        raise ConfigError(f"{key} = {url!r} may not hold a user, a query or a fragment")
    return url
