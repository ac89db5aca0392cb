"""What every web server of ours answers with: media types, policies, headers, the grammar of paths below a mount.

The three configurations say the same in three languages; what they share is here, so that they cannot drift apart.
"""

from __future__ import annotations

from iiiffs.web.page import page_policy

# What a browser may show in place. Anything else (a stray .html or .js among the photos) is offered as a download.
# Images are first: servers look through it in this order.
MEDIA_TYPES = (
    ("image/jpeg", "jpg jpeg jpe jfif"),
    ("image/png", "png"),
    ("image/webp", "webp"),
    ("image/avif", "avif"),
    ("image/heic", "heic"),
    ("image/heif", "heif"),
    ("image/gif", "gif"),
    ("image/tiff", "tif tiff"),
    ("image/jp2", "jp2"),
    ("image/bmp", "bmp"),
    ("image/svg+xml", "svg"),
    ("application/ld+json", "jsonld"),
    ("application/json", "json"),
    ("application/xml", "xml"),
    ("application/pdf", "pdf"),
    ("text/plain; charset=utf-8", "txt md toml log"),
    ("video/mp4", "mp4 m4v"),
    ("video/quicktime", "mov"),
    ("video/webm", "webm"),
    ("video/x-matroska", "mkv"),
    ("video/x-msvideo", "avi"),
    ("audio/mpeg", "mp3"),
    ("audio/mp4", "m4a"),
)
VIEWER_TYPES = (
    ("text/html; charset=utf-8", "html"),
    ("text/css; charset=utf-8", "css"),
    ("text/javascript; charset=utf-8", "js"),
    ("application/json", "json"),
    ("application/wasm", "wasm"),
    ("image/svg+xml", "svg"),
    ("image/png", "png"),
    ("image/gif", "gif"),
    ("font/woff2", "woff2"),
    ("font/woff", "woff"),
    ("text/plain; charset=utf-8", "txt LICENSE"),
)
ANY_TYPE = "application/octet-stream"
PAGE_TYPE = "text/html; charset=utf-8"
INFO_3_TYPE = 'application/ld+json;profile="http://iiif.io/api/image/3/context.json"'
DOCUMENT_TYPE = 'application/ld+json;profile="http://iiif.io/api/presentation/3/context.json"'
INFO_2_TYPE = "application/ld+json"
"""Of an iiif/2 info.json, for who asks for it; `PLAIN_INFO_2_TYPE` for everybody else. Rule: Image API 2.1 §5.1"""
PLAIN_INFO_2_TYPE = "application/json"

METHODS = "GET, HEAD, OPTIONS"
# What scripts of an allowed origin may send, and may read of an answer. Rule: Fetch §3.2 (CORS protocol)
ASKED_HEADERS = "Accept, Content-Type, If-Modified-Since, If-None-Match, If-Range, Range"
EXPOSED_HEADERS = "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Location"
PREFLIGHT_AGE_S = 86400

# An original is shown on its own, never as a document that could act for this site. `sandbox` also holds for SVG.
ORIGINAL_POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"
VIEWERS_POLICY = "frame-ancestors 'self'"
REFERRER_POLICY = "same-origin"

GZIP_LEVEL = 5
GZIP_MIN_BYTES = 256

# Regular expressions that PCRE and RE2 read alike, for decoded paths below base_url's.
UNRESERVED = "[A-Za-z0-9._~-]+"
SERVICE = "/[^/]+/iiif/[23]/.+"
"""An image's directory or what is below it. Several segments: [account.X] identifiers = "path" has `2024/a.jpg`."""
IMAGE = r"/[^/]+/iiif/[23]/.+(?:/[^/]+){3}/[a-z]+\.[a-z0-9]+"
"""What may be an image; and the directory of one, under such an identifier."""
INFO_3 = r"/[^/]+/iiif/3/.+/info\.json"
INFO_2 = r"/[^/]+/iiif/2/.+/info\.json"
DOCUMENT = r"/(?:.+/)?(?:manifest|collection)\.json"
PAGE = r"/(?:.+/)?(?:index\.html)?"
LINK = "/[^/]+/.+/iiif/[^/]+"
"""ALBUM/iiif/NAME, a symlink to the image's own directory (or a provider's real folder that is called so)."""
CONTROLS = r"[\x00-\x1f\x7f]"


def shown_page_policy(viewer_base: str) -> str:
    """The Content-Security-Policy header of the pages: the one in their `<meta>`, and no frames of strangers."""
    return f"{page_policy(viewer_base)}; frame-ancestors 'self'"
