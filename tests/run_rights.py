"""What the tests may not do: put themselves ahead of the whole machine.

SVT-AV1, run by root, makes the thread that opens it, and so all that is started from it afterwards, real-time
(SCHED_FIFO 99): a browser that is busy then starves everything else, CI's own limits among it.
"""

from __future__ import annotations

import ctypes
import sys

_CAP_SYS_NICE = 23  # linux/capability.h
_PR_CAPBSET_DROP = 24  # linux/prctl.h
_VERSION_3 = 0x20080522


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Sets(ctypes.Structure):
    """32 capabilities: effective, permitted, inheritable."""

    _fields_ = tuple((name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable"))


def stay_in_line() -> None:
    """Gives the right away, for this process's calling thread and whatever it starts; a wish where there is
    none. Elsewhere than on Linux nothing takes it."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(_PR_CAPBSET_DROP, _CAP_SYS_NICE, 0, 0, 0)
    header, sets = _Header(_VERSION_3, 0), (_Sets * 2)()
    if libc.capget(ctypes.byref(header), ctypes.byref(sets)) == 0:
        for name in ("effective", "permitted", "inheritable"):
            setattr(sets[0], name, getattr(sets[0], name) & ~(1 << _CAP_SYS_NICE))
        libc.capset(ctypes.byref(header), ctypes.byref(sets))
