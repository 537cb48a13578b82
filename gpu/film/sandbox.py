"""What the child that reads a film may not do. Called by the child upon itself."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import os
import signal
import sys

from gpu.film import syscalls

try:
    import resource
except ImportError:  # not on Windows
    resource = None  # type: ignore[assignment]

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000  # linux/sched.h
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38  # linux/prctl.h
_MOST_FILES = 32  # its own few, and what libraries open while they load
_MOST_THREADS = 64  # counted for the child alone only in a user namespace of its own

# What PyAV loads only when a file has it (av/stream.py, av/codec/context.py, av/sidedata/sidedata.py).
_LATE = (
    "av.audio.codeccontext",
    "av.audio.stream",
    "av.sidedata.encparams",
    "av.sidedata.motionvectors",
    "av.subtitles.codeccontext",
    "av.subtitles.stream",
    "av.subtitles.subtitle",
    "av.video.codeccontext",
    "av.video.stream",
)

NAMESPACE = "network namespace of its own"
FILTER = "system calls filtered: opens no file, no socket, starts no process"
DEATH = "ends with its parent"


def enter(memory_bytes: int) -> list[str]:
    """The barriers that hold from here on, in words. Call before a thread is started or a library loaded."""
    if sys.platform != "linux":
        return limit(memory_bytes)
    held = []
    parent = os.getppid()
    libc = ctypes.CDLL(None, use_errno=True)
    alone = libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET) == 0
    if alone or libc.unshare(_CLONE_NEWNET) == 0:
        held.append(NAMESPACE)
    held += limit(memory_bytes, alone)
    if end_with_parent():  # after the namespaces: a change of credentials takes it back
        held.append(DEATH)
    if os.getppid() != parent:
        os._exit(0)
    return held


def seal() -> list[str]:
    """Barriers after which nothing more can be loaded."""
    if "av" in sys.modules:
        for name in _LATE:
            importlib.import_module(name)
    return [FILTER] if syscalls.refuse() else []


def allow_cpu(seconds: float) -> None:
    """From now on; beyond, the process is ended (SIGXCPU)."""
    if resource is None:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(used.ru_utime + used.ru_stime + seconds) + 1
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_CPU, (soft, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def end_with_parent() -> bool:
    """For a process just made (prctl(2)), which gains no rights from here on; whether it holds."""
    if sys.platform != "linux":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    return bool(libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) == 0)


def limit(memory_bytes: int, alone: bool = False, most_files: int = _MOST_FILES) -> list[str]:
    """Of address space, files and more; `alone`: in a user namespace of its own. -> what holds, in words."""
    if resource is None:
        return []
    limits = {
        "RLIMIT_AS": memory_bytes,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": most_files,
        **({"RLIMIT_NPROC": _MOST_THREADS} if alone else {}),
    }
    held = []
    for name, most in limits.items():
        with contextlib.suppress(AttributeError, ValueError, OSError):
            resource.setrlimit(getattr(resource, name), (most, most))
            held.append(name)
    return [f"limits: {', '.join(held)}"]
