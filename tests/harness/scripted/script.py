"""What goes wrong, and what was asked: a file that tests write and read while a daemon follows it.

It is one SQLite file, so a fault that is to happen once happens once, also over kill -9 and restarts; so do counts.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from tests.harness.scripted.records import connect, dumped

ALL = "*"
"""Every method."""


class FaultKind(StrEnum):
    """What goes wrong with a call.

    before anything is done: LATENCY (`seconds`), HANG (until the fault is taken away), UNREACHABLE, DENIED, REJECTED,
        OVER_QUOTA, GONE, CHANGED.
    while bytes travel: SLOW (`bytes_per_s`; read, upload, replace), TRUNCATED (upload, replace: the last `cut_bytes` do
        not arrive, and the server keeps what did), SHORT (read: `cut_bytes` fewer, which no provider may do), WRONG
        (read: one byte is another).
    HALF: upload, replace: the asset is kept, and nothing else is done (no album, no trash); then the connection breaks.
    TWICE: what was asked arrives twice, one after the other; the second answer comes.
    after all was done: LATE (the answer is on its way for `seconds`), LOST (the connection breaks before the answer),
        LOST_SILENTLY (no answer comes until the fault is taken away; then the connection breaks).
    ITEMS: add, take_out, tag, untag: those of `items`, or all, fail each.
    """

    LATENCY = "latency"
    HANG = "hang"
    UNREACHABLE = "unreachable"
    DENIED = "denied"
    REJECTED = "rejected"
    OVER_QUOTA = "over quota"
    GONE = "gone"
    CHANGED = "changed"
    SLOW = "slow"
    TRUNCATED = "truncated"
    SHORT = "short"
    WRONG = "wrong"
    HALF = "half"
    TWICE = "twice"
    LATE = "late"
    LOST = "lost"
    LOST_SILENTLY = "lost silently"
    ITEMS = "items"


@dataclass(frozen=True, slots=True)
class Fault:
    """One line of the script: calls of `method` (of the provider; "read" of an original; ALL) that are about something
    whose id or name holds `about`, suffer `kind`.

    `skip`: so many of them are spared first. `times`: so many suffer; None: all. `chance`: of each, by `seed` the same
    in every run. Several faults may strike one call: what takes time comes first.
    """

    kind: FaultKind
    method: str = ALL
    about: str = ""
    skip: int = 0
    times: int | None = 1
    chance: float = 1.0
    seed: int = 0
    seconds: float = 0.0
    bytes_per_s: float = 1e6
    cut_bytes: int = 1
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A question that the provider was asked. `about`: ids and names, separated by blanks. `outcome`: "answered", the
    class of the error, or "cancelled"; None while it is asked, and for ever where its daemon was killed then."""

    number: int
    method: str
    about: str
    outcome: str | None


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault that strikes a call. `number`: of the fault."""

    number: int
    fault: Fault


class Script:
    """The script at `path`, made where there is none. For any thread and process. Whoever makes it closes it."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        self._connection = connect(path)
        with self._writing():
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS faults (number INTEGER PRIMARY KEY AUTOINCREMENT, fault TEXT, "
                "seen INTEGER DEFAULT 0, struck INTEGER DEFAULT 0)"
            )
            self._connection.execute(
                "CREATE TABLE IF NOT EXISTS calls (number INTEGER PRIMARY KEY AUTOINCREMENT, method TEXT, about TEXT, "
                "began_ns INTEGER, outcome TEXT)"
            )

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        """Nothing is open."""
        with self._lock:
            self._connection.close()

    # ---- for tests --------------------------------------------------------------------------------------------

    def add(self, *faults: Fault) -> list[int]:
        """From now on these strike too; their numbers."""
        with self._writing():
            cursors = [
                self._connection.execute("INSERT INTO faults (fault) VALUES (?)", (dumped(asdict(f)),)) for f in faults
            ]
            return [int(cursor.lastrowid or 0) for cursor in cursors]

    def remove(self, *numbers: int) -> None:
        """Those strike no more, and what hangs by them goes on."""
        with self._writing():
            for number in numbers:
                self._connection.execute("DELETE FROM faults WHERE number = ?", (number,))

    def clear(self) -> None:
        """Nothing goes wrong any more, and what hangs goes on."""
        with self._writing():
            self._connection.execute("DELETE FROM faults")

    def offline(self) -> int:
        """Nothing can be asked, until the fault of the answered number is removed, or all are."""
        (number,) = self.add(Fault(FaultKind.UNREACHABLE, times=None))
        return number

    def struck(self, number: int) -> int:
        """How many calls that fault has struck."""
        with self._lock:
            row = self._connection.execute("SELECT struck FROM faults WHERE number = ?", (number,)).fetchone()
        return 0 if row is None else int(row[0])

    def calls(self, method: str | None = None) -> list[Call]:
        """All so far, or those of one method, oldest first. What `watch` asks at every look is none."""
        where, values = ("1", ()) if method is None else ("method = ?", (method,))
        question = f"SELECT number, method, about, outcome FROM calls WHERE {where} ORDER BY number"
        with self._lock:
            return [Call(*row) for row in self._connection.execute(question, values)]

    def counts(self) -> Counter[str]:
        """Method -> how often it was called so far."""
        with self._lock:
            return Counter(dict(self._connection.execute("SELECT method, count(*) FROM calls GROUP BY method")))

    def asking(self, method: str) -> list[Call]:
        """Calls that have begun and not ended."""
        return [call for call in self.calls(method) if call.outcome is None]

    def forget_calls(self) -> None:
        """Counts begin anew."""
        with self._writing():
            self._connection.execute("DELETE FROM calls")

    # ---- for the provider -------------------------------------------------------------------------------------

    def begin(self, method: str, about: str, *, noted: bool = True) -> tuple[int, list[Struck]]:
        """A call has begun: its number (0 if it is not `noted`), and the faults that strike it."""
        with self._writing():
            number = 0
            if noted:
                values = (method, about, time.time_ns())
                statement = "INSERT INTO calls (method, about, began_ns) VALUES (?, ?, ?)"
                number = self._connection.execute(statement, values).lastrowid or 0
            return number, list(self._strike(method, about))

    def _strike(self, method: str, about: str) -> Iterator[Struck]:
        rows = self._connection.execute("SELECT number, fault, seen, struck FROM faults ORDER BY number").fetchall()
        for number, text, seen, struck in rows:
            fault = _fault_of(text)
            if fault.method not in (ALL, method) or fault.about not in about:
                continue
            is_due = seen >= fault.skip and (fault.times is None or struck < fault.times)
            drawn = fault.chance >= 1 or random.Random(f"{fault.seed} {seen}").random() < fault.chance
            strikes = is_due and drawn
            self._connection.execute(
                "UPDATE faults SET seen = seen + 1, struck = struck + ? WHERE number = ?", (strikes, number)
            )
            if strikes:
                yield Struck(number, fault)

    def end(self, number: int, outcome: str) -> None:
        """That call has ended so."""
        if number:
            with self._writing():
                self._connection.execute("UPDATE calls SET outcome = ? WHERE number = ?", (outcome, number))

    def holds(self, fault: int) -> bool:
        """That fault was not taken away."""
        with self._lock:
            return self._connection.execute("SELECT 1 FROM faults WHERE number = ?", (fault,)).fetchone() is not None


def _fault_of(text: str) -> Fault:
    values = json.loads(text)
    return Fault(**{**values, "kind": FaultKind(values["kind"]), "items": tuple(values["items"])})
