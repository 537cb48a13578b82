"""The real server with each thread's name told to the system, and what threads of a name have cost since.

`python -m bench.named serve --port N ...`. Python tells the system itself from 3.14 on. What a thread starts
outside Python, as x264 does, inherits its name. Nothing else of the server is changed.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from pathlib import Path
from typing import Any

_PR_SET_NAME = 15  # linux/prctl.h
_NAME_BYTES = 15  # prctl(2): 16 with the zero
_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_UTIME, _STIME = 11, 12  # of /proc/PID/stat's fields behind the name, proc(5)


def cpu_by_name(pid: int) -> dict[str, float]:
    """CPU seconds, user's and system's, of the threads that live, by name. Raises OSError without them."""
    spent: dict[str, float] = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it ended as we looked
            name, cpu_s = read_stat((task / "stat").read_text())
            with contextlib.suppress(FileNotFoundError):  # not every kernel counts finer than in ticks
                cpu_s = int((task / "schedstat").read_text().split()[0]) / 1e9
            spent[name] = spent.get(name, 0.0) + cpu_s
    return spent


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, of threads that ended too. Raises OSError without it."""
    return read_stat(Path(f"/proc/{pid}/stat").read_text())[1]


def read_stat(line: str) -> tuple[str, float]:
    """A line of /proc/PID/stat: (name, CPU seconds in ticks)."""
    name, _, rest = line.partition("(")[2].rpartition(")")
    fields = rest.split()
    return name, (int(fields[_UTIME]) + int(fields[_STIME])) * _TICK_S


def name_threads() -> None:
    """Those that start from now on."""
    libc = ctypes.CDLL(None)

    def name_it(*_: Any) -> None:
        """At the thread's first call, the only one that is looked at."""
        sys.setprofile(None)
        libc.prctl(_PR_SET_NAME, threading.current_thread().name.encode()[:_NAME_BYTES], 0, 0, 0)

    threading.setprofile(name_it)


def main() -> int:
    from server.__main__ import main as serve

    name_threads()
    return int(serve() or 0)


if __name__ == "__main__":
    sys.exit(main())
