"""For all tests: no Hypothesis deadline on noisy machines, and no undeclared warning in the log of this process."""

from __future__ import annotations

import gc
import logging
import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("iiiffs", deadline=None, derandomize=True)
settings.register_profile("soak", deadline=None, max_examples=2000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "iiiffs"))


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Thousands of tests are collected, and none of them is garbage: none is looked at as such, then or later."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="module")
def open_folder() -> Iterator[Path]:
    """A folder that every user of this machine may enter: pytest's own are for root's eyes, and nginx may be nobody."""
    folder = Path(tempfile.mkdtemp(prefix="iiiffs-open-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def silence(caplog: pytest.LogCaptureFixture, request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that logs a warning which it did not announce fails: `@pytest.mark.warns("part of the text")`."""
    yield
    announced = [text for mark in request.node.iter_markers("warns") for text in mark.args]
    unannounced = [
        record.getMessage()
        for record in caplog.get_records("call")
        if record.levelno >= logging.WARNING and not any(text in record.getMessage() for text in announced)
    ]
    assert not unannounced, f"unannounced warnings: {unannounced}"
