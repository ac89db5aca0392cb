"""An HTTP client that costs little: keep-alive connections in threads, bodies read and dropped."""

from __future__ import annotations

import http.client
import queue
import threading
import time
from collections.abc import Sequence

CONNECTIONS = 6
"""What a browser opens to one host."""


def fetch_all(port: int, paths: Sequence[str], connections: int = CONNECTIONS) -> tuple[float, int]:
    """(seconds, bytes) of fetching every path once, in this order, over `connections` at a time."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for path in paths:
        waiting.put(path)
    totals: list[int] = []
    failures: list[str] = []

    def work() -> None:
        connection, total = http.client.HTTPConnection("127.0.0.1", port), 0
        while not waiting.empty():
            try:
                path = waiting.get_nowait()
            except queue.Empty:
                break
            connection.request("GET", path)
            answer = connection.getresponse()
            total += len(answer.read())
            if answer.status != 200:
                failures.append(f"{answer.status} {path}")
        connection.close()
        totals.append(total)

    threads = [threading.Thread(target=work) for _ in range(connections)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    assert not failures, failures[:3]
    return seconds, sum(totals)
