"""A proxy between a client and any fake that breaks what a test's script says, and can be away altogether.

`with fault_proxy(server.url) as proxy: proxy.fault(faults.reset(after=100), r"/original"); client(proxy.url)`
"""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from tests.fakes.faults import Effect, Faults, Rule
from tests.fakes.log import RequestLog
from tests.fakes.serving import HttpServer, Request, Response

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "te", "upgrade", "expect"}
UPSTREAM_S = 60.0


class FaultProxy:
    """Passes requests on to `upstream` until a rule strikes. Bodies are held whole: not for measuring throughput."""

    def __init__(self, upstream: str, *, upstream_tls: ssl.SSLContext | None = None) -> None:
        self.faults = Faults()
        self.requests = RequestLog()
        self._upstream = urlsplit(upstream)
        self._upstream_tls = upstream_tls
        self._server = HttpServer(self._handle)
        self._port = self._server.port
        self._away = False

    @property
    def url(self) -> str:
        """The same for the life of the proxy."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def connections_made(self) -> int:
        """By clients, since the last `back`."""
        return self._server.connections_made

    def fault(
        self, effect: Effect, pattern: str = "", *, method: str = "", times: int | None = 1, skip: int = 0
    ) -> Rule:
        """As `Faults.add`."""
        return self.faults.add(effect, pattern, method=method, times=times, skip=skip)

    def away(self) -> None:
        """Connections are refused, open ones broken: the host is down or the network is."""
        if not self._away:
            self._away = True
            self._server.close()

    def back(self) -> None:
        """Listens again, at the same port."""
        if self._away:
            self._server = HttpServer(self._handle, port=self._port)
            self._away = False

    def drop_connections(self) -> None:
        """Open connections break, new ones are welcome."""
        self._server.drop_connections()

    def close(self) -> None:
        """It is gone."""
        self._server.close()
        assert not self._server.bugs, self._server.bugs

    def _handle(self, request: Request) -> Response:
        effect = self.faults.pick(request)
        response = effect.apply(request, self._pass_on) if effect else self._pass_on(request)
        self.requests.add(request, response, fault=effect.name if effect else "")
        return response

    def _pass_on(self, request: Request) -> Response:
        host, port = self._upstream.hostname or "", self._upstream.port
        connection: http.client.HTTPConnection
        if self._upstream.scheme == "https":
            connection = http.client.HTTPSConnection(host, port, timeout=UPSTREAM_S, context=self._upstream_tls)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=UPSTREAM_S)
        try:
            connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers:
                if name not in HOP_BY_HOP:
                    connection.putheader(name, value)
            body = request.read()
            if body or request.header("content-length") or request.header("transfer-encoding"):
                connection.putheader("content-length", str(len(body)))
            connection.endheaders(body or None)
            answer = connection.getresponse()
            headers = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
            length = answer.getheader("content-length") if request.method == "HEAD" else None
            return Response(answer.status, headers, answer.read(), told_length=int(length) if length else None)
        except OSError:
            return Response(502, [("content-type", "text/html")], b"<h1>502 Bad Gateway</h1>")
        finally:
            connection.close()


@contextmanager
def fault_proxy(upstream: str, *, upstream_tls: ssl.SSLContext | None = None) -> Iterator[FaultProxy]:
    """Inside, a proxy before `upstream` (a URL)."""
    proxy = FaultProxy(upstream, upstream_tls=upstream_tls)
    try:
        yield proxy
    finally:
        proxy.close()
