"""iiiffs.cli.watching: one screen of a status and a queue."""

from __future__ import annotations

import io

from rich.console import Console

from iiiffs.cli.watching import RATE_OVER_S, Rates, Sample, last_errors, sample_of, screen

STATUS: dict[str, object] = {
    "mountpoint": "/mnt/photos",
    "up_s": 3600.0,
    "accounts": [
        {"name": "home", "online": True, "reason": None, "traffic": {"received_bytes": 100}},
        {"name": "cloud", "online": False, "reason": "no key", "traffic": {}},
    ],
    "render": {"rendered": 10},
    "originals": {"read_bytes": 1000},
    "cache": {"renditions": {"used_bytes": 2048, "quota_bytes": 4096}, "file_bytes": 1},
    "queue": {
        "waiting": 3,
        "waiting_bytes": 500,
        "sent_bytes": 100,
        "failed": 1,
        "scratch_old": 2,
        "accounts": [{"name": "home", "waiting": 3, "failed": 1}],
    },
}
SENDING: dict[str, object] = {"path": "home/albums/A/s.jpg", "stage": "sending", "size_bytes": 100, "sent_bytes": 50}
FAILED: dict[str, object] = {"path": "home/albums/A/f.jpg", "stage": "failed", "reason": "refused"}


def drawn(status: dict[str, object], items: list[dict[str, object]], rates: Rates | None = None) -> str:
    console = Console(file=io.StringIO(), width=100, highlight=False)
    console.print(screen(status, list(items), rates or Rates(), lambda: 1.0))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_screen_says_it_all() -> None:
    text = drawn(STATUS, [FAILED, SENDING])
    for words in (
        "/mnt/photos, up 1 h",
        "online",
        "offline",
        "queue: 3 waiting, 1 failed, 2 temporary files older than 1 h",
        "renditions: 2.0 KiB of 4.0 KiB",
        "cloud: no key",
        "home/albums/A/f.jpg: refused",
    ):
        assert words in text
    assert text.index("s.jpg") < text.index("f.jpg")


def test_a_daemon_of_another_version_is_drawn_too() -> None:
    assert "queue: 0 waiting" in drawn({}, [])


def test_rates_are_over_the_last_seconds_and_start_anew_with_the_daemon() -> None:
    rates = Rates()
    for second in range(30):
        rates.add(Sample(float(second), second * 3, 0, 0, 0))
    assert rates.per_s(lambda sample: sample.rendered) == 3.0
    rates.add(Sample(30.0, 0, 0, 0, 0))
    assert rates.per_s(lambda sample: sample.rendered) == 0.0
    rates.add(Sample(30.0 + RATE_OVER_S, 20, 0, 0, 0))
    assert rates.per_s(lambda sample: sample.rendered) == 2.0


def test_a_sample_holds_the_totals() -> None:
    assert sample_of(STATUS, 5.0) == Sample(5.0, 10, 1000, 100, 400)


def test_errors_are_few() -> None:
    lines = last_errors(STATUS, [FAILED] * 20)
    assert len(lines) == 6
