"""The viewers that the pages use, taken from npm in pinned versions and checked against pinned digests.

Only what a browser loads is kept, beside each package's licence and two small pages of ours (mirador.html, uv.html:
`?manifest=URL`). The packages' bundles hold all they need, so no dependency of theirs is installed and no script of
theirs is run on this machine.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from platformdirs import user_data_path

from iiiffs.errors import ViewersNotInstalled
from iiiffs.web.page import asset_text, hash_source

VERSIONS_NAME = "versions.json"
"""{package: version} of what is in the folder; written last, and what the page reads."""

NPM_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class ViewerPackage:
    """One npm package. `integrity` is the registry's own form; `kept` maps paths in the package to ours."""

    name: str
    version: str
    integrity: str
    kept: Mapping[str, str]


PACKAGES = (
    ViewerPackage(
        "openseadragon",
        "6.1.1",
        "sha512-g4iKe2q8B642SaBT3+x4ZF3/8b1TxPPydyjmtrOLgDrlYWMKd9ZXM+1Cb/xa9DVySkvs/7l6HR1nHKfD5F3Tsw==",
        {"LICENSE.txt": "LICENSE.txt", "build/openseadragon/openseadragon.min.js": "openseadragon.min.js"},
    ),
    ViewerPackage(
        "mirador",
        "4.0.0",
        "sha512-uWsE9e2oqSc/lUu+vVwDGhTsycuhGsfZ2KfX6CLfXiT3wgGy6qT9+q5M3V9Zz72hkdIgsJugKesaowmRtYmvrA==",
        {"LICENSE": "LICENSE", "dist/mirador.min.js": "mirador.min.js"},
    ),
    ViewerPackage(
        "universalviewer",
        "4.4.0",
        "sha512-9OVs6uCzeQYw50jg8k2vEGq6hQFu7kEv9OOAlmqVH9duhrpg1xlIqcMIb2rhNQnAxTQd3R13gxJze9UYkiwdzg==",
        {"LICENSE.txt": "LICENSE.txt", "dist/uv.css": "uv.css", "dist/umd": "umd"},
    ),
)

# Mirador and Universal Viewer set styles through <style> elements and attributes; both only ever read this site.
VIEWER_POLICY = (
    "default-src 'none'; script-src 'self' {script}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; font-src 'self' data:; connect-src 'self' data: blob:; worker-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'"
)


def default_viewers_folder() -> Path:
    """Where `iiiffs viewer install` puts them unless told otherwise: the user's data folder."""
    return user_data_path("iiiffs") / "viewers"


def installed_viewers(folder: Path) -> dict[str, str]:
    """{package: version} of what is whole in `folder`; empty if nothing was installed there."""
    try:
        versions = json.loads((folder / VERSIONS_NAME).read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise ViewersNotInstalled(f"{folder / VERSIONS_NAME} is damaged: run `iiiffs viewer install` again") from error
    return {str(name): str(version) for name, version in versions.items()}


def install_viewers(into: Path) -> dict[str, str]:
    """The pinned viewers are whole in `into`, in the place of what was there; returns {package: version}.

    Needs npm, and reaches the registry that npm is configured for. `into` is made aside and put in place by rename: a
    reader sees the old one, for an instant none, then the new one, and never half of one.
    Errors: ViewersNotInstalled in one line; then `into` is unchanged.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise ViewersNotInstalled("npm was not found: install it (Debian: apt install npm), then run this again")
    into = Path(os.path.abspath(into))  # noqa: PTH100 (resolve() would follow a link that is to be replaced)
    _refuse_foreign(into)
    try:
        into.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".viewers-", dir=into.parent) as scratch:
            fresh = Path(scratch) / "viewers"
            fresh.mkdir()
            fresh.chmod(0o755)  # a web server of another user may read them: there is nothing private in here
            for archive, package in zip(_fetch(npm, Path(scratch)), PACKAGES, strict=True):
                _unpack(archive, package, fresh / package.name)
            versions = {package.name: package.version for package in PACKAGES}
            (fresh / "mirador.html").write_text(_viewer_page("mirador"), encoding="utf-8")
            (fresh / "uv.html").write_text(_viewer_page("uv"), encoding="utf-8")
            (fresh / VERSIONS_NAME).write_text(json.dumps(versions) + "\n", encoding="utf-8")
            _replace(into, fresh, Path(scratch) / "replaced")
    except OSError as error:
        raise ViewersNotInstalled(f"the viewers could not be written to {into}: {error.strerror or error}") from error
    return versions


def _refuse_foreign(into: Path) -> None:
    """Refuses to replace a folder that holds something other than viewers."""
    if into.is_symlink() or (into.exists() and not into.is_dir()):
        raise ViewersNotInstalled(f"{into} is not a folder: name another one")
    if into.is_dir() and any(into.iterdir()) and not (into / VERSIONS_NAME).is_file():
        raise ViewersNotInstalled(f"{into} is not empty and holds no viewers: name an empty or new folder")


def _replace(into: Path, fresh: Path, replaced: Path) -> None:
    """`fresh` is at `into`; what was there is at `replaced`, or back in its place if that failed."""
    if not into.exists():
        fresh.rename(into)
        return
    into.rename(replaced)
    try:
        fresh.rename(into)
    except OSError:
        replaced.rename(into)
        raise


def _fetch(npm: str, scratch: Path) -> list[Path]:
    """The archives of PACKAGES, in their order. `npm pack` runs no script of a registry's package."""
    wanted = [f"{package.name}@{package.version}" for package in PACKAGES]
    command = [npm, "pack", "--json", "--ignore-scripts", "--loglevel=error", *wanted]
    try:
        done = subprocess.run(
            command,
            cwd=scratch,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=NPM_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ViewersNotInstalled(f"npm did not finish within {NPM_TIMEOUT_S} s: is its registry reachable?") from error
    if done.returncode:
        raise ViewersNotInstalled(f"npm could not bring {', '.join(wanted)}: {_reason(done.stderr)}")
    return [scratch / f"{package.name}-{package.version}.tgz" for package in PACKAGES]


def _reason(stderr: str) -> str:
    """npm's complaint in one line; npm prefixes each line with "npm error" or "npm ERR!"."""
    lines = [line.split(maxsplit=2)[-1] for line in stderr.splitlines() if line.lower().startswith("npm err")]
    return "; ".join(lines[:2]) or "it gave no reason"


def _unpack(archive: Path, package: ViewerPackage, target: Path) -> None:
    """What `package` keeps is in `target`. Errors: ViewersNotInstalled if it is not byte for byte what is pinned."""
    digest = "sha512-" + base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if digest != package.integrity:
        raise ViewersNotInstalled(f"{package.name} {package.version} from npm is not the pinned one ({digest})")
    found: set[str] = set()
    with tarfile.open(archive) as members:
        for member in members:
            kept = _kept_as(package, PurePosixPath(member.name))
            source = members.extractfile(member) if kept and member.isfile() else None
            if kept is None or source is None:
                continue
            found.add(kept[0])
            path = target / kept[1]
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(source.read())
    if missing := package.kept.keys() - found:
        raise ViewersNotInstalled(f"{package.name} {package.version} has no {', '.join(sorted(missing))}")


def _kept_as(package: ViewerPackage, member: PurePosixPath) -> tuple[str, PurePosixPath] | None:
    """(the rule that keeps it, its path in our folder); None if it is not kept. All archives begin with package/."""
    if ".." in member.parts or member.suffix == ".map":
        return None
    for source, ours in package.kept.items():
        if member.is_relative_to(PurePosixPath("package") / source):
            return source, PurePosixPath(ours) / member.relative_to(PurePosixPath("package") / source)
    return None


def _viewer_page(name: str) -> str:
    script = asset_text(f"{name}.js")
    policy = VIEWER_POLICY.format(script=hash_source(script))
    return asset_text(f"{name}.html").replace("@POLICY@", policy).replace("@SCRIPT@", script)
