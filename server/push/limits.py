"""What a child that sends media out may not do. Called by the child upon itself; films have gpu.film.sandbox.

It keeps the network: that is what it is for. It ends with the server, writes no file and has little memory.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

MEMORY_BYTES = 1 << 30  # of address space; libraries take half of it
_MOST_FILES = 64
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h


def enter(memory_bytes: int = MEMORY_BYTES) -> list[str]:
    """The barriers that hold from here on, in words."""
    held = limit(memory_bytes)
    if sys.platform == "linux":
        parent = os.getppid()
        if end_with_parent():
            held.append("ends with its parent")
        if os.getppid() != parent:
            os._exit(0)
    return held


def end_with_parent() -> bool:
    """For a process just made (prctl(2)); whether it holds."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0)


def limit(memory_bytes: int) -> list[str]:
    if resource is None:
        return []
    limits = {
        "RLIMIT_AS": memory_bytes,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": _MOST_FILES,
    }
    held = []
    for name, most in limits.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (most, most))
            held.append(name)
    return [f"limits: {', '.join(held)}"]
