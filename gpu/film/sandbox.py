"""What the child that reads a film may not do. Called by the child upon itself, before libav is there."""

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

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38  # linux/prctl.h
_MOST_FILES = 32  # its own few, and what libraries open while they load
_MOST_THREADS = 64  # counted for the child alone only in a user namespace of its own


def enter(memory_bytes: int) -> list[str]:
    """The barriers that hold from here on, in words. Call before a thread is started."""
    held = []
    network = _leave_network()
    if network:
        held.append(network)
    held += _limit(memory_bytes, alone=network == "no network: user and network namespace of its own")
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        # After the namespaces: a change of credentials takes it back.
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0:
            held.append("ends with its parent")
        if os.getppid() == 1 and os.environ.get("RELENS_PARENT") not in (None, "1"):
            os._exit(0)
    return held


def seal() -> list[str]:
    """Barriers after which nothing more can be loaded."""
    return []


def _leave_network() -> str:
    if sys.platform != "linux":
        return ""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0:
        return "no network: user and network namespace of its own"
    if libc.unshare(_CLONE_NEWNET) == 0:
        return "no network: network namespace of its own"
    return ""


def _limit(memory_bytes: int, alone: bool) -> list[str]:
    if resource is None:
        return []
    limits = {
        "RLIMIT_AS": memory_bytes,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": _MOST_FILES,
        **({"RLIMIT_NPROC": _MOST_THREADS} if alone else {}),
    }
    for name, most in limits.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (most, most))
    return [f"limits of memory ({memory_bytes >> 20} MiB), files and processes"]
