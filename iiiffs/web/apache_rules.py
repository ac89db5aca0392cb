"""The rewrite rules of the Apache configuration: which path is answered how.

`-` as a substitution leaves the path as it is; `[L]` ends the rules. DOCUMENT_ROOT is the mount.
"""

from __future__ import annotations

import re

from iiiffs.web.answers import CONTROLS, LINK, SERVICE, UNRESERVED
from iiiffs.web.page import VIEWERS_NAME
from iiiffs.web.site import Site

LONGEST_NAME_BYTES = 255


def rules(site: Site) -> str:
    """Every rule: of two that match a path the first one answers."""
    prefix = re.escape(site.prefix)
    parts = ["RewriteEngine On", _refusals(site), _services(site, prefix), _aliases(prefix, site.base)]
    parts.append(_files(site, prefix))
    return "\n\n".join(parts)


def _refusals(site: Site) -> str:
    names = "|".join(re.escape(name) for name in site.names)
    prefix, viewers = re.escape(site.prefix), re.escape(VIEWERS_NAME)
    below = _moved(site, "", f'"^{prefix}$"', f"{site.prefix}/") + "\n" if site.prefix else ""
    return f"""\
{_former(site, "RewriteCond %{IS_SUBREQ} =true", " [PT]")}\
# What a subrequest asks is only whether a path can be looked up.
RewriteCond %{{IS_SUBREQ}} =true
RewriteRule ^ - [L]
# Any other name: a page of a stranger whose name was pointed at this address (DNS rebinding) learns nothing.
RewriteCond %{{HTTP_HOST}} "!^(?:{names})(?::[0-9]*)?$" [NC]
RewriteRule ^ - [R=421]
RewriteCond %{{REQUEST_METHOD}} !^(?:GET|HEAD|OPTIONS)$
RewriteRule ^ - [R=405]
# No name here holds a control character, or is longer than a file system's.
RewriteRule "{CONTROLS}|[^/]{{{LONGEST_NAME_BYTES + 1}}}" - [R=404]
RewriteCond %{{REQUEST_METHOD}} =OPTIONS
RewriteRule ^ - [R=204]
{_former(site)}\
{below}\
RewriteRule "!^{prefix}/" - [R=404]
# Viewers, if they are installed. An absent list of them is an empty answer, not an error in a browser's log.
RewriteCond {_test_string(site.viewers.rstrip("/"))}/versions.json !-f
RewriteRule "^{prefix}/{viewers}/versions\\.json$" - [R=204]
RewriteRule "^{prefix}/{viewers}/" - [L]
# The mount's own state (.iiiffs names private paths) and the litter of desktops.
RewriteRule "^{prefix}/\\." - [R=404]"""


def _former(site: Site, condition: str = "", flags: str = "") -> str:
    """Rewrites of the addresses of an earlier image server to the accounts that they lead to."""
    condition = condition and f"{condition}\n"
    rules = "".join(
        f'{condition}RewriteRule "^{re.escape(former.path)}(/.+)$" "{site.prefix}{former.place}$1"{flags}\n'
        for former in site.longest_former
    )
    return rules and f"# The addresses of an earlier image server, and the accounts that they lead to.\n{rules}"


def _asked_formerly(site: Site, service: str) -> str:
    """303 from the base URIs that were asked for at such an address."""
    return "".join(
        'RewriteCond "%{DOCUMENT_ROOT}$1/info.json" -f\n'
        f'RewriteCond %{{THE_REQUEST}} "^[A-Z]+ {re.escape(former.path)}(/[^? ]*[^/? ])/*(?:\\?[^ ]*)? HTTP/"\n'
        f'RewriteRule "{service}" "{former.url.rstrip("/")}%1/info.json" [R=303,NE,QSD,L]\n'
        for former in site.longest_former
    )


def _services(site: Site, prefix: str) -> str:
    base, service = site.base, f"^{prefix}({SERVICE})$"
    plain = f"/{UNRESERVED}/iiif/[23]/{UNRESERVED}"
    return f"""\
# An image.
RewriteCond "%{{DOCUMENT_ROOT}}$1" -f
RewriteRule "{service}" - [PT]
{_asked_formerly(site, service)}\
# Its directory is a base URI, and leads to info.json. Rule: Image API 3.0 §2 (303)
RewriteCond "%{{DOCUMENT_ROOT}}$1/info.json" -f
RewriteCond %{{THE_REQUEST}} "^[A-Z]+ {prefix}(/[^/? ]+/iiif/[23]/[^? ]*[^/? ])/*(?:\\?[^ ]*)? HTTP/"
RewriteRule "{service}" "{base}%1/info.json" [R=303,NE,QSD,L]
RewriteCond "%{{DOCUMENT_ROOT}}$1/info.json" -f
RewriteRule "^{prefix}({plain})/?$" "{base}$1/info.json" [R=303,NE,QSD,L]
# The mount could not say whether there is such an image.
RewriteCond %{{THE_REQUEST}} "^[A-Z]+ (?:https?://[^/ ]+)?(/[^? ]*)"
RewriteCond %1 !-U
RewriteRule "{service}" - [R=500]
# A miss below an image that exists is the asker's mistake. Rule: Image API 3.0 §7 (400, 404)
RewriteCond "%{{DOCUMENT_ROOT}}$1/info.json" -f
RewriteRule "^{prefix}({SERVICE[:-2]}.+)(?:/[^/]+){{4}}$" - [R=400]
RewriteRule "{service}" - [R=404]"""


def _aliases(prefix: str, base: str) -> str:
    request = r"^[A-Z]+ [^? ]*/iiif/[^/? ]+"
    link = f"^{prefix}({LINK})(?:/.*)?$"
    pattern = rf"\x22id\x22:\s*\x22({re.escape(base)}/{UNRESERVED}/iiif/3/[^\x22]+)\x22"
    return f"""\
# ALBUM/iiif/NAME leads to an asset's own directory: 303 to the URI that lasts, which its info.json names. A provider's
# real folder named `iiif` is served as it is.
RewriteCond %{{THE_REQUEST}} "{request}/?(?:\\?[^ ]*)? HTTP/"
RewriteRule "{link}" - [E=IIIFFS_INFO:%{{DOCUMENT_ROOT}}$1/info.json,E=IIIFFS_REST:/info.json]
RewriteCond %{{THE_REQUEST}} "{request}(/info\\.json|(?:/[^/? ]+){{4}})(?:\\?[^ ]*)? HTTP/"
RewriteRule "{link}" - [E=IIIFFS_INFO:%{{DOCUMENT_ROOT}}$1/info.json,E=IIIFFS_REST:%1]
RewriteCond %{{ENV:IIIFFS_REST}} !=""
RewriteCond %{{ENV:IIIFFS_INFO}} -f
RewriteCond expr "file(reqenv('IIIFFS_INFO')) =~ m#{pattern}#"
RewriteRule ^ "%1%{{ENV:IIIFFS_REST}}" [R=303,NE,QSD,L]"""


def _files(site: Site, prefix: str) -> str:
    folder = """\
RewriteCond "%{DOCUMENT_ROOT}$1" -d
RewriteCond %{THE_REQUEST} "^[A-Z]+ /*(/[^? ]*)"
"""
    return f"""\
# A directory without its slash; one without a page: there is nothing to see.
{_moved(site, folder, f'"^{prefix}(/.*[^/])$"', "%1/")}
RewriteCond "%{{DOCUMENT_ROOT}}$1" -d
RewriteCond "%{{DOCUMENT_ROOT}}$1index.html" !-f
RewriteRule "^{prefix}(/(?:.*/)?)$" - [R=404]"""


def _moved(site: Site, conditions: str, pattern: str, path: str) -> str:
    """301 to `path` on the host that was asked. Apache writes absolute URIs: https is right only for base_url's host,
    which a proxy before us then serves.
    """
    scheme, _, host = site.base.partition("://")
    lines = []
    if scheme == "https":
        name = re.escape(host.partition("/")[0].partition(":")[0])
        asked = f'RewriteCond %{{HTTP_HOST}} "^{name}(?::[0-9]*)?$" [NC]\n'
        lines.append(f'{asked}{conditions}RewriteRule {pattern} "https://%{{HTTP_HOST}}{path}" [R=301,NE,QSD,L]')
    lines.append(f'{conditions}RewriteRule {pattern} "http://%{{HTTP_HOST}}{path}" [R=301,NE,QSD,L]')
    return "\n".join(lines)


def _test_string(text: str) -> str:
    r"""`text` in a rewrite condition, without quotes: there `\` takes the meaning of what follows, but not of a quote
    inside of quotes.
    """
    return re.sub(r"([\\$%\s\"'])", r"\\\1", text)
