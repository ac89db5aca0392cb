"""The pages' bytes: constant, and under a policy that admits exactly what is in them."""

from __future__ import annotations

import base64
import hashlib
import re
from html import unescape

import pytest

from iiiffs.errors import ConfigError
from iiiffs.tree.nodes import PageKind
from iiiffs.web.page import VIEWERS_NAME, page, page_policy

BASE = "http://127.0.0.1:8080"


@pytest.mark.parametrize("kind", PageKind)
def test_policy_admits_the_script_and_the_style_that_are_in_the_page(kind: PageKind) -> None:
    text = page(kind, "", BASE).decode()
    policy = unescape(re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)[0])
    assert policy == page_policy("")
    for name in ("script", "style"):
        (inline,) = re.findall(rf"<{name}[^>]*>(.*?)</{name}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(inline.encode()).digest()).decode()
        (sources,) = re.findall(rf"{name}-src ([^;]*)", policy)
        assert f"'sha256-{digest}'" in sources.split()
        assert "unsafe" not in sources
    assert policy.startswith("default-src 'none';")


@pytest.mark.parametrize("kind", PageKind)
def test_bytes_are_constant_and_whole(kind: PageKind) -> None:
    text = page(kind, "", BASE)
    assert text == page(kind, "", BASE + "/")
    assert re.findall(rb"@[A-Z_]+@", text) == []
    assert f'data-kind="{kind.value}"'.encode() in text
    assert f'data-viewers="./{VIEWERS_NAME}/"'.encode() in text
    assert f'data-base-url="{BASE}"'.encode() in text


def test_kinds_differ_in_nothing_but_their_name() -> None:
    collection, album = (page(kind, "", BASE) for kind in PageKind)
    assert collection.replace(b'data-kind="collection"', b'data-kind="album"') == album != collection


def test_titles_can_only_become_text() -> None:
    text = page(PageKind.ALBUM, "", BASE).decode()
    for way in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "setHTML"):
        assert way not in text


def test_viewers_elsewhere_are_named_in_page_and_policy() -> None:
    text = page(PageKind.ALBUM, "https://viewers.example.org:444/v1", BASE).decode()
    assert 'data-viewers="https://viewers.example.org:444/v1/"' in text
    assert "connect-src 'self' https://viewers.example.org:444;" in page_policy("https://viewers.example.org:444/v1")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "ftp://a.example",
        "javascript:alert(1)",
        'http://a"b',
        "http://a/<x>",
        "http://",
        "http://a:x",
    ],
)
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        page(PageKind.ALBUM, "", url)
    if url:
        with pytest.raises(ConfigError, match="viewer_base"):
            page_policy(url)
