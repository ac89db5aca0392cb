"""Decisions about HTTP, by tables and Hypothesis."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from iiiffs.providers.http_policy import (
    RETRY_AFTER_MAX_S,
    Bucket,
    RetryPolicy,
    Span,
    host_of,
    is_json,
    one_line,
    origin_of,
    parse_content_range,
    parse_http_date,
    parse_retry_after,
    redirect_target,
    span_of,
)

NOON = 1_795_348_800.0  # Sun, 22 Nov 2026 12:00:00 GMT
HOME = "https://photos.example.org/api/albums?x=1"


@given(st.integers(1, 20), st.floats(0, 1, exclude_max=True), st.none() | st.floats(0, 1000))
def test_delays_stay_between_what_was_asked_and_the_ceiling(attempt: int, draw: float, asked: float | None) -> None:
    policy = RetryPolicy(attempts=8, base_s=0.5, ceiling_s=6.0)
    delay = policy.delay_s(attempt, draw, asked)
    if attempt >= policy.attempts:
        assert delay is None
    else:
        assert delay is not None
        assert (asked or 0.0) <= delay <= (asked or 0.0) + min(6.0, 0.5 * 2 ** (attempt - 1))


def test_the_ceiling_doubles_until_it_is_the_highest() -> None:
    policy = RetryPolicy(attempts=9, base_s=1.0, ceiling_s=5.0)
    assert [policy.delay_s(attempt, 1.0) for attempt in range(1, 6)] == [1.0, 2.0, 4.0, 5.0, 5.0]


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("٣", None),
        ("0", 0.0),
        (" 7 ", 7.0),
        ("99999999", RETRY_AFTER_MAX_S),
        ("Sun, 22 Nov 2026 12:00:09 GMT", 9.0),
        ("Sun, 22 Nov 2026 11:00:00 GMT", 0.0),
        ("Sun, 22 Nov 2126 11:00:00 GMT", RETRY_AFTER_MAX_S),
    ],
)
def test_retry_after(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value, NOON) == seconds


@given(st.text(max_size=40))
def test_no_header_breaks_the_parsers(text: str) -> None:
    seconds = parse_retry_after(text, NOON)
    assert seconds is None or 0.0 <= seconds <= RETRY_AFTER_MAX_S
    span = parse_content_range(text)
    assert span is None or span.start < span.end
    parse_http_date(text)
    assert redirect_target(HOME, text) is None or origin_of(redirect_target(HOME, text) or "") == origin_of(HOME)


@given(st.lists(st.floats(0, 2), min_size=1, max_size=60))
def test_a_bucket_lets_no_more_through_than_burst_and_rate(steps: list[float]) -> None:
    bucket, now, used = Bucket(rate_per_s=5.0, burst=4.0), 100.0, list[float]()
    for step in steps:
        now += step
        used.append(now + bucket.take(now))
    for first, one in enumerate(used):
        for last in range(first, len(used)):
            assert last - first + 1 <= 4.0 + 5.0 * (used[last] - one) + 1e-6
    assert used == sorted(used)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        (None, None),
        ("", None),
        ("original?", "https://photos.example.org/api/original"),
        ("/api/assets/1", "https://photos.example.org/api/assets/1"),
        ("https://photos.example.org:443/x", "https://photos.example.org:443/x"),
        ("https://photos.example.org:8443/x", None),
        ("http://photos.example.org/x", None),
        ("https://evil.example.org/x", None),
        ("//evil.example.org/x", None),
        ("https://photos.example.org@evil.example.org/x", None),
        ("https://photos.example.org.evil.org/", None),
        ("javascript:alert(1)", None),
        ("https://[::1/x", None),
    ],
)
def test_redirects_stay_at_home(location: str | None, target: str | None) -> None:
    assert redirect_target(HOME, location) == target


def test_of_a_redirect_only_the_host_is_told() -> None:
    assert host_of(HOME, "https://login.example.org/x?token=secret#y") == "https://login.example.org:443"
    assert host_of(HOME, "mailto:x") == "an unknown place"


@pytest.mark.parametrize("url", ["", "photos.example.org", "ftp://x/", "https:///x", "file:///etc/passwd"])
def test_only_web_addresses_have_an_origin(url: str) -> None:
    with pytest.raises(ValueError, match="no http"):
        origin_of(url)


@pytest.mark.parametrize(
    ("value", "span"),
    [
        ("bytes 0-99/1156343", Span(0, 100, 1156343)),
        ("bytes 5-5/*", Span(5, 6, None)),
        ("bytes 9-4/10", None),
        ("bytes 0-99/50", None),
        ("bytes */1156343", None),
        ("items 0-9/10", None),
        (None, None),
    ],
)
def test_content_ranges(value: str | None, span: Span | None) -> None:
    assert parse_content_range(value) == span


@pytest.mark.parametrize(
    ("status", "headers", "span"),
    [
        (206, {"content-range": "bytes 0-9/20"}, Span(0, 10, 20)),
        (206, {"content-length": "10"}, None),
        (200, {"content-length": "20"}, Span(0, 20, 20)),
        (200, {}, Span(0, -1, None)),
        (200, {"content-length": "20", "content-encoding": "gzip"}, Span(0, -1, None)),
        (200, {"content-length": "x"}, None),
    ],
)
def test_what_part_of_the_file_an_answer_is(status: int, headers: dict[str, str], span: Span | None) -> None:
    assert span_of(status, headers) == span


@pytest.mark.parametrize(
    ("kind", "answer"),
    [
        ("application/json; charset=utf-8", True),
        ("application/problem+json", True),
        ("text/html", False),
        (None, False),
    ],
)
def test_what_is_json(kind: str | None, answer: bool) -> None:
    assert is_json(kind) is answer


def test_what_a_server_said_is_one_short_line() -> None:
    assert one_line("a\nb\x1b[31m\tc") == "a b [31m c"
    assert len(one_line("x" * 999)) == 200
