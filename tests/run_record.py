"""What a run of the tests has done so far, in a file that outlives the interpreter: for CI, which is told
what ran when it hung or died, and goes on behind it. Knows no test.

One event a line, fields apart by tabs: what happened, the test, the process. "setup", "call", "teardown":
it is in that phase; "again": it failed and is tried once more; "passed", "failed": it is done;
"begin", "end": of all that a process runs.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

VARIABLE = "RELENS_TEST_RECORD"  # the file's path; what is done in it already is left out
RESULTS = ("passed", "failed")


class RunRecord:
    """Appends each event at once. One that cannot be written (a test fills the disk) fails no test: at worst
    CI does a test again."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        self._failed: set[str] = set()
        self._again: set[str] = set()

    def event(self, what: str, test: str) -> None:
        with contextlib.suppress(OSError):
            os.write(self._fd, f"{what}\t{test}\t{os.getpid()}\n".encode())

    def report(self, report: pytest.TestReport) -> None:
        """A phase is over. What is tried once more is not done when its first try is."""
        name = report.nodeid
        if str(report.outcome) == "rerun":  # pytest-rerunfailures' word
            self._again.add(name)
            self.event("again", name)
        elif report.failed:
            self._failed.add(name)
        if report.when != "teardown":
            return
        if name not in self._again:
            self.event("failed" if name in self._failed else "passed", name)
        for names in (self._again, self._failed):
            names.discard(name)

    def close(self) -> None:
        os.close(self._fd)


def done(path: Path) -> set[str]:
    """Tests that a record has a result of."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    fields = [line.split("\t") for line in lines]
    return {test for what, test, *_ in (each for each in fields if len(each) == 3) if what in RESULTS}
