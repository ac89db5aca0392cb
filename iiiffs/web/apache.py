"""The Apache configuration that serves a mount: text from a value, nothing else.

It is whole: `apache2 -f FILE -DFOREGROUND` (or `httpd`) runs it as any user but root, whom Apache refuses to be. It
answers as the nginx configuration does (see `nginx`), by other means:

- An alias path's 303 takes its URI from the info.json that the alias leads to, since Apache cannot tell where a symlink
  leads. What is not an id of this site's is served in place.
- A lookup that fails with anything but ENOENT would be 403 here. Below iiif/2 and iiif/3 a subrequest (`-U`) tells the
  two apart, and the answer is 500, as of the others.

How it is written. All decisions are mod_rewrite's, in the server and before any path is mapped, so that no rule sees a
decoded path where an encoded one belongs; `Alias` then maps what is left. Types and policies hang on URLs
(`LocationMatch`), never on file names: the directory of an image may be called IMG.jpg.
"""

from __future__ import annotations

import re

from iiiffs.errors import ConfigError
from iiiffs.web.answers import (
    ANY_TYPE,
    ASKED_HEADERS,
    DOCUMENT,
    DOCUMENT_TYPE,
    EXPOSED_HEADERS,
    GZIP_LEVEL,
    INFO_2,
    INFO_2_TYPE,
    INFO_3,
    INFO_3_TYPE,
    MEDIA_TYPES,
    METHODS,
    ORIGINAL_POLICY,
    PAGE,
    PAGE_TYPE,
    PLAIN_INFO_2_TYPE,
    PREFLIGHT_AGE_S,
    REFERRER_POLICY,
    VIEWER_TYPES,
    VIEWERS_POLICY,
    shown_page_policy,
)
from iiiffs.web.apache_rules import rules
from iiiffs.web.page import VIEWERS_NAME
from iiiffs.web.site import Site

MODULE_FOLDERS = (
    "/usr/lib/apache2/modules",
    "/usr/lib64/httpd/modules",
    "/usr/lib/httpd/modules",
    "/usr/local/apache2/modules",
    "/usr/local/libexec/apache24",
    "/usr/lib/apache2",
    "/opt/homebrew/lib/httpd/modules",
)
"""Debian, Fedora, Arch, Docker's httpd, FreeBSD, Alpine and openSUSE, Homebrew."""
MODULES = ("mpm_event", "unixd", "authz_core", "dir", "alias", "headers", "rewrite", "deflate", "http2")

PROCESSES = 4
THREADS = 128
"""Of each process. A request that waits for the mount holds one thread; a connection that is kept alive holds none."""


def apache_config(site: Site) -> str:
    """A complete Apache configuration (2.4.34 or newer, with the event MPM).

    Errors: ConfigError for a folder with `${` in its name, which Apache cannot be told, and for root as user.
    """
    for path, what in ((site.root, "root"), (site.viewers, "viewers folder"), (site.run_dir, "run_dir")):
        if "${" in path:
            raise ConfigError(f"{what} {path!r} holds ${{, which Apache takes for a variable")
    if site.user.split(" ")[0] == "root":
        raise ConfigError("Apache does not serve as root: name another user, and mount with --allow-other")
    parts = [_main(site), _modules(), _server(site), _types(site), _headers(site), rules(site), _errors()]
    return "\n\n".join(parts) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _main(site: Site) -> str:
    run_dir = site.run_dir.rstrip("/")
    user, _, group = site.user.partition(" ")
    owner = f"\nUser {user}\nGroup {group or user}" if user else ""
    return f"""\
# Printed by iiiffs: serves {site.root} as {site.base_url}
# Run it with: apache2 -f THIS-FILE -DFOREGROUND      (httpd where it is called so)
ServerRoot {_quoted(run_dir)}
DefaultRuntimeDir {_quoted(run_dir)}
PidFile {_quoted(f"{run_dir}/apache.pid")}
ErrorLog {_quoted(f"{run_dir}/apache.log")}
LogLevel warn{owner}
Listen {site.address}
ServerName localhost
ServerTokens Prod
ServerSignature Off
TraceEnable Off"""


def _modules() -> str:
    found = "\n".join(
        f'<IfFile "{folder}/mod_rewrite.so">\n    Define IIIFFS_MODULES {folder}\n</IfFile>'
        for folder in reversed(MODULE_FOLDERS)
    )
    loaded = "\n".join(
        f"<IfModule !{name}_module>\n"
        f'    <IfFile "${{IIIFFS_MODULES}}/mod_{name}.so">\n'
        f'        LoadModule {name}_module "${{IIIFFS_MODULES}}/mod_{name}.so"\n'
        f"    </IfFile>\n</IfModule>"
        for name in MODULES
    )
    return f"# Modules, from where distributions keep them; some have them built in.\n{found}\n{loaded}"


def _server(site: Site) -> str:
    return f"""\
ServerLimit {PROCESSES}
StartServers 1
ThreadsPerChild {THREADS}
ThreadLimit {THREADS}
MinSpareThreads {THREADS // 4}
MaxSpareThreads {PROCESSES * THREADS}
MaxRequestWorkers {PROCESSES * THREADS}
KeepAlive On
KeepAliveTimeout 65
MaxKeepAliveRequests 10000
LimitRequestBody 1024
<IfModule http2_module>
    Protocols h2c http/1.1
    H2Direct On
    H2Upgrade Off
</IfModule>

DocumentRoot {_quoted(site.root)}
# A file of a FUSE mount may become shorter while it is sent.
EnableSendfile Off
EnableMMAP Off
FileETag MTime Size
AllowEncodedSlashes On
AcceptPathInfo Off
UseCanonicalName Off
<Directory "/">
    AllowOverride None
    Options FollowSymLinks
    Require all granted
</Directory>
Alias "{site.prefix}/{VIEWERS_NAME}/" {_quoted(site.viewers.rstrip("/") + "/")}
Alias "{site.prefix}/" {_quoted(site.root.rstrip("/") + "/")}
DirectorySlash Off
DirectoryIndex index.html"""


def _location(pattern: str, media_type: str, *lines: str) -> str:
    body = "".join(f"\n    {line}" for line in (f"ForceType {_single(media_type)}", *lines))
    return f'<LocationMatch "{pattern}">{body}\n</LocationMatch>'


def _single(text: str) -> str:
    return f"'{text}'" if '"' in text or " " in text else text


def _types(site: Site) -> str:
    prefix = re.escape(site.prefix)
    viewers = f"{prefix}/{re.escape(VIEWERS_NAME)}"
    packed = ("SetOutputFilter DEFLATE",)
    parts = ["# What may be shown in place. Pages live under one name; any other HTML is a stranger's file."]
    parts.append(f"ForceType {ANY_TYPE}")
    parts += [_location(rf"\.(?i:{names.replace(' ', '|')})$", kind) for kind, names in MEDIA_TYPES]
    parts += [
        _location(f"^{prefix}{PAGE}$", PAGE_TYPE, *packed),
        _location(f"^{prefix}{DOCUMENT}$", DOCUMENT_TYPE, *packed),
        _location(f"^{prefix}{INFO_3}$", INFO_3_TYPE, *packed),
        _location(f"^{prefix}{INFO_2}$", PLAIN_INFO_2_TYPE, *packed),
        f"""\
# Image API 2.1 §5.1: JSON-LD for who asks for it, plain JSON for everybody else.
<LocationMatch "^{prefix}{INFO_2}$">
    Header always merge Vary Accept
    Header set Content-Type {INFO_2_TYPE} "expr=%{{HTTP:Accept}} =~ m#application/ld\\+json#"
</LocationMatch>""",
        _location(f"^{viewers}/", ANY_TYPE, *packed),
    ]
    parts += [_location(rf"^{viewers}/.*\b(?:{names.replace(' ', '|')})$", kind) for kind, names in VIEWER_TYPES]
    return "\n".join(parts)


def _headers(site: Site) -> str:
    prefix = re.escape(site.prefix)
    if site.everyone:
        allowed, vary = '"expr=true"', ""
        origin = "Header always set Access-Control-Allow-Origin *"
    else:
        listed = ", ".join(f"'{origin}'" for origin in site.origins)
        allowed, vary = f'"expr=%{{HTTP:Origin}} in {{{listed}}}"', "Header always merge Vary Origin\n"
        origin = f'Header always set Access-Control-Allow-Origin "expr=%{{HTTP:Origin}}" {allowed}'
    preflight = allowed[:-1] + " && %{REQUEST_METHOD} == 'OPTIONS'\""
    return f"""\
{origin}
Header always set Access-Control-Expose-Headers "{EXPOSED_HEADERS}" {allowed}
Header always set Access-Control-Allow-Methods "{METHODS}" {preflight}
Header always set Access-Control-Allow-Headers "{ASKED_HEADERS}" {preflight}
Header always set Access-Control-Max-Age "{PREFLIGHT_AGE_S}" {preflight}
{vary}Header always set Allow "{METHODS}" "expr=%{{REQUEST_STATUS}} in {{'204', '405'}}"
Header always set X-Content-Type-Options nosniff
Header always set Referrer-Policy {REFERRER_POLICY}
# The pages run their own script only, and nothing else on this site runs any. Viewers bring a policy in their page.
Header always set Content-Security-Policy "{ORIGINAL_POLICY}"
<LocationMatch "/(?:index\\.html)?$">
    Header always set Content-Security-Policy "{shown_page_policy(site.viewer_base)}"
</LocationMatch>
<LocationMatch "^{prefix}/{re.escape(VIEWERS_NAME)}/">
    Header always set Content-Security-Policy "{VIEWERS_POLICY}"
</LocationMatch>
# The tag of a compressed answer ends in -gzip; it stands for the same version of the file.
RequestHeader edit* If-None-Match '-gzip"' '"'
DeflateCompressionLevel {GZIP_LEVEL}"""


def _errors() -> str:
    """Plain words, without the path that was asked for."""
    words = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed", 416: "Range"}
    return "\n".join(f'ErrorDocument {status} "{text}"' for status, text in words.items())
