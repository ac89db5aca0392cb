"""The nginx configuration that serves a mount: text from a value, nothing else.

It is whole: `nginx -e stderr -c FILE` runs it as any user, in the background unless `-g 'daemon off;'` is added. It
makes of a plain directory tree (DESIGN §2) a IIIF server (Image API 3.0 §4 to §7, Presentation API 3.0 §6.3): media
types, 303 from a base URI to info.json, 400 for bad parameters of an image that exists, CORS on every answer; and one
that no web page of a stranger can read (DESIGN §3): loopback, known host names, allowed origins.

How it is written. Every location is a regex that captures `$iiiffs_path`, the path below the mount, and an `alias` made
of it, so that a prefix in base_url needs no rewriting. Headers are set once, in the server, since an `add_header` in a
location would drop the others; what differs between locations is in maps. Redirects take their path from the client's
own, still encoded, text: the decoded one could end the header line.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import urlsplit

from iiiffs.errors import ConfigError
from iiiffs.web.page import VIEWERS_NAME, checked_url, page_policy

CACHED_FILES = 10_000
"""open_file_cache: open files that nginx keeps. Each is one handle of the mount, pinned to one version of its bytes."""

CACHED_VALID_S = 1
"""How long nginx trusts a cached handle before it looks the name up again. Rule: DESIGN §6 (1-2 s)."""

# Names on which a server that listens on loopback is reached by its own machine's user.
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")

# What a browser may show in place. Anything else (a stray .html or .js among the photos) is offered as a download.
MEDIA_TYPES = (
    ("text/html; charset=utf-8", "html"),
    ("application/ld+json", "jsonld"),
    ("application/json", "json"),
    ("application/xml", "xml"),
    ("application/pdf", "pdf"),
    ("text/plain; charset=utf-8", "txt md toml log"),
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

# What scripts of an allowed origin may send, and may read of an answer. Rule: Fetch §3.2 (CORS protocol)
ASKED_HEADERS = "Accept, Content-Type, If-Modified-Since, If-None-Match, If-Range, Range"
EXPOSED_HEADERS = "Accept-Ranges, Content-Encoding, Content-Length, Content-Range, ETag, Location"

# An original is shown on its own, never as a document that could act for this site. `sandbox` also holds for SVG.
ORIGINAL_POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox"


@dataclass(frozen=True, slots=True)
class NginxSite:
    """What to serve, and to whom. Paths are absolute.

    `root`: the mount point, symlinks resolved (else alias paths are answered in place and not with 303).
    `listen`: "HOST:PORT"; HOST an IP address, or "localhost" for 127.0.0.1. Loopback unless `published`.
    `base_url`: its path is the location that is served; its host is answered, and so are the loopback names.
    `allow_origins`: origins that may read answers; () = base_url's own; ("*",) = every.
    `viewers`: the folder that `install_viewers` fills; it may be absent.
    `viewer_base`: [iiif] viewer_base, as given to `page`: the policy names it.
    `run_dir`: an existing folder that the user who starts nginx may write: pid and temporary files.
    `workers`: processes. A lookup that waits for the mount holds its worker up, so more than there are cores.
    `user`: whom root's workers become, "USER" or "USER GROUP"; "" for nginx's own choice (nobody or www-data); ignored
        when nginx is not started as root. A mount without allow_other needs the mounting user here.
    `published`: for the world: any listen address is right. CORS and names stay as given.
    `threads`: nginx is built --with-threads (every distribution's is): a read that waits does not hold its worker up.
    """

    root: str
    listen: str
    base_url: str
    viewers: str
    run_dir: str
    allow_origins: tuple[str, ...] = ()
    viewer_base: str = ""
    workers: int = 4
    user: str = ""
    published: bool = False
    threads: bool = True


def nginx_config(site: NginxSite) -> str:
    """A complete nginx configuration (1.18 or newer, with PCRE and gzip, as every distribution builds it).

    Errors: ConfigError if a private mount would be reachable from other machines, or a value cannot be written down.
    """
    checked_url(site.base_url, "base_url")
    listen = _checked_listen(site)
    if site.workers < 1:
        raise ConfigError(f"{site.workers} worker processes: at least 1 was expected")
    if site.user and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*(?: [A-Za-z_][A-Za-z0-9_.-]*)?", site.user):
        raise ConfigError(f"user {site.user!r} is no user's name")
    parts = [_main(site), "http {", _http(site), _maps(site), _strangers(listen), _server(site, listen), "}", ""]
    return "\n".join(parts)


def _checked_listen(site: NginxSite) -> str:
    """HOST:PORT in nginx's spelling."""
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]]+)):([0-9]{1,5})", site.listen)
    wanted = f"--listen {site.listen!r}: HOST:PORT was expected, such as 127.0.0.1:8080"
    if match is None or not 0 < int(match[3]) < 65536:
        raise ConfigError(wanted)
    try:
        host = ip_address(match[1] or ("127.0.0.1" if match[2] == "localhost" else match[2]))
    except ValueError as error:
        raise ConfigError(f"{wanted}; HOST must be an IP address or localhost") from error
    if not site.published and not host.is_loopback:
        raise ConfigError(
            f"--listen {site.listen}: a private mount is served on loopback only (127.0.0.1:{match[3]}); "
            "put a proxy with a login before it"
        )
    return f"[{host}]:{match[3]}" if host.version == 6 else f"{host}:{match[3]}"


def _quoted(text: str, what: str, *, variables: bool) -> str:
    """`text` as one nginx word. nginx cannot escape `$` where it knows variables: there a variable stands for it."""
    if any(character < " " or character == "\x7f" for character in text):
        raise ConfigError(f"{what} {text!r} holds a control character, which nginx cannot be told")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"{what} {text!r} is not UTF-8") from error
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return escaped.replace("$", "${iiiffs_dollar}") if variables else escaped


def _folder(path: str, what: str, *, variables: bool = True) -> str:
    """An absolute folder as part of an nginx word, without a slash at its end."""
    if not path.startswith("/"):
        raise ConfigError(f"{what} {path!r} is not an absolute path")
    return _quoted(path.rstrip("/"), what, variables=variables)


def _in_pattern(text: str) -> str:
    r"""`text` inside a quoted regex that matches it literally.

    re.escape writes `\$`, whose `$` nginx would take for a variable in a map's key; a class does not begin a name.
    """
    escaped = "".join(f"[{c}]" if c in '$"{} ' else re.escape(c) for c in text)
    return escaped.replace('"', '\\"')


def _prefix(site: NginxSite) -> str:
    """base_url's path without a slash at its end: "" or "/iiif"."""
    path = urlsplit(site.base_url).path.rstrip("/")
    if not re.fullmatch(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~-]+)*", path):
        raise ConfigError(f"base_url {site.base_url!r}: its path may hold A-Z a-z 0-9 - . _ ~ between slashes only")
    return path


def _main(site: NginxSite) -> str:
    run_dir = _folder(site.run_dir, "run_dir", variables=False)
    user = f"user {site.user};\n" if site.user else ""
    return f"""\
# Printed by iiiffs: serves {_quoted(site.root, "root", variables=False)} as {site.base_url}
# Run it with: nginx -e stderr -c THIS-FILE      (add -g 'daemon off;' to stay in the foreground)
{user}worker_processes {site.workers};
pid "{run_dir}/nginx.pid";
error_log stderr warn;
events {{
    worker_connections 1024;
}}"""


def _http(site: NginxSite) -> str:
    run_dir = _folder(site.run_dir, "run_dir", variables=False)
    aio = "    aio threads;\n" if site.threads else ""
    temporary = "\n".join(
        f'    {kind}_temp_path "{run_dir}/{kind}";' for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
{temporary}
    access_log off;
    log_not_found off;
    server_tokens off;
    sendfile on;
    sendfile_max_chunk 512k;
{aio}\
    tcp_nopush on;
    keepalive_timeout 65s;
    keepalive_requests 10000;
    client_max_body_size 1k;
    absolute_redirect off;   # a directory without its slash: the same host and scheme, whatever proxy is before us
    default_type application/octet-stream;

    # A handle in this cache names one version of a file's bytes; the name is looked up again after `valid`.
    open_file_cache max={CACHED_FILES} inactive=60s;
    open_file_cache_valid {CACHED_VALID_S}s;
    open_file_cache_errors off;

    # Documents only (see `gzip on` below): pictures are compressed already. `*` since nginx compares whole types, and
    # ours carry ;profile=
    gzip off;
    gzip_types *;
    gzip_min_length 256;
    gzip_comp_level 5;
    gzip_proxied any;
    gzip_vary on;
"""


def _maps(site: NginxSite) -> str:
    prefix = _in_pattern(_prefix(site))
    origins, allowed = _origins(site)
    page = page_policy(site.viewer_base) + "; frame-ancestors 'self'"
    return f"""\
    geo $iiiffs_dollar {{ default "$"; }}
    map $request_method $iiiffs_bad_method {{ default 1; GET 0; HEAD 0; OPTIONS 0; }}
    map $status $iiiffs_allow {{ default ""; 405 "GET, HEAD, OPTIONS"; 204 "GET, HEAD, OPTIONS"; }}
{origins}\
    map "$request_method:{allowed}" $iiiffs_preflight_methods {{ default ""; "~^OPTIONS:." "GET, HEAD, OPTIONS"; }}
    map "$request_method:{allowed}" $iiiffs_preflight_headers {{ default ""; "~^OPTIONS:." "{ASKED_HEADERS}"; }}
    map "$request_method:{allowed}" $iiiffs_preflight_age {{ default ""; "~^OPTIONS:." "86400"; }}
    map $uri $iiiffs_vary {{ default ""; "~/iiif/2/[^/]+/info\\.json$" Accept; }}
    map "{allowed}" $iiiffs_exposed {{ default "{EXPOSED_HEADERS}"; "" ""; }}
    # The pages run their own script only, and nothing else on this site runs any. Viewers bring a policy in their page.
    map $uri $iiiffs_policy {{
        default "{ORIGINAL_POLICY}";
        "~^{prefix}/{re.escape(VIEWERS_NAME)}/" "frame-ancestors 'self'";
        "~/(?:index\\.html)?$" "{page}";
    }}
    # The directory of the image whose parameters these would be: four segments up. Rule: Image API 3.0 §2.1
    map $iiiffs_path $iiiffs_image {{ default ""; "~^(?<iiiffs_found>/.+)/[^/]+/[^/]+/[^/]+/[^/]+$" $iiiffs_found; }}
    # What follows ALBUM/iiif/NAME, as the client wrote it; "-" if that is no image request.
    map $request_uri $iiiffs_rest {{
        default "-";
        "~^[^?]*/iiif/[^/?]+/?(?:\\?|$)" "/info.json";
        "~^[^?]*/iiif/[^/?]+(?<iiiffs_tail>/info\\.json|(?:/[^/?]+){{4}})(?:\\?|$)" $iiiffs_tail;
    }}
"""


def _origins(site: NginxSite) -> tuple[str, str]:
    """(the map of origins, or nothing; what Access-Control-Allow-Origin is set from)."""
    if "*" in site.allow_origins:
        if len(site.allow_origins) > 1:
            raise ConfigError('allow_origins holds "*" and other origins: "*" allows every one')
        return "", "*"
    origins = site.allow_origins or (_origin_of(site.base_url),)
    for origin in origins:
        if _origin_of(checked_url(origin, "allow_origins")) != origin.lower():
            raise ConfigError(f"allow_origins: {origin!r} is no origin: scheme, host and port only, no path")
    rows = " ".join(f'"{origin.lower()}" $http_origin;' for origin in dict.fromkeys(origins))
    return f'    map $http_origin $iiiffs_origin {{ default ""; {rows} }}\n', "$iiiffs_origin"


def _origin_of(url: str) -> str:
    """Scheme, host and port as a browser writes them. Rule: RFC 6454 §6.2 (a scheme's own port is left out)."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    standard = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + ("" if parts.port in (None, standard) else f":{parts.port}")


def _strangers(listen: str) -> str:
    return f"""\
    # Any other name: a page of a stranger whose name was pointed at this address (DNS rebinding) learns nothing.
    server {{
        listen {listen} default_server;
        server_name "";
        return 421;
    }}
"""


def _server(site: NginxSite, listen: str) -> str:
    host = urlsplit(site.base_url).hostname or ""
    names = dict.fromkeys([f"[{host}]" if ":" in host else host, *LOOPBACK_NAMES])
    allowed = _origins(site)[1]
    # With `*` the answer is the same for every origin, and a cache may share it.
    vary = "" if allowed == "*" else "        add_header Vary Origin always;\n"
    vary += "        add_header Vary $iiiffs_vary always;\n"
    return f"""\
    server {{
        listen {listen};
        server_name {" ".join(names)};
        types {{
{_types(MEDIA_TYPES)}
        }}
        index index.html;
        disable_symlinks off;

        add_header Access-Control-Allow-Origin "{allowed}" always;
        add_header Access-Control-Allow-Methods $iiiffs_preflight_methods always;
        add_header Access-Control-Allow-Headers $iiiffs_preflight_headers always;
        add_header Access-Control-Max-Age $iiiffs_preflight_age always;
        add_header Access-Control-Expose-Headers $iiiffs_exposed always;
{vary}\
        add_header Allow $iiiffs_allow always;
        add_header X-Content-Type-Options nosniff always;
        add_header Referrer-Policy same-origin always;
        add_header Content-Security-Policy $iiiffs_policy always;

        if ($iiiffs_bad_method) {{ return 405; }}
        if ($uri ~ "[\\x00-\\x1f\\x7f]") {{ return 404; }}   # no name here holds one
        if ($request_method = OPTIONS) {{ return 204; }}

{_locations(site)}
    }}"""


def _types(rows: tuple[tuple[str, str], ...]) -> str:
    return "\n".join(f'            "{media_type}" {names};' for media_type, names in rows)


def _locations(site: NginxSite) -> str:
    prefix, base_url = _prefix(site), site.base_url.rstrip("/")
    pattern, root = _in_pattern(prefix), _folder(site.root, "root")
    parts = [_viewers(site, prefix), _hidden(pattern), _base_uris(pattern, root, base_url)]
    contexts = (
        ("/[^/]+/iiif/3/[^/]+/info\\.json", "http://iiif.io/api/image/3/context.json"),
        ("/(?:.+/)?(?:manifest|collection)\\.json", "http://iiif.io/api/presentation/3/context.json"),
    )
    parts.append(_info_2(pattern, root))
    parts += [_documents(pattern, root, path, context) for path, context in contexts]
    parts += [_aliases(site, pattern, root, base_url), _pages(pattern, root), _files(pattern, root)]
    if prefix:
        parts.append(f'        location = "{prefix}" {{ return 301 "{prefix}/"; }}')
    parts += ["        location / { return 404; }", _misses(root)]
    return "\n\n".join(parts)


def _viewers(site: NginxSite, prefix: str) -> str:
    folder = _folder(site.viewers, "viewers folder")
    return f"""\
        # Viewers, if they are installed. An absent list of them is an empty answer, not an error in a browser's log.
        location = "{prefix}/{VIEWERS_NAME}/versions.json" {{
            alias "{folder}/versions.json";
            error_page 404 =204 @iiiffs_no_viewers;
        }}
        location @iiiffs_no_viewers {{ return 204; }}
        location ^~ "{prefix}/{VIEWERS_NAME}/" {{
            alias "{folder}/";
            types {{
{_types(VIEWER_TYPES)}
            }}
            gzip on;
        }}"""


def _hidden(pattern: str) -> str:
    return f"""\
        # The mount's own state (.iiiffs names private paths) and the litter of desktops.
        location ~ "^{pattern}/\\." {{ return 404; }}"""


def _base_uris(pattern: str, root: str, base_url: str) -> str:
    return f"""\
        # A base URI leads to info.json. Rule: Image API 3.0 §2 (303). Only unreserved characters: nothing to encode.
        location ~ "^{pattern}(?<iiiffs_path>/[A-Za-z0-9._~-]+/iiif/[23]/[A-Za-z0-9._~-]+)/?$" {{
            if (-f "{root}$iiiffs_path/info.json") {{ return 303 "{base_url}$iiiffs_path/info.json"; }}
            return 404;
        }}"""


def _documents(pattern: str, root: str, path: str, context: str) -> str:
    return f"""\
        location ~ "^{pattern}(?<iiiffs_path>{path})$" {{
            alias "{root}$iiiffs_path";
            types {{ }}
            default_type 'application/ld+json;profile="{context}"';
            gzip on;
            error_page 404 = @iiiffs_miss;
        }}"""


def _info_2(pattern: str, root: str) -> str:
    return f"""\
        # Image API 2.1 §5.1: JSON-LD for who asks for it, plain JSON for everybody else.
        location ~ "^{pattern}(?<iiiffs_path>/[^/]+/iiif/2/[^/]+/info\\.json)$" {{
            alias "{root}$iiiffs_path";
            types {{ }}
            default_type application/ld+json;
            gzip on;
            if ($http_accept !~ "application/ld\\+json") {{ return 418; }}
            error_page 418 = @iiiffs_plain_json;
            error_page 404 = @iiiffs_miss;
        }}
        location @iiiffs_plain_json {{
            root "{root}";
            types {{ }}
            default_type application/json;
            gzip on;
            try_files $iiiffs_path @iiiffs_miss;
        }}"""


def _aliases(site: NginxSite, pattern: str, root: str, base_url: str) -> str:
    mount = _in_pattern(site.root.rstrip("/"))
    return f"""\
        # ALBUM/iiif/NAME is a symlink to the asset's own directory: 303 to the URI that lasts. $realpath_root is where
        # the alias leads once links are followed; a provider's real folder named `iiif` leads nowhere else, and is
        # served as it is.
        location ~ "^{pattern}(?<iiiffs_path>(?<iiiffs_link>/[^/]+/.+/iiif/[^/]+)(?:/.*)?)$" {{
            alias "{root}$iiiffs_probe";
            set $iiiffs_probe "";
            if (-d "{root}$iiiffs_link") {{ set $iiiffs_probe $iiiffs_link; }}
            set $iiiffs_real $realpath_root;
            set $iiiffs_probe $iiiffs_path;
            if ($iiiffs_rest = "-") {{ set $iiiffs_real ""; }}
            if ($iiiffs_real ~ "^{mount}(?<iiiffs_stable>/[A-Za-z0-9._~-]+/iiif/3/[A-Za-z0-9._~-]+)$") {{
                return 303 "{base_url}$iiiffs_stable$iiiffs_rest";
            }}
            error_page 404 = @iiiffs_miss;
        }}"""


def _pages(pattern: str, root: str) -> str:
    return f"""\
        location ~ "^{pattern}(?<iiiffs_path>/(?:.+/)?index\\.html)$" {{
            alias "{root}$iiiffs_path";
            gzip on;
            error_page 404 = @iiiffs_miss;
        }}
        # Pages live under that one name; any other HTML is a stranger's file.
        location ~ "^{pattern}(?<iiiffs_path>/.*\\.[Hh][Tt][Mm][Ll]?)$" {{
            alias "{root}$iiiffs_path";
            types {{ }}
            error_page 404 = @iiiffs_miss;
        }}"""


def _files(pattern: str, root: str) -> str:
    return f"""\
        location ~ "^{pattern}(?<iiiffs_path>/.*)$" {{
            alias "{root}$iiiffs_path";
            error_page 404 = @iiiffs_miss;
        }}"""


def _misses(root: str) -> str:
    return f"""\
        # A miss below an image that exists is the asker's mistake. Rule: Image API 3.0 §7 (400, 404)
        location @iiiffs_miss {{
            if ($iiiffs_image = "") {{ return 404; }}
            if (-f "{root}$iiiffs_image/info.json") {{ return 400; }}
            return 404;
        }}"""
