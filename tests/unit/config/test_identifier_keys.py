"""The keys of path URIs: identifiers, identifier_slash, identifier_suffix, identifier_base_2 and _3."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from iiiffs.config import Config, examine_config, fingerprint, load_config
from iiiffs.config_accounts import former_bases
from iiiffs.daemon import identifiers_of
from iiiffs.errors import ConfigError
from iiiffs.iiif.uris import Identifiers
from iiiffs.model.gallery import AccountName
from iiiffs.providers.base import Provider
from tests.harness.memory import MemoryProvider

OLD = "https://old.example.org/iiif"
BASE_WANTED = '"" or an http or https URL with a path of A-Z a-z 0-9 . _ ~ -, such as "https://example.org/iiif/3"'
SLASH_WANTED = '"%2F", "/", or 1 to 16 ASCII characters that stand for a slash, such as ":"'
NEEDLESS = 'of use with identifiers = "path" only; add that, or remove it'


def account(name: str, *lines: str) -> str:
    return "\n".join([f"[account.{name}]", 'provider = "folder"', f'path = "/{name}"', *lines, ""])


def by_path(name: str, *lines: str) -> str:
    return account(name, 'identifiers = "path"', *lines)


def read(tmp_path: Path, text: str) -> Config:
    file = tmp_path / "config.toml"
    file.write_text(text)
    return load_config(file)


def test_an_account_has_no_path_uris_unless_it_says_so(tmp_path: Path) -> None:
    for text in (account("a"), account("a", 'identifiers = "id"')):
        assert read(tmp_path, text).accounts[0].identifiers is None


def test_path_uris_begin_with_the_mount_s_own(tmp_path: Path) -> None:
    config = read(tmp_path, 'base_url = "https://photos.example.org/x/"\n' + by_path("a", 'slug = "shown"'))
    own = "https://photos.example.org/x/shown/iiif"
    assert config.accounts[0].identifiers == Identifiers(f"{own}/2", f"{own}/3", "%2F", "")
    assert list(former_bases(config.accounts, config.base_url)) == []


def test_everything_said(tmp_path: Path) -> None:
    config = read(
        tmp_path,
        by_path("a", 'identifier_slash = ":"', 'identifier_suffix = ".tif"', f'identifier_base_2 = "{OLD}/2/"'),
    )
    own = "http://127.0.0.1:8080/a/iiif"
    assert config.accounts[0].identifiers == Identifiers(f"{OLD}/2", f"{own}/3", ":", ".tif")
    assert list(former_bases(config.accounts, config.base_url)) == [(f"{OLD}/2", "a", 2)]


@pytest.mark.parametrize("slash", ["%2F", "/", ":", "_SL_", "-~", "..."])
def test_slashes(tmp_path: Path, slash: str) -> None:
    identifiers = read(tmp_path, by_path("a", f'identifier_slash = "{slash}"')).accounts[0].identifiers
    assert identifiers is not None
    assert identifiers.slash == slash


BAD = {
    "neither": (account("a", 'identifiers = "paths"'), 'account.a.identifiers: expected "id" or "path", found "paths"'),
    "slash without paths": (account("a", 'identifier_slash = ":"'), f"account.a.identifier_slash: {NEEDLESS}"),
    "suffix without paths": (account("a", 'identifier_suffix = "x"'), f"account.a.identifier_suffix: {NEEDLESS}"),
    "base without paths": (account("a", f'identifier_base_2 = "{OLD}"'), f"account.a.identifier_base_2: {NEEDLESS}"),
    "base without path": (
        by_path("a", 'identifier_base_3 = "https://a.example"'),
        f'account.a.identifier_base_3: expected {BASE_WANTED}, found "https://a.example"',
    ),
    "base to encode": (
        by_path("a", 'identifier_base_3 = "https://a.example/x%20y"'),
        f'account.a.identifier_base_3: expected {BASE_WANTED}, found "https://a.example/x%20y"',
    ),
    "hidden base": (
        by_path("a", 'identifier_base_2 = "https://a.example/.viewers"'),
        f'account.a.identifier_base_2: expected {BASE_WANTED}, found "https://a.example/.viewers"',
    ),
    "slash": (
        by_path("a", 'identifier_slash = "%3A"'),
        f'account.a.identifier_slash: expected {SLASH_WANTED}, found "%3A"',
    ),
    "dots": (
        by_path("a", 'identifier_slash = ".."'),
        f'account.a.identifier_slash: expected {SLASH_WANTED}, found ".."',
    ),
    "suffix": (
        by_path("a", 'identifier_suffix = "/a.tif"'),
        'account.a.identifier_suffix: expected the end of file names, such as ".tif", or "", found "/a.tif"',
    ),
    "same base": (
        by_path("a", f'identifier_base_2 = "{OLD}"', f'identifier_base_3 = "{OLD}"'),
        "account.a.identifier_base_3: /iiif is the place of account.a.identifier_base_2; choose another one",
    ),
    "base of another": (
        by_path("a", f'identifier_base_2 = "{OLD}"') + by_path("b", 'identifier_base_2 = "http://else.example/iiif"'),
        "account.b.identifier_base_2: /iiif is the place of account.a.identifier_base_2; choose another one",
    ),
    "the account's own": (
        by_path("a", f'identifier_base_2 = "{OLD}/2"', 'identifier_base_3 = "http://127.0.0.1:8080/a/x"'),
        "account.a.identifier_base_3: /a/x is a place of the mount itself (http://127.0.0.1:8080); choose another one",
    ),
    "around the mount": (
        'base_url = "https://old.example.org/iiif"\n' + by_path("a", f'identifier_base_3 = "{OLD}"'),
        f"account.a.identifier_base_3: /iiif is a place of the mount itself ({OLD}); choose another one",
    ),
    "a document": (
        by_path("a", 'identifier_base_3 = "http://a.example/collection.json"'),
        "account.a.identifier_base_3: /collection.json is a place of the mount itself (http://127.0.0.1:8080); "
        "choose another one",
    ),
}


@pytest.mark.parametrize(("text", "problem"), BAD.values(), ids=BAD)
def test_refused_in_one_line(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "config.toml"
    file.write_text(text)
    assert examine_config(file) == (None, [f"{file}: {problem}"])


@pytest.mark.parametrize(
    "base", [f"{OLD}/3", "https://old.example.org/iiif", "http://127.0.0.1:8080/iiif/3", "http://x.example/ab"]
)
def test_places_beside_the_mount(tmp_path: Path, base: str) -> None:
    config = read(tmp_path, by_path("a", f'identifier_base_3 = "{base}"'))
    assert list(former_bases(config.accounts, config.base_url)) == [(base, "a", 3)]


def test_documents_are_others_with_other_path_uris(tmp_path: Path) -> None:
    texts = (
        account("a"),
        by_path("a"),
        by_path("a", 'identifier_slash = "/"'),
        by_path("a", 'identifier_suffix = ".tif"'),
        by_path("a", f'identifier_base_2 = "{OLD}"'),
        by_path("a", f'identifier_base_3 = "{OLD}"'),
    )
    assert len({fingerprint(read(tmp_path, text)) for text in texts}) == len(texts)


def test_a_provider_without_folders_has_no_paths(tmp_path: Path) -> None:
    config = read(tmp_path, by_path("a", 'slug = "shown"') + account("b"))
    provider = MemoryProvider()
    providers: dict[AccountName, Provider] = {AccountName("a"): provider, AccountName("b"): provider}
    assert identifiers_of(config, providers) == {"shown": config.accounts[0].identifiers}
    provider.capabilities = replace(provider.capabilities, folders=False)
    with pytest.raises(ConfigError) as refused:
        identifiers_of(config, providers)
    assert (
        str(refused.value) == 'account.a.identifiers: "path" needs folders, and provider "folder" has none; remove it'
    )
