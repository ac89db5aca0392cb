"""The nginx configuration that serves a mount: text from a value, nothing else.

It is whole: `nginx -e stderr -c FILE` runs it as any user, in the background unless `-g 'daemon off;'` is added. It
makes of a plain directory tree (DESIGN §2) a IIIF server (Image API 3.0 §4 to §7, Presentation API 3.0 §6.3): media
types, 303 from a base URI to info.json, 400 for bad parameters of an image that exists, CORS on every answer; and one
that no web page of a stranger can read (DESIGN §3): loopback, known host names, allowed origins.

How it is written. Headers are set once, in the server, since an `add_header` in a location would drop the others; what
differs between locations is in maps. The locations are in `nginx_locations`. Redirects take their path from the
client's own, still encoded, text: the decoded one could end the header line.
"""

from __future__ import annotations

import re

from iiiffs.web.answers import (
    ASKED_HEADERS,
    CONTROLS,
    EXPOSED_HEADERS,
    GZIP_LEVEL,
    GZIP_MIN_BYTES,
    INFO_2,
    METHODS,
    ORIGINAL_POLICY,
    PREFLIGHT_AGE_S,
    REFERRER_POLICY,
    UNRESERVED,
    VIEWERS_POLICY,
    shown_page_policy,
)
from iiiffs.web.nginx_locations import folder, in_pattern, locations, quoted, types
from iiiffs.web.page import VIEWERS_NAME
from iiiffs.web.site import Site

CACHED_FILES = 40_000
"""open_file_cache: open files that all workers keep together. Each is one handle of the mount, pinned to one version of
its bytes.
"""

CACHED_VALID_S = 1
"""How long nginx trusts a cached handle before it looks the name up again. Rule: DESIGN §6 (1-2 s)."""


def nginx_config(site: Site) -> str:
    """A complete nginx configuration (1.18 or newer, with PCRE and gzip, as every distribution builds it)."""
    parts = [_main(site), "http {", _http(site), _maps(site), _strangers(site), _server(site), "}", ""]
    return "\n".join(parts)


def _main(site: Site) -> str:
    run_dir = folder(site.run_dir, variables=False)
    user = f"user {site.user};\n" if site.user else ""
    return f"""\
# Printed by iiiffs: serves {quoted(site.root, variables=False)} as {site.base_url}
# Run it with: nginx -e stderr -c THIS-FILE      (add -g 'daemon off;' to stay in the foreground)
{user}worker_processes {site.workers};
pid "{run_dir}/nginx.pid";
error_log stderr warn;
events {{
    worker_connections 1024;
}}"""


def _http(site: Site) -> str:
    run_dir = folder(site.run_dir, variables=False)
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
    # A worker that waits for the mount holds up every connection that it has accepted. So none outlives its request,
    # and the next one is accepted by a worker that is free.
    keepalive_timeout 0;
    client_max_body_size 1k;
    absolute_redirect off;   # a directory without its slash: the same host and scheme, whatever proxy is before us
    default_type application/octet-stream;

    # A handle in this cache names one version of a file's bytes; the name is looked up again after `valid`.
    open_file_cache max={max(CACHED_FILES // site.workers, 500)} inactive=60s;
    open_file_cache_valid {CACHED_VALID_S}s;
    open_file_cache_errors off;

    # Documents only (see `gzip on` below): pictures are compressed already. `*` since nginx compares whole types, and
    # ours carry ;profile=
    gzip off;
    gzip_types *;
    gzip_min_length {GZIP_MIN_BYTES};
    gzip_comp_level {GZIP_LEVEL};
    gzip_proxied any;
    gzip_vary on;
"""


def _maps(site: Site) -> str:
    prefix, allowed = in_pattern(site.prefix), _allowed(site)
    info_2, service = INFO_2.replace("\\", "\\\\"), f"/{UNRESERVED}/iiif/[23]/{UNRESERVED}"
    return f"""\
    geo $iiiffs_dollar {{ default "$"; }}
    map $request_method $iiiffs_bad_method {{ default 1; GET 0; HEAD 0; OPTIONS 0; }}
    map $status $iiiffs_allow {{ default ""; 405 "{METHODS}"; 204 "{METHODS}"; }}
{_origins(site)}\
    # nginx adds the headers of a 416 twice, the first time before it is one; of two origins a browser takes neither.
    map $status $iiiffs_cors {{ volatile; default "{allowed}"; 416 ""; }}
    map $status $iiiffs_exposed {{ volatile; default $iiiffs_exposable; 416 ""; }}
    map $status $iiiffs_vary_origin {{ volatile; default Origin; 416 ""; }}
    map $status $iiiffs_nosniff {{ volatile; default nosniff; 416 ""; }}
    map $status $iiiffs_referrer {{ volatile; default {REFERRER_POLICY}; 416 ""; }}
    map $status $iiiffs_policy {{ volatile; default $iiiffs_policy_here; 416 ""; }}
    map "$request_method:{allowed}" $iiiffs_preflight_methods {{ default ""; "~^OPTIONS:." "{METHODS}"; }}
    map "$request_method:{allowed}" $iiiffs_preflight_headers {{ default ""; "~^OPTIONS:." "{ASKED_HEADERS}"; }}
    map "$request_method:{allowed}" $iiiffs_preflight_age {{ default ""; "~^OPTIONS:." "{PREFLIGHT_AGE_S}"; }}
    map $uri $iiiffs_vary {{ default ""; "~{info_2}$" Accept; }}
    map "{allowed}" $iiiffs_exposable {{ default "{EXPOSED_HEADERS}"; "" ""; }}
    # The pages run their own script only, and nothing else on this site runs any. Viewers bring a policy in their page.
    map $uri $iiiffs_policy_here {{
        default "{ORIGINAL_POLICY}";
        "~^{prefix}/{re.escape(VIEWERS_NAME)}/" "{VIEWERS_POLICY}";
        "~/(?:index\\.html)?$" "{shown_page_policy(site.viewer_base)}";
    }}
    # The directory of the image whose parameters these would be: four segments up. Rule: Image API 3.0 §2.1
    map $iiiffs_path $iiiffs_image {{ default ""; "~^(?<iiiffs_found>/.+)/[^/]+/[^/]+/[^/]+/[^/]+$" $iiiffs_found; }}
    # A base URI as the client wrote it, or as it is if nothing in it needs to be encoded.
    map $iiiffs_path $iiiffs_plain {{ default ""; "~^(?<iiiffs_as_is>{service})/?$" "{site.base}$iiiffs_as_is"; }}
    map $request_uri $iiiffs_asked {{
        default $iiiffs_plain;
{_asked_formerly(site)}\
        "~^{prefix}(?<iiiffs_raw>/[^/?]+/iiif/[23]/[^?]*[^/?])/*(?:\\?|$)" "{site.base}$iiiffs_raw";
    }}
    # What follows ALBUM/iiif/NAME, as the client wrote it; "-" if that is no image request.
    map $request_uri $iiiffs_rest {{
        default "-";
        "~^[^?]*/iiif/[^/?]+/?(?:\\?|$)" "/info.json";
        "~^[^?]*/iiif/[^/?]+(?<iiiffs_tail>/info\\.json|(?:/[^/?]+){{4}})(?:\\?|$)" $iiiffs_tail;
    }}
"""


def _origins(site: Site) -> str:
    """The map that allows origins; nothing where everyone is allowed."""
    if site.everyone:
        return ""
    rows = " ".join(f'"{origin}" $http_origin;' for origin in site.origins)
    return f'    map $http_origin $iiiffs_origin {{ default ""; {rows} }}\n'


def _allowed(site: Site) -> str:
    """What Access-Control-Allow-Origin is set from."""
    return "*" if site.everyone else "$iiiffs_origin"


def _asked_formerly(site: Site) -> str:
    """The rows of the map of base URIs for the addresses of an earlier server."""
    return "".join(
        f'        "~^{in_pattern(former.path)}(?<iiiffs_old_{number}>/[^?]*[^/?])/*(?:\\?|$)" '
        f'"{former.url.rstrip("/")}$iiiffs_old_{number}";\n'
        for number, former in enumerate(site.longest_former)
    )


def _former(site: Site) -> str:
    """Rewrites of the addresses of an earlier server; nothing where there was none."""
    rules = "".join(
        f'        rewrite "^{in_pattern(former.path)}(/.+)$" "{site.prefix}{former.place}$1" last;\n'
        for former in site.longest_former
    )
    return rules and f"        # The addresses of an earlier image server, and the accounts that they lead to.\n{rules}"


def _listens(site: Site, suffix: str = "") -> str:
    lines = [f"        listen {site.address}{suffix};"]
    if site.http2_address is not None:
        lines.append(f"        listen {site.http2_address}{suffix} http2;")
    return "\n".join(lines)


def _strangers(site: Site) -> str:
    return f"""\
    # Any other name: a page of a stranger whose name was pointed at this address (DNS rebinding) learns nothing.
    server {{
{_listens(site, " default_server")}
        server_name "";
        return 421;
    }}
"""


def _server(site: Site) -> str:
    # With `*` the answer is the same for every origin, and a cache may share it.
    vary = "" if site.everyone else "        add_header Vary $iiiffs_vary_origin always;\n"
    vary += "        add_header Vary $iiiffs_vary always;\n"
    return f"""\
    server {{
{_listens(site)}
        server_name {" ".join(site.names)};
        types {{
{types()}
        }}
        index index.html;
        disable_symlinks off;

        add_header Access-Control-Allow-Origin $iiiffs_cors always;
        add_header Access-Control-Allow-Methods $iiiffs_preflight_methods always;
        add_header Access-Control-Allow-Headers $iiiffs_preflight_headers always;
        add_header Access-Control-Max-Age $iiiffs_preflight_age always;
        add_header Access-Control-Expose-Headers $iiiffs_exposed always;
{vary}\
        add_header Allow $iiiffs_allow always;
        add_header X-Content-Type-Options $iiiffs_nosniff always;
        add_header Referrer-Policy $iiiffs_referrer always;
        add_header Content-Security-Policy $iiiffs_policy always;

        if ($iiiffs_bad_method) {{ return 405; }}
        if ($uri ~ "{CONTROLS}") {{ return 404; }}   # no name here holds one
        if ($request_method = OPTIONS) {{ return 204; }}
{_former(site)}\

{locations(site)}
    }}"""
