"""The site under test: by default the plain tree of sample_site behind nginx, one server for a whole test run."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def open_folder() -> Iterator[Path]:
    """A folder that every user of this machine may enter: pytest's own are for root's eyes, and nginx may be nobody."""
    folder = Path(tempfile.mkdtemp(prefix="iiiffs-web-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)
