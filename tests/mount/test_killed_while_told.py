"""kill -9 while the kernel is being told of changes leaves nobody waiting."""

from __future__ import annotations

import errno
import subprocess
import time
from pathlib import Path

import pytest

from tests.harness.mount import start, take_down
from tests.harness.scripted import PROGRAM, Fault, FaultKind, Flavour, Store, scripted_config
from tests.mount.commands import reap, start_clients
from tests.mount.observing import eventually, names

ENDED_S = 10.0
TOLD_S = 0.3
"""After the listing was asked for."""


def test_a_daemon_that_is_killed_while_names_change_ends(tmp_path: Path) -> None:
    """To have a name forgotten (FUSE_NOTIFY_INVAL_ENTRY) takes the directory's lock, which whoever makes something in
    it holds until the daemon answers: killed then, the daemon waited for its client, and the client for the daemon,
    until somebody aborted the connection."""
    clients: list[subprocess.Popen[bytes]] = []
    with Store(tmp_path / "server", Flavour.FOLDER) as store:
        store.put("a.jpg", b"a")
        config = scripted_config(tmp_path, store)
        mount = start(tmp_path, tmp_path, config=config, program=PROGRAM)
        try:
            assert "a.jpg" in names(mount.files)
            store.script.add(Fault(FaultKind.HANG, "make_album", times=None))
            clients += start_clients(["mkdir"], [mount.files / "New"])
            eventually(lambda: store.script.counts()["make_album"], deadline_s=ENDED_S)
            listed = store.script.counts()["listing"]
            store.put("b.jpg", b"b")
            eventually(lambda: store.script.counts()["listing"] > listed, deadline_s=ENDED_S)
            time.sleep(TOLD_S)
            mount.kill()
            assert clients[0].wait(ENDED_S) != 0
            with pytest.raises(OSError) as caught:
                mount.files.stat()
            assert caught.value.errno == errno.ENOTCONN
        finally:
            take_down(mount)
            reap(clients)
