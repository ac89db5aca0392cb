"""The way to a server, with everything that can go wrong on it."""

from __future__ import annotations

import logging
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import trio
import trio.testing

from iiiffs.errors import AccessDenied, ConfigError, ProviderUnreachable, VersionChanged
from iiiffs.providers.http import HttpAccount, Refusal, tls_context
from iiiffs.providers.http_downloads import is_proxied
from iiiffs.providers.http_policy import RetryPolicy
from iiiffs.providers.http_values import Ask, HttpSettings, Lane
from iiiffs.providers.pieces import Pieces
from tests.contract.provider_contract import in_trio
from tests.fakes import faults
from tests.fakes.certificates import Authority
from tests.fakes.faults import Effect
from tests.fakes.proxy import FaultProxy
from tests.fakes.serving import HttpServer, Request, Response

BYTES = bytes(range(256)) * 40
KEY = "s3cr3t-key"
ETAG = 'W/"1"'
ELSEWHERE = "http://gallery.test"
QUICK = HttpSettings(rate_per_s=1000.0, retry=RetryPolicy(base_s=0.001), denied_s=60.0)
QUESTION = Ask("GET", "/json", "the question", deadline_s=5.0)
FILE = Ask("GET", "/file", "the file", deadline_s=5.0)


class Service:
    """JSON at /json, a file with ranges at /file; counts what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.server = HttpServer(self._answer)
        self.proxy = FaultProxy(self.server.url)

    def _answer(self, request: Request) -> Response:
        self.asked.append(request)
        if request.path == "/json":
            return Response(200, [("content-type", "application/json")], b'{"a": 1}')
        if request.path == "/hop":
            return Response(302, [("location", "/json?token=of-the-hop")])
        if request.path.removeprefix(ELSEWHERE) != "/file":  # a proxy is told the whole URL
            return Response(404, [("content-type", "application/json")], b'{"message": "no such thing"}')
        value = request.header("range")
        if value is None:
            return Response(200, [("etag", ETAG)], BYTES)
        first, _, last = value.removeprefix("bytes=").partition("-")
        end = min(len(BYTES), int(last) + 1)
        headers = [("content-range", f"bytes {first}-{end - 1}/{len(BYTES)}"), ("etag", ETAG)]
        return Response(206, headers, BYTES[int(first) : end])

    def fault(self, effect: Effect, times: int | None = 1) -> None:
        self.proxy.fault(effect, times=times)


@pytest.fixture
def service() -> Iterator[Service]:
    service = Service()
    yield service
    service.proxy.close()
    service.server.close()
    assert not service.server.bugs


class Opened:
    """An account, and how often it fetched its key."""

    def __init__(self, url: str, settings: HttpSettings) -> None:
        self.logins = 0
        self.http = HttpAccount("home", url, self._authorize, tls=tls_context(None), settings=settings)

    async def _authorize(self) -> Mapping[str, str]:
        self.logins += 1
        return {"x-api-key": KEY}

    async def __aenter__(self) -> HttpAccount:
        return self.http

    async def __aexit__(self, *_: object) -> None:
        with trio.CancelScope(shield=True):
            await self.http.aclose()


def opened(service: Service, settings: HttpSettings = QUICK) -> Opened:
    return Opened(service.proxy.url, settings)


@in_trio
async def test_a_question_is_answered_counted_and_carries_the_key(service: Service) -> None:
    async with opened(service) as http:
        answer = await http.ask_json(QUESTION)
        assert (answer.status, answer.body) == (200, b'{"a": 1}')
        assert service.asked[0].header("x-api-key") == KEY
        assert dict(http.gauges.answers) == {("GET", "2xx"): 1}
        assert http.gauges.seconds["GET", "2xx"] > 0
        assert (http.gauges.in_flight, http.gauges.received_bytes) == (0, 8)


ONE_OFF = [
    faults.reset(),
    faults.reset(after=3),
    faults.truncated(3),
    faults.wrong_length(100),
    faults.lost_answer(),
    faults.bad_gateway(502),
    faults.bad_gateway(504),
    faults.too_many_requests("0"),
    faults.too_many_requests(None),
]


@pytest.mark.parametrize("effect", ONE_OFF, ids=lambda effect: f"{effect.name} {effect.delivery.reset_after}")
@pytest.mark.parametrize("ask", [QUESTION, FILE], ids=["json", "file"])
@in_trio
async def test_trouble_that_passes_is_not_seen(service: Service, effect: Effect, ask: Ask) -> None:
    service.fault(effect)
    async with opened(service) as http:
        if ask is QUESTION:
            assert (await http.ask_json(ask)).body == b'{"a": 1}'
        else:
            assert (await http.read(ask, 100, 1000, len(BYTES))).data == BYTES[100:1100]
        assert http.gauges.retries == 1


LASTING = [
    *ONE_OFF,
    faults.html(),
    faults.html(404),
    faults.redirect("https://elsewhere.example.org/?token=1"),
    faults.redirect("/file"),
    faults.bad_gateway(503),
]


@pytest.mark.parametrize("effect", LASTING, ids=lambda effect: f"{effect.name} {effect.delivery.reset_after}")
@pytest.mark.parametrize("ask", [QUESTION, FILE], ids=["json", "file"])
@in_trio
async def test_trouble_that_lasts_is_an_error_after_few_questions(service: Service, effect: Effect, ask: Ask) -> None:
    service.fault(effect, times=None)
    async with opened(service) as http:
        with pytest.raises(ProviderUnreachable) as caught:
            await (http.ask_json(ask) if ask.path == QUESTION.path else http.read(ask, 0, 1000, len(BYTES)))
        assert service.proxy.requests.count() <= 4
        assert "\n" not in str(caught.value)
        assert not any(text in str(caught.value) for text in (KEY, "token", "127.0.0.1"))


@in_trio
async def test_what_is_not_repeatable_is_asked_once(service: Service) -> None:
    service.fault(faults.lost_answer(), times=None)
    async with opened(service) as http:
        with pytest.raises(ProviderUnreachable):
            await http.ask(replace(QUESTION, method="POST", json={}, repeatable=False))
        assert service.proxy.requests.count() == 1


@pytest.mark.parametrize("effect", [faults.silence(), faults.stall(), faults.stall(after=4)], ids=["silent", "0", "4"])
@pytest.mark.parametrize("ask", [QUESTION, FILE], ids=["json", "file"])
@in_trio
async def test_a_deadline_holds_over_all_attempts(service: Service, effect: Effect, ask: Ask) -> None:
    service.fault(effect, times=None)
    ask = replace(ask, deadline_s=0.3)
    async with opened(service) as http:
        with trio.fail_after(5), pytest.raises(ProviderUnreachable, match=r"no answer within 0\.3 s"):
            await (http.ask_json(ask) if ask.path == QUESTION.path else http.read(ask, 0, 1000, len(BYTES)))
        assert http.gauges.in_flight == 0


@in_trio
async def test_the_time_of_an_upload_begins_when_it_is_its_turn(service: Service) -> None:
    service.fault(faults.latency(0.3), times=None)
    ask, answered = replace(QUESTION, lane=Lane.UPLOADS, deadline_s=0.7), list[int]()

    async def upload() -> None:
        answered.append((await http.ask(ask)).status)

    async with opened(service, replace(QUICK, uploads=1)) as http, trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(upload)
    assert answered == [200] * 4
    async with opened(service, QUICK) as http:
        with pytest.raises(ProviderUnreachable, match=r"no answer within 0\.1 s"):
            await http.ask(replace(ask, deadline_s=0.1))


@in_trio
async def test_a_server_that_falls_silent_is_asked_again_within_the_deadline(service: Service) -> None:
    service.fault(faults.silence())
    async with opened(service, replace(QUICK, silence_s=0.1)) as http:
        assert (await http.ask_json(QUESTION)).status == 200


@in_trio
async def test_hung_downloads_hold_up_no_question(service: Service) -> None:
    service.proxy.fault(faults.silence(), "/file", times=None)
    async with opened(service, replace(QUICK, downloads=3, questions=1)) as http, trio.open_nursery() as nursery:
        for _ in range(6):
            nursery.start_soon(http.read, FILE, 0, 10, len(BYTES))
        await trio.testing.wait_all_tasks_blocked(0.05)
        with trio.fail_after(3):
            assert (await http.ask_json(QUESTION)).status == 200
        assert http.gauges.in_flight <= 3
        nursery.cancel_scope.cancel()


@in_trio
async def test_a_wait_that_the_server_asks_for_holds_for_the_whole_account(service: Service) -> None:
    service.fault(faults.too_many_requests("3600"))
    async with opened(service) as http:
        with pytest.raises(ProviderUnreachable):
            await http.ask_json(QUESTION)
        with pytest.raises(ProviderUnreachable, match="left alone"):
            await http.ask_json(QUESTION)
        assert service.proxy.requests.count() == 1


@in_trio
async def test_questions_keep_to_the_rate(service: Service) -> None:
    async with opened(service, replace(QUICK, rate_per_s=20.0)) as http:
        begun = trio.current_time()
        for _ in range(26):
            await http.ask_json(QUESTION)
        assert trio.current_time() - begun >= 0.25  # 20 at once, 6 more at 20 a second


@in_trio
async def test_a_refused_key_is_not_tried_again_until_somebody_logs_in(service: Service) -> None:
    service.fault(faults.unauthorized())
    account = opened(service)
    async with account as http:
        for _ in range(5):
            with pytest.raises(AccessDenied, match="iiiffs login home"):
                await http.ask_json(QUESTION)
        assert service.proxy.requests.count() == 1
        assert http.denied is not None
        http.authorize_again()
        assert (await http.ask_json(QUESTION)).status == 200
        assert account.logins == 2


@in_trio
async def test_a_refusal_says_what_the_server_said(service: Service) -> None:
    async with opened(service) as http:
        with pytest.raises(Refusal, match="no such thing") as caught:
            await http.ask_json(replace(QUESTION, path="/nowhere"))
        assert (caught.value.status, caught.value.told) == (404, "no such thing")
        denied = Response(403, [("content-type", "application/json")], b'{"message": ["needs", "asset.read"]}')
        service.fault(faults.fixed("403", "RFC 9110", denied))
        with pytest.raises(AccessDenied, match=r"needs; asset\.read"):
            await http.ask_json(QUESTION)


@in_trio
async def test_a_server_that_repeats_the_key_does_not_make_us_tell_it(service: Service) -> None:
    body = f'{{"message": "bad key {KEY}"}}'.encode()
    for status, error in ((401, AccessDenied), (403, AccessDenied), (400, ProviderUnreachable)):
        service.fault(faults.fixed("echo", "a proxy", Response(status, [("content-type", "application/json")], body)))
        async with opened(service) as http:
            with pytest.raises(error, match="bad key …") as caught:
                await http.ask_json(QUESTION)
            assert KEY not in str(caught.value)


@in_trio
async def test_an_old_refusal_does_not_shut_out_a_new_key(service: Service) -> None:
    slow = faults.unauthorized()
    service.fault(replace(slow, delivery=replace(slow.delivery, wait_s=0.2)))
    async with opened(service) as http, trio.open_nursery() as nursery:

        async def refused() -> None:
            with pytest.raises(AccessDenied):
                await http.ask_json(QUESTION)

        nursery.start_soon(refused)
        while not service.proxy.requests.count():  # it is struck now, and answered later
            await trio.sleep(0.005)
        http.authorize_again()
        assert (await http.ask_json(QUESTION)).status == 200
        nursery.cancel_scope.deadline = trio.current_time() + 5
        while http.gauges.in_flight:
            await trio.sleep(0.005)
        assert http.denied is None


@in_trio
async def test_redirects_on_the_same_host_are_followed_with_the_key(service: Service) -> None:
    async with opened(service) as http:
        assert (await http.ask_json(replace(QUESTION, path="/hop"))).body == b'{"a": 1}'
        assert [request.header("x-api-key") for request in service.asked] == [KEY, KEY]


@in_trio
async def test_no_other_host_ever_sees_the_key(service: Service) -> None:
    heard: list[Request] = []

    def listen(request: Request) -> Response:
        heard.append(request)
        return Response(200, [("content-type", "application/json")], b"{}")

    other = HttpServer(listen)
    try:
        service.fault(faults.redirect(other.url + "/json"), times=None)
        async with opened(service) as http:
            with pytest.raises(ProviderUnreachable, match=f"127.0.0.1:{other.port}, where the key does not go"):
                await http.ask_json(QUESTION)
    finally:
        other.close()
    assert not heard


@pytest.mark.parametrize(("offset", "length"), [(0, 1), (0, len(BYTES)), (1000, 24), (len(BYTES) - 1, 1)])
@pytest.mark.parametrize("ignored", [False, True], ids=["206", "200"])
@in_trio
async def test_ranges_are_exact_whether_the_server_keeps_them_or_not(
    service: Service, offset: int, length: int, ignored: bool
) -> None:
    if ignored:
        service.fault(faults.ranges_ignored())
    async with opened(service) as http:
        part = await http.read(FILE, offset, length, len(BYTES))
        assert (part.data, part.etag) == (BYTES[offset : offset + length], ETAG)


@in_trio
async def test_a_200_without_length_is_believed_when_it_is_as_long_as_the_file(service: Service) -> None:
    for body, is_right in ((BYTES, True), (BYTES + b"x", False), (BYTES[:-1], False), (b"<html>", False)):
        service.proxy.faults.clear()
        service.fault(faults.fixed("chunked", "RFC 9112", Response(200, [], body, chunked=True)), times=None)
        async with opened(service) as http:
            if is_right:
                assert (await http.read(FILE, 5, 100, len(BYTES))).data == BYTES[5:105]
            else:
                with pytest.raises(ProviderUnreachable):
                    await http.read(FILE, 0, 3, len(BYTES))


def part(content_range: str | None, body: bytes) -> Effect:
    headers = [("content-range", content_range)] if content_range else []
    return faults.fixed("part", "RFC 9110", Response(206, headers, body))


SIZE = len(BYTES)


@pytest.mark.parametrize(
    ("effect", "error"),
    [
        (part(f"bytes 0-9/{SIZE}", BYTES[:9]), ProviderUnreachable),
        (part(f"bytes 0-9/{SIZE}", BYTES[:11]), ProviderUnreachable),
        (part(f"bytes 0-8/{SIZE}", BYTES[:9]), ProviderUnreachable),
        (part(f"bytes 1-10/{SIZE}", BYTES[1:11]), ProviderUnreachable),
        (part(None, BYTES[:10]), ProviderUnreachable),
        (part("bytes 0-9/77", BYTES[:10]), VersionChanged),
        (faults.fixed("empty", "a broken proxy", Response(200, [], b"")), ProviderUnreachable),
        (faults.fixed("longer", "a broken proxy", Response(200, [], BYTES + b"!")), ProviderUnreachable),
    ],
    ids=["short", "long", "less", "other", "unsaid", "resized", "empty", "longer"],
)
@in_trio
async def test_no_short_long_or_other_part_is_taken(service: Service, effect: Effect, error: type[Exception]) -> None:
    service.fault(effect, times=None)
    async with opened(service) as http:
        with pytest.raises(error):
            await http.read(FILE, 0, 10, SIZE)


@in_trio
async def test_a_server_that_is_away_and_comes_back(service: Service) -> None:
    async with opened(service) as http:
        assert (await http.ask_json(QUESTION)).status == 200
        service.proxy.away()
        with pytest.raises(ProviderUnreachable, match="no connection"):
            await http.ask_json(QUESTION)
        service.proxy.back()
        assert (await http.ask_json(QUESTION)).status == 200
        assert http.gauges.answers["GET", "failed"] == 3


@in_trio
async def test_cancelled_questions_leave_nothing_behind(service: Service) -> None:
    service.fault(faults.silence(), times=20)
    async with opened(service, replace(QUICK, questions=2)) as http:
        for _ in range(20):
            with trio.move_on_after(0.01):
                await http.ask_json(QUESTION)
        service.proxy.faults.clear()
        with trio.fail_after(5):
            assert (await http.ask_json(QUESTION)).status == 200
        assert http.gauges.in_flight == 0


@in_trio
async def test_no_log_holds_a_key_a_query_or_a_host(service: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service.fault(faults.redirect("/json?signed=of-the-server"))
    async with opened(service) as http:
        await http.ask_json(replace(QUESTION, path="/json", query={"key": "of-the-query"}))
        with pytest.raises(Refusal):
            await http.ask_json(replace(QUESTION, path="/nowhere"))
    assert "the question: 200" in caplog.text
    for secret in (KEY, "of-the-query", "of-the-server", "127.0.0.1"):
        assert secret not in caplog.text


@contextmanager
def tls_service(folder: Path) -> Iterator[tuple[str, Path]]:
    authority = Authority(folder)

    def answer(request: Request) -> Response:
        return Response(200, [("content-type", "application/json")], b"{}")

    server = HttpServer(answer, tls=authority.server_context())
    try:
        yield server.url, authority.ca_file
    finally:
        server.close()


@in_trio
async def test_certificates_are_verified_by_the_file_that_was_named(tmp_path: Path) -> None:
    async def authorize() -> Mapping[str, str]:
        return {}

    with tls_service(tmp_path) as (url, ca_file):
        for trusted in (False, True):
            http = HttpAccount("home", url, authorize, tls=tls_context(ca_file if trusted else None), settings=QUICK)
            try:
                if trusted:
                    assert (await http.ask_json(QUESTION)).status == 200
                else:
                    with pytest.raises(ProviderUnreachable, match="ca_file"):
                        await http.ask_json(QUESTION)
                    assert http.gauges.retries == 0
            finally:
                await http.aclose()


def test_a_ca_file_that_is_none_is_a_slip_in_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "empty.pem").write_text("nothing")
    for name in ("empty.pem", "absent.pem"):
        with pytest.raises(ConfigError, match="ca_file"):
            tls_context(tmp_path / name)


def test_nothing_listens_where_nobody_is(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    account = Opened(f"http://127.0.0.1:{port}", QUICK)

    async def ask() -> None:
        async with account as http:
            with pytest.raises(ProviderUnreachable, match="no connection"):
                await http.ask_json(replace(QUESTION, lane=Lane.BYTES))

    trio.run(ask)


@in_trio
async def test_pieces_are_taken_in_order_and_again_after_trouble(service: Service) -> None:
    taken: list[tuple[int, bytes]] = []
    lengths = (100, 300, 1)
    service.fault(faults.truncated(250))
    async with opened(service) as http:
        pieces = Pieces(lengths, lambda number, data: taken.append((number, bytes(data))))
        assert await http.pour(FILE, 7, pieces, len(BYTES)) == ETAG
    whole = [(0, BYTES[7:107]), (1, BYTES[107:407]), (2, BYTES[407:408])]
    assert taken[-3:] == whole
    assert taken[:-3] == whole[: len(taken) - 3]


@in_trio
async def test_downloads_through_a_proxy_are_what_they_are_without(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", service.proxy.url)
    monkeypatch.delenv("no_proxy", raising=False)
    taken: dict[int, bytes] = {}
    async with Opened(ELSEWHERE, QUICK) as http:
        await http.pour(FILE, 5, Pieces((10, 20), lambda number, data: taken.update({number: bytes(data)})), len(BYTES))
    assert taken == {0: BYTES[5:15], 1: BYTES[15:35]}
    assert is_proxied("http", "gallery.test")
    monkeypatch.setenv("no_proxy", "gallery.test")
    assert not is_proxied("http", "gallery.test")
