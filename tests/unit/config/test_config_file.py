"""iiiffs.config: what is read, what is refused and in which words."""

# ruff: noqa: E501  (one row a problem, with its whole line)

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.config import (
    Config,
    control_socket,
    examine_config,
    fingerprint,
    load_config,
    notices,
    select_accounts,
)
from iiiffs.config_accounts import account_name_problem
from iiiffs.config_values import ByteSize, parse_duration, parse_size, parse_web_url
from iiiffs.errors import ConfigError
from iiiffs.model.gallery import AccountName, AccountNames
from tests.harness.immich_plugin import PLUGINS

FOLDER = '[account.pictures]\nprovider = "folder"\npath = "/srv/photos"\naccess = "read"\n'


@pytest.fixture(autouse=True)
def immich_is_a_provider(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(PLUGINS)


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "config.toml"
    file.write_text(text, encoding="utf-8")
    return file


def read(tmp_path: Path, text: str) -> Config:
    return load_config(write(tmp_path, text))


def test_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg/cache")
    monkeypatch.setenv("XDG_STATE_HOME", "/xdg/state")
    config = read(tmp_path, FOLDER)
    assert config.base_url == "http://127.0.0.1:8080"
    assert (config.cache.path, config.cache.size_bytes) == (Path("/xdg/cache/iiiffs"), 20 * 2**30)
    assert (config.state.path, config.state.min_free_bytes) == (Path("/xdg/state/iiiffs"), 2 * 2**30)
    assert (config.iiif.tile_size, config.iiif.manifest_max, config.iiif.viewer_base) == (512, 5000, "")
    assert (config.iiif.max_width, config.iiif.max_area) == (16384, 100_000_000)
    assert config.web.allow_origins == ()
    assert config.publish is None
    assert control_socket(config) == Path("/xdg/state/iiiffs/control.sock")
    (account,) = config.accounts
    assert (account.name, account.provider, account.access, account.list_timeout_s) == (
        "pictures",
        "folder",
        "read",
        30,
    )
    assert account.options == {"path": "/srv/photos"}
    assert account.paths == {"path": Path("/srv/photos")}
    assert (account.mode, account.poll_s, account.settle_s, account.credentials) == ("hybrid", 30, 3, None)
    assert account.settings == {"path": "/srv/photos", "poll": 30}


def test_network_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    plain, full = read(
        tmp_path,
        IMMICH
        + """
[account.other]
provider = "immich"
access = "read"
url = "http://192.168.1.5:2283/"
cleartext = true
ca_file = "~/ca.pem"
mode = "proxy"
poll = "2 min"
settle = "1 s"
credentials = "~/other.json"
""",
    ).accounts
    assert plain.options == {"url": "https://photos.example.org", "cleartext": False, "shared_link": ""}
    assert (plain.mode, plain.credentials, plain.paths) == ("hybrid", None, {})
    assert full.settings == {
        "url": "http://192.168.1.5:2283",
        "cleartext": True,
        "ca_file": "/home/ada/ca.pem",
        "shared_link": "",
        "poll": 120,
    }
    assert (full.mode, full.poll_s, full.settle_s) == ("proxy", 120, 1)
    assert full.paths == {"ca_file": Path("/home/ada/ca.pem"), "credentials": Path("/home/ada/other.json")}


@pytest.mark.parametrize("url", ["http://localhost:2283", "http://127.1.2.3", "http://[::1]:80", "http://a.localhost"])
def test_no_network_needs_no_tls(tmp_path: Path, url: str) -> None:
    (account,) = read(tmp_path, IMMICH.replace("https://photos.example.org", url)).accounts
    assert account.options["url"] == url


def test_everything_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    config = read(
        tmp_path,
        """
base_url = "https://photos.example.org/iiif/"
[cache]
path = "~/c/../cache"
size = "1.5 GiB"
cut_ahead = false
[state]
path = "/var/lib/iiiffs"
min_free = 1000
[iiif]
tile_size = 1024
manifest_max = 10
viewer_base = "https://viewers.example.org/v/"
max_width = 2048
max_area = 4_000_000
[web]
allow_origins = ["https://Viewer.example.org:8443", "http://[::1]:80"]
[publish]
base_url = "https://world.example.org"
albums = ["b/albums/Trip"]
originals = true
max_width = 800
[account.b]
provider = "folder"
path = "~/Pictures"
list_timeout = "2 min"
slug = "shown"
aliases = ["b", "older"]
mode = "hybrid"
[account."a.~"]
provider = "folder"
path = "/a"
access = "edit"
""",
    )
    assert config.base_url == "https://photos.example.org/iiif"
    assert config.cache.path == Path("/home/ada/cache")
    assert config.cache.size_bytes == 3 * 2**29
    assert config.cache.cut_ahead is False
    assert config.state.min_free_bytes == 1000
    assert config.iiif.viewer_base == "https://viewers.example.org/v"
    assert config.web.allow_origins == ("https://viewer.example.org:8443", "http://[::1]:80")
    assert config.publish is not None
    assert (config.publish.albums, config.publish.originals, config.publish.max_width) == (
        ("b/albums/Trip",),
        True,
        800,
    )
    assert [account.names for account in config.accounts] == [
        AccountNames(AccountName("b"), AccountName("shown"), (AccountName("b"), AccountName("older"))),
        AccountNames(AccountName("a.~"), AccountName("a.~")),
    ]
    assert config.accounts[0].paths == {"path": Path("/home/ada/Pictures")}
    assert config.accounts[0].list_timeout_s == 120
    assert notices(config) == ("[publish]: no effect, this version has no published mounts",)


BASE = 'an http or https URL without user, query and fragment, such as "https://photos.example.org/iiif"'
PART = 'expected a name of 1 to 100 characters A-Z a-z 0-9 . _ ~ - that begins with no "."'
NAME = PART + "; rename the section"
SERVER = 'an http or https URL without user, query and fragment, such as "https://photos.example.org"'
IMMICH = '[account.home]\nprovider = "immich"\nurl = "https://photos.example.org"\naccess = "read"\n'
ACCOUNT_A, ACCOUNT_B = (f'[account.{name}]\nprovider = "folder"\npath = "/{name}"\n' for name in "ab")
BAD = {
    "unknown section": ('[cahce]\nsize = 1\n', 'cahce: unknown key; did you mean "cache"?'),
    "unknown key": ("[cache]\nsiez = 1\n", 'cache.siez: unknown key; did you mean "size"?'),
    "unknown key, none near": ("[web]\nzzz = 1\n", "web.zzz: unknown key; known are allow_origins"),
    "no section": ("cache = 3\n", "cache: expected a section [cache], found 3"),
    "size": ('[cache]\nsize = "20 parsec"\n', 'cache.size: expected a size such as "20 GiB" or a number of bytes, found "20 parsec"'),
    "size 0": ("[cache]\nsize = 0\n", 'cache.size: expected a size such as "20 GiB" or a number of bytes, found 0'),
    "size bool": ("[state]\nmin_free = true\n", 'state.min_free: expected a size such as "20 GiB" or a number of bytes, found true'),
    "relative": ('[cache]\npath = "cache"\n', 'cache.path: expected an absolute path or one that begins with "~", found "cache"'),
    "nobody": ('[cache]\npath = "~no-such-user/c"\n', 'cache.path: expected an absolute path or one that begins with "~", found "~no-such-user/c"'),
    "tile_size type": ('[iiif]\ntile_size = "512"\n', 'iiif.tile_size: expected a whole number from 64 to 4096, found "512"'),
    "tile_size float": ("[iiif]\ntile_size = 512.0\n", "iiif.tile_size: expected a whole number from 64 to 4096, found 512.0"),
    "tile_size range": ("[iiif]\ntile_size = 63\n", "iiif.tile_size: expected a whole number from 64 to 4096, found 63"),
    "max_width": ("[iiif]\nmax_width = 500\n", "iiif.max_width: expected at least iiif.tile_size = 512, found 500"),
    "max_area": ("[iiif]\nmax_area = 5000\n", "iiif.max_area: expected at least iiif.tile_size squared = 262144, found 5000"),
    "viewer_base": ('[iiif]\nviewer_base = "/v"\n', 'iiif.viewer_base: expected "" or an http or https URL of a folder of viewers, found "/v"'),
    "ftp": ('base_url = "ftp://a.example"\n', f'base_url: expected {BASE}, found "ftp://a.example"'),
    "query": ('base_url = "http://a.example/?q"\n', f'base_url: expected {BASE}, found "http://a.example/?q"'),
    "fragment": ('base_url = "http://a.example/#f"\n', f'base_url: expected {BASE}, found "http://a.example/#f"'),
    "user": ('base_url = "http://u@a.example"\n', f'base_url: expected {BASE}, found "http://u@a.example"'),
    "port": ('base_url = "http://a.example:99999"\n', f'base_url: expected {BASE}, found "http://a.example:99999"'),
    "dots": ('base_url = "http://a.example/x/../y"\n', f'base_url: expected {BASE}, found "http://a.example/x/../y"'),
    "origin": ('[web]\nallow_origins = ["https://a.example/x"]\n', 'web.allow_origins: expected a list of origins such as "https://viewer.example.org", or ["*"], found ["https://a.example/x"]'),
    "origin and star": ('[web]\nallow_origins = ["*", "https://a.example"]\n', 'web.allow_origins: "*" allows every origin already; remove the others'),
    "publish": ("[publish]\noriginals = false\n", f"publish.base_url: missing; expected {BASE}"),
    "same place": ('[cache]\npath = "/x"\n[state]\npath = "/x"\n', "cache.path: /x lies inside state.path; choose two separate folders"),
    "state in cache": ('[cache]\npath = "/x"\n[state]\npath = "/x/s"\n', "state.path: /x/s lies inside cache.path; choose two separate folders"),
    "account name": ('[account."a b"]\nprovider = "folder"\npath = "/a"\n', f'account."a b": {NAME}'),
    "account hidden": ('[account.".iiiffs"]\nprovider = "folder"\npath = "/a"\n', f'account.".iiiffs": {NAME}'),
    "account reserved": ('[account."index.html"]\nprovider = "folder"\npath = "/a"\n', "account.\"index.html\": this name is the mount's own; rename the section"),
    "no provider": ('[account.a]\npath = "/a"\n', 'account.a.provider: missing; expected the name of a provider, such as "folder"'),
    "later provider": ('[account.a]\nprovider = "nextcloud"\n', 'account.a.provider: "nextcloud" is not available in this version; expected one of "folder", "immich"'),
    "other provider": ('[account.a]\nprovider = "floppy"\n', 'account.a.provider: expected one of "folder", "immich", found "floppy"'),
    "no path": ('[account.a]\nprovider = "folder"\n', 'account.a.path: missing; expected an absolute path or one that begins with "~"'),
    "folder key": ('[account.a]\nprovider = "folder"\npath = "/a"\npaht = "/b"\n', 'account.a.paht: unknown key; did you mean "path"?'),
    "access": ('[account.a]\nprovider = "folder"\npath = "/a"\naccess = "write"\n', 'account.a.access: expected "read", "add" or "edit", found "write"'),
    "slug type": (ACCOUNT_A + "slug = 3\n", 'account.a.slug: expected a name such as "pictures", or "" for the name of the section, found 3'),
    "slug": (ACCOUNT_A + 'slug = "b c"\n', f'account.a.slug: {PART}, found "b c"'),
    "slug reserved": (ACCOUNT_A + 'slug = "index.html"\n', "account.a.slug: this name is the mount's own, found \"index.html\""),
    "slug of another": (ACCOUNT_A + 'slug = "b"\n' + ACCOUNT_B, 'account.a.slug: "b" is a name of account.b; choose another one'),
    "slugs swapped": (ACCOUNT_B + 'slug = "c"\n' + ACCOUNT_A + 'slug = "b"\n', 'account.a.slug: "b" is a name of account.b; choose another one'),
    "same slug": (ACCOUNT_A + 'slug = "c"\n' + ACCOUNT_B + 'slug = "c"\n', 'account.b.slug: "c" is a name of account.a; choose another one'),
    "aliases type": (ACCOUNT_A + 'aliases = "b"\n', 'account.a.aliases: expected a list of names such as ["old-name"], found "b"'),
    "alias": (ACCOUNT_A + 'aliases = ["b", ".c"]\n', f'account.a.aliases: {PART}, found ".c"'),
    "alias empty": (ACCOUNT_A + 'aliases = [""]\n', f'account.a.aliases: {PART}, found ""'),
    "alias of another": (ACCOUNT_A + 'aliases = ["b"]\n' + ACCOUNT_B, 'account.a.aliases: "b" is a name of account.b; choose another one'),
    "alias that is a slug": (ACCOUNT_A + 'slug = "c"\n' + ACCOUNT_B + 'aliases = ["c"]\n', 'account.b.aliases: "c" is a name of account.a; choose another one'),
    "alias that is the name": (ACCOUNT_A + 'aliases = ["a"]\n', 'account.a.aliases: "a" is named twice; remove one'),
    "alias twice": (ACCOUNT_A + 'aliases = ["c", "c"]\n', 'account.a.aliases: "c" is named twice; remove one'),
    "later key": (ACCOUNT_A + 'upload_folder = "Photos"\n', "account.a.upload_folder: not available in this version; remove it"),
    "mode": (ACCOUNT_A + 'mode = "prox"\n', 'account.a.mode: expected "direct", "proxy" or "hybrid", found "prox"'),
    "direct folder": (ACCOUNT_A + 'mode = "direct"\n', 'account.a.mode: provider "folder" has no addresses of its own; expected "hybrid" or "proxy"'),
    "folder's credentials": (ACCOUNT_A + 'credentials = "/c"\n', 'account.a.credentials: provider "folder" has no secrets; remove it'),
    "credentials": (IMMICH + 'credentials = "c"\n', 'account.home.credentials: expected an absolute path or one that begins with "~", found "c"'),
    "secret in the file": (IMMICH + 'api_key = "k"\n', "account.home.api_key: unknown key; known are url, cleartext, ca_file, shared_link"),
    "poll": (ACCOUNT_A + 'poll = "0.5 s"\n', 'account.a.poll: expected a duration from "1 s" to "1 d", such as "30 s", found "0.5 s"'),
    "poll too long": (ACCOUNT_A + 'poll = "25 h"\n', 'account.a.poll: expected a duration from "1 s" to "1 d", such as "30 s", found "25 h"'),
    "settle": (ACCOUNT_A + "settle = 0\n", 'account.a.settle: expected a duration such as "30 s" or a number of seconds, found 0'),
    "no url": ('[account.a]\nprovider = "immich"\n', f"account.a.url: missing; expected {SERVER}"),
    "url with a user": (IMMICH.replace("https://", "https://u:p@"), f'account.home.url: expected {SERVER}, found "https://u:…@photos.example.org"'),
    "url with a key": (IMMICH.replace(".org", ".org/?a=1&apiKey=s3cret#x"), f'account.home.url: expected {SERVER}, found "https://photos.example.org/?a=…&apiKey=…#x"'),
    "http": (IMMICH.replace("https", "http"), "account.home.url: the key would travel in clear; expected https, or cleartext = true where others may read it"),
    "http, a name that only looks like this machine": (IMMICH.replace("https://photos", "http://localhost"), "account.home.url: the key would travel in clear; expected https, or cleartext = true where others may read it"),
    "cleartext": (IMMICH + 'cleartext = "yes"\n', 'account.home.cleartext: expected true or false, found "yes"'),
    "ca_file": (IMMICH + 'ca_file = "ca.pem"\n', 'account.home.ca_file: expected an absolute path or one that begins with "~", found "ca.pem"'),
    "direct without a link": (IMMICH + 'mode = "direct"\n', 'account.home.mode: "direct" needs a shared_link of the server; add it, or choose "hybrid" or "proxy"'),
    "link without direct": (IMMICH + 'shared_link = "https://photos.example.org/share/k"\n', 'account.home.shared_link: of use with mode = "direct" only; add that, or remove it'),
    "link": (IMMICH + 'shared_link = "https://photos.example.org"\n', 'account.home.shared_link: expected "" or the URL of a shared link, such as "https://photos.example.org/share/KEY", found "https://photos.example.org"'),
    "duration": ('[account.a]\nprovider = "folder"\npath = "/a"\nlist_timeout = "soon"\n', 'account.a.list_timeout: expected a duration such as "30 s" or a number of seconds, found "soon"'),
    "account keys loose": ('[account]\nprovider = "folder"\n', "account: expected sections [account.NAME]; put each account's keys below one"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), BAD.values(), ids=BAD)
def test_refused_in_one_line(tmp_path: Path, text: str, problem: str) -> None:
    file = write(tmp_path, text if "[account" in text else text + FOLDER)
    assert examine_config(file) == (None, [f"{file}: {problem}"])
    with pytest.raises(ConfigError) as refused:
        load_config(file)
    assert str(refused.value) == f"{file}: {problem}"
    assert "\n" not in str(refused.value)


def test_every_problem_is_found_and_the_first_is_raised(tmp_path: Path) -> None:
    file = write(tmp_path, 'base_url = 3\n[cache]\nsize = "x"\nfoo = 1\n[account.a]\nprovider = "folder"\n')
    _, problems = examine_config(file)
    assert [problem.removeprefix(f"{file}: ").partition(":")[0] for problem in problems] == [
        "base_url",
        "cache.foo",
        "cache.size",
        "account.a.path",
    ]
    with pytest.raises(ConfigError, match=r"base_url: .* \(3 more: `iiiffs config check`\)$"):
        load_config(file)


def test_no_account(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'account: expected at least one \[account.NAME\] with provider = "folder"'):
        read(tmp_path, "")


def test_missing_file_names_the_remedy(tmp_path: Path) -> None:
    file = tmp_path / "none.toml"
    assert examine_config(file)[1] == [f"{file}: no such file; write one with `iiiffs config init`"]


def test_default_file_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "iiiffs").mkdir()
    (tmp_path / "iiiffs" / "config.toml").write_text(FOLDER)
    assert load_config(None).file == tmp_path / "iiiffs" / "config.toml"


def test_syntax_error_has_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.toml: expected TOML: .*line 2"):
        read(tmp_path, "[cache]\nsize = \n")


def test_not_utf8(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"# caf\xe9\n")
    assert examine_config(file)[1] == [f"{file}: expected UTF-8, found byte 0xe9 at offset 5"]


def test_directory_as_file(tmp_path: Path) -> None:
    assert examine_config(tmp_path)[1] == [f"{tmp_path}: cannot be read: Is a directory"]


def test_select_accounts(tmp_path: Path) -> None:
    config = read(tmp_path, FOLDER + '[account.other]\nprovider = "folder"\npath = "/b"\n')
    assert select_accounts(config, ()) == config
    assert [account.name for account in select_accounts(config, ("other",)).accounts] == ["other"]
    with pytest.raises(ConfigError, match=r'--account othr: no such account in .*; did you mean "other"\?'):
        select_accounts(config, ("othr",))


CHANGES_DOCUMENTS = {
    "base_url": ('base_url = "http://x"\n' + FOLDER, True),
    "iiif": ("[iiif]\ntile_size = 256\n" + FOLDER, True),
    "account": (FOLDER.replace("pictures", "photos"), True),
    "cache size": ('[cache]\nsize = "1 GiB"\n' + FOLDER, False),
    "slug": (FOLDER + 'slug = "photos"\n', True),
    "slug that is the name": (FOLDER + 'slug = "pictures"\n', False),
    "aliases": (FOLDER + 'aliases = ["photos"]\n', False),
    "path of photos": (FOLDER.replace("/srv/photos", "/mnt/photos"), False),
    "slash": ('base_url = "http://127.0.0.1:8080/"\n' + FOLDER, False),
}


@pytest.mark.parametrize(("text", "changes"), CHANGES_DOCUMENTS.values(), ids=CHANGES_DOCUMENTS)
def test_fingerprint(tmp_path: Path, text: str, changes: bool) -> None:
    plain = fingerprint(read(tmp_path, FOLDER))
    assert (fingerprint(read(tmp_path, text)) != plain) is changes
    assert len(plain) == 32


def test_fingerprint_knows_no_order(tmp_path: Path) -> None:
    other = FOLDER.replace("pictures", "other")
    assert fingerprint(read(tmp_path, FOLDER + other)) == fingerprint(read(tmp_path, other + FOLDER))


SIZES = [
    ("1 B", 1),
    ("1kB", 1000),
    ("2 MiB", 2**21),
    ("1.5 GiB", 3 * 2**29),
    ("1_000", 1000),
    (7, 7),
    ("3 TB", 3 * 10**12),
]


@pytest.mark.parametrize(("text", "size_bytes"), SIZES)
def test_sizes(text: object, size_bytes: int) -> None:
    assert parse_size(text) == ByteSize(size_bytes)


@pytest.mark.parametrize("text", ["", "B", "-1 B", "1 gib", "1e3", "0 B", "٣ B", 1.5, None, False, 2**62])
def test_no_sizes(text: object) -> None:
    with pytest.raises(ValueError, match="not a size"):
        parse_size(text)


@pytest.mark.parametrize(
    ("text", "span_s"), [("30 s", 30), ("1.5min", 90), ("2 h", 7200), ("250 ms", 0.25), (3, 3), (0.5, 0.5)]
)
def test_durations(text: object, span_s: float) -> None:
    assert parse_duration(text) == pytest.approx(span_s)


@pytest.mark.parametrize("text", ["0 s", "1 month", "", True, -1, float("nan"), float("inf")])
def test_no_durations(text: object) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


@given(st.text(max_size=40))
def test_any_account_name_that_passes_is_one_path_segment(name: str) -> None:
    if account_name_problem(name) is None:
        assert parse_web_url(f"http://a.example/{name}") == f"http://a.example/{name}"
        assert Path("/m", name).parent == Path("/m")
        assert not name.startswith(".")


@given(st.text(max_size=60))
def test_any_text_as_toml_value_is_answered_and_never_a_crash(text: str) -> None:
    for parse in (parse_size, parse_duration, parse_web_url):
        try:
            parse(text)
        except ValueError:
            continue
