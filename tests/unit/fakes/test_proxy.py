"""Every fault of the proxy, seen by httpx: what a client meets, and that all is well again afterwards."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.fakes import faults
from tests.fakes.proxy import FaultProxy, fault_proxy
from tests.fakes.serving import FileSlice, HttpServer, Request, Response

BODY = bytes(range(256)) * 40
TIMEOUT_S = 0.4


class Upstream:
    """Answers BODY, whole or of a file; counts what it was asked and keeps what it was sent."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "body"
        self.path.write_bytes(BODY)
        self.asked: list[str] = []
        self.sent: list[bytes] = []

    def handle(self, request: Request) -> Response:
        self.asked.append(f"{request.method} {request.target}")
        self.sent.append(request.read())
        if request.header("range"):
            return Response(206, [("content-range", f"bytes 0-9/{len(BODY)}")], BODY[:10])
        if request.path == "/file":
            return Response(200, [("content-type", "image/jpeg")], FileSlice(self.path, 0, len(BODY)))
        return Response(200, [("content-type", "application/octet-stream")], BODY, chunked=request.path == "/chunked")


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path)


@pytest.fixture
def proxy(upstream: Upstream) -> Iterator[FaultProxy]:
    server = HttpServer(upstream.handle)
    with fault_proxy(server.url) as proxy:
        yield proxy
    server.close()
    assert not server.bugs


@pytest.fixture
def client(proxy: FaultProxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.url, timeout=TIMEOUT_S) as client:
        yield client


def test_nothing_is_changed_until_a_rule_strikes(client: httpx.Client, proxy: FaultProxy, upstream: Upstream) -> None:
    for path in ("/plain?a=1&b=%20", "/file", "/chunked"):
        assert client.get(path).content == BODY
    assert client.post("/up", content=b"x" * 100_000).status_code == 200
    assert client.head("/file").headers["content-length"] == str(len(BODY))
    assert client.get("/part", headers={"range": "bytes=0-9"}).content == BODY[:10]
    assert upstream.asked[0] == "GET /plain?a=1&b=%20"
    assert upstream.sent[3] == b"x" * 100_000
    assert proxy.connections_made == 1
    assert [exchange.sent for exchange in proxy.requests][:2] == [len(BODY), len(BODY)]


@pytest.mark.parametrize(
    ("effect", "error"),
    [
        (faults.stall(), httpx.ReadTimeout),
        (faults.stall(after=1000), httpx.ReadTimeout),
        (faults.silence(), httpx.ReadTimeout),
        (faults.reset(after=1000), httpx.ReadError),
        (faults.reset(), httpx.ReadError),
        (faults.truncated(after=1000), httpx.RemoteProtocolError),
        (faults.wrong_length(len(BODY) + 1), httpx.RemoteProtocolError),
        (faults.lost_answer(), httpx.TransportError),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_a_body_that_does_not_arrive_is_an_error(
    client: httpx.Client, proxy: FaultProxy, effect: faults.Effect, error: type[Exception]
) -> None:
    rule = proxy.fault(effect, "/struck")
    with pytest.raises(error):
        client.get("/struck")
    assert rule.struck == 1
    assert client.get("/struck").content == BODY


def test_a_length_that_is_too_small_cuts_the_body(client: httpx.Client, proxy: FaultProxy) -> None:
    proxy.fault(faults.wrong_length(100))
    assert client.get("/").content == BODY[:100]


@pytest.mark.parametrize(
    ("effect", "status", "header"),
    [
        (faults.html(), 200, "content-type"),
        (faults.bad_gateway(), 502, "server"),
        (faults.bad_gateway(504), 504, "server"),
        (faults.too_many_requests(), 429, "retry-after"),
        (faults.too_large(), 413, "content-type"),
        (faults.unauthorized(), 401, "www-authenticate"),
        (faults.redirect("https://elsewhere.example/login"), 302, "location"),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_an_answer_of_somebody_else(
    client: httpx.Client, proxy: FaultProxy, upstream: Upstream, effect: faults.Effect, status: int, header: str
) -> None:
    proxy.fault(effect)
    response = client.get("/")
    assert response.status_code == status
    assert header in response.headers
    assert upstream.asked == []
    assert [exchange.fault for exchange in proxy.requests] == [effect.name]


def test_a_lost_answer_was_work_done(client: httpx.Client, proxy: FaultProxy, upstream: Upstream) -> None:
    proxy.fault(faults.lost_answer(), method="POST")
    with pytest.raises(httpx.TransportError):
        client.post("/up", content=b"payload")
    assert upstream.sent == [b"payload"]


def test_a_broken_upload_was_not(client: httpx.Client, proxy: FaultProxy, upstream: Upstream) -> None:
    proxy.fault(faults.broken_upload(after=1000))
    with pytest.raises(httpx.TransportError):
        client.post("/up", content=b"x" * 50_000_000)
    assert upstream.sent == []


def test_a_corrupt_body_has_its_length(client: httpx.Client, proxy: FaultProxy) -> None:
    proxy.fault(faults.corrupt(offset=5000))
    got = client.get("/file").content
    assert len(got) == len(BODY)
    assert [index for index, byte in enumerate(got) if byte != BODY[index]] == [5000]


def test_ranges_may_be_ignored(client: httpx.Client, proxy: FaultProxy) -> None:
    proxy.fault(faults.ranges_ignored())
    response = client.get("/file", headers={"range": "bytes=0-9"})
    assert (response.status_code, response.content) == (200, BODY)


def test_latency_keeps_the_answer(client: httpx.Client, proxy: FaultProxy) -> None:
    proxy.fault(faults.latency(TIMEOUT_S / 4))
    assert client.get("/").content == BODY
    proxy.fault(faults.latency(TIMEOUT_S * 4))
    with pytest.raises(httpx.ReadTimeout):
        client.get("/")


def statuses(client: httpx.Client, method: str, path: str, count: int) -> list[int]:
    return [client.request(method, path).status_code for _ in range(count)]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (lambda proxy: proxy.fault(faults.bad_gateway(), times=2), [502, 502, 200]),
        (lambda proxy: proxy.fault(faults.bad_gateway(), skip=1), [200, 502, 200]),
        (lambda proxy: proxy.fault(faults.bad_gateway(), times=None), [502, 502, 502]),
        (lambda proxy: proxy.fault(faults.bad_gateway(), "/elsewhere"), [200, 200, 200]),
        (lambda proxy: proxy.fault(faults.bad_gateway(), method="PUT"), [200, 200, 200]),
        (
            lambda proxy: (proxy.fault(faults.bad_gateway()), proxy.fault(faults.too_many_requests())),
            [502, 429, 200],
        ),
    ],
)
def test_the_script_says_which_request_is_struck(
    client: httpx.Client, proxy: FaultProxy, script: Callable[[FaultProxy], object], expected: list[int]
) -> None:
    script(proxy)
    assert statuses(client, "GET", "/x?q=1", 3) == expected
    proxy.faults.clear()
    assert statuses(client, "GET", "/x", 1) == [200]


def test_idle_connections_are_closed(upstream: Upstream) -> None:
    server = HttpServer(upstream.handle, idle_s=0.01)
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    assert received.endswith(BODY)
    server.close()


def test_the_host_goes_away_and_comes_back_at_the_same_place(client: httpx.Client, proxy: FaultProxy) -> None:
    assert statuses(client, "GET", "/", 1) == [200]
    proxy.away()
    with pytest.raises(httpx.ConnectError):
        httpx.get(proxy.url, timeout=TIMEOUT_S)
    proxy.back()
    with httpx.Client(base_url=proxy.url, timeout=TIMEOUT_S) as again:
        assert statuses(again, "GET", "/", 1) == [200]
