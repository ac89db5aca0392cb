"""Provider "immich" for tests, whether or not the installed iiiffs registers it yet."""

from __future__ import annotations

import os
from pathlib import Path

PLUGINS = Path(__file__).parent / "plugins"
"""To be in sys.path, or in PYTHONPATH."""
PYTHONPATH = os.pathsep.join([str(PLUGINS), str(Path(__file__).parents[2])])
"""For another process: with the tests' own modules."""
