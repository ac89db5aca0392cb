"""Forms with a file that is read while it is sent."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from python_multipart.multipart import MultipartParser, parse_options_header

from iiiffs.errors import StoreError
from iiiffs.providers.multipart import PIECE_BYTES, opened_form

BESIDE = {"sidecarData": ("file.xmp", b"<x/>")}


async def sent(path: Path, size_bytes: int, fields: Mapping[str, str], told: list[int]) -> tuple[list[bytes], str]:
    """The pieces, and the type that they have as a whole."""
    async with opened_form(fields, "assetData", path, size_bytes, file_name="file.jpg", beside=BESIDE) as form:
        form.sent = told.append
        for _ in range(2):  # from its beginning each time
            told.clear()
            pieces = [piece async for piece in form.pieces()]
        assert sum(map(len, pieces)) == int(form.headers["content-length"])
        return pieces, form.headers["content-type"]


def parsed(body: bytes, kind: str) -> list[tuple[str, bytes]]:
    """Name and value of each part, as another library reads them."""
    _, options = parse_options_header(kind)
    found: list[tuple[str, bytes]] = []
    header, value = bytearray(), bytearray()

    def end() -> None:
        _, told = parse_options_header(bytes(header))
        found.append((told[b"name"].decode(), bytes(value)))
        header.clear()
        value.clear()

    parser = MultipartParser(
        options[b"boundary"],
        {
            "on_header_value": lambda data, start, stop: header.extend(data[start:stop] if not header else b""),
            "on_part_data": lambda data, start, stop: value.extend(data[start:stop]),
            "on_part_end": end,
        },
    )
    parser.write(body)
    parser.finalize()
    return found


@given(name=st.text(st.characters(exclude_categories=["Cs"])), content=st.binary(max_size=300))
def test_any_name_and_any_bytes_come_through(
    tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("form") / "file"
    path.write_bytes(content)
    pieces, kind = trio.run(sent, path, len(content), {"filename": name, "deviceId": "iiiffs"}, [])
    assert parsed(b"".join(pieces), kind) == [
        ("filename", name.encode()),
        ("deviceId", b"iiiffs"),
        ("sidecarData", b"<x/>"),
        ("assetData", content),
    ]


def test_a_long_file_is_never_held_whole(tmp_path: Path) -> None:
    """And it is told how far it is."""
    path, size_bytes = tmp_path / "long", 200 << 20
    with path.open("wb") as file:
        file.truncate(size_bytes)
    told: list[int] = []
    pieces, _ = trio.run(sent, path, size_bytes, {}, told)
    assert max(map(len, pieces)) == PIECE_BYTES
    assert told[0] == 0
    assert told[-1] == size_bytes
    assert told == sorted(told)


def test_what_was_written_behind_its_end_is_not_sent(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"first, and more")
    pieces, kind = trio.run(sent, path, 5, {}, [])
    assert parsed(b"".join(pieces), kind) == [("sidecarData", b"<x/>"), ("assetData", b"first")]


@pytest.mark.parametrize(("content", "text"), [(b"short", "95 bytes shorter"), (None, "No such file")])
def test_a_file_that_is_not_what_it_was_ends_the_sending(tmp_path: Path, content: bytes | None, text: str) -> None:
    path = tmp_path / "file"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(StoreError, match=text):
        trio.run(sent, path, 100, {}, [])
