"""What tests ask the fake driver (stubs/libcuda.c)."""

from __future__ import annotations

import ctypes
from pathlib import Path

OWNED = ("memory", "pinned", "streams", "events", "modules", "graphs", "execs", "contexts")


class FakeDriver:
    """The fake libcuda of this process: what it was asked, what is alive in it, what it moved."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._library = ctypes.CDLL(str(folder / "libcuda.so.1"))
        self._library.fake_cuda_count.restype = ctypes.c_longlong
        self._library.fake_cuda_count.argtypes = (ctypes.c_char_p,)
        self._library.fake_cuda_log.restype = ctypes.c_char_p
        self._library.fake_cuda_fresh()
        self._before = {what: self._ask(what) for what in OWNED}

    def count(self, what: str) -> int:
        """One of OWNED (alive that was not when the test began), "calls", "launches", "hangs" (endless),
        "lost", "depth" (contexts pushed on this thread), "device_bytes" (of the test), or bytes moved:
        "h2d", "d2h", "d2d"."""
        return self._ask(what) - self._before.get(what, 0)

    def _ask(self, what: str) -> int:
        found = int(self._library.fake_cuda_count(what.encode()))
        assert found >= 0, what
        return found

    def log(self) -> list[str]:
        """The calls since the last reset, but for pushes and pops: "cuMemAlloc_v2 4096"."""
        return self._library.fake_cuda_log().decode().splitlines()

    def called(self, *names: str) -> list[str]:
        """The log, of these functions only."""
        return [line for line in self.log() if line.split()[0] in names]

    def reset(self) -> None:
        """Forget the log, the counts of work and that a GPU was lost."""
        self._library.fake_cuda_reset()

    @property
    def lost(self) -> bool:
        """Whether the GPU is lost (by fault, or because a kernel or copy touched memory it may not)."""
        return self.count("lost") > 0

    def forgive(self) -> None:
        """What is alive now is no leak: a test that makes the GPU hang cannot give it back."""
        self._before = {what: self._ask(what) for what in OWNED}

    def leaks(self) -> dict[str, int]:
        """What is alive that was not when the test began."""
        found = {what: self.count(what) for what in OWNED}
        return {what: count for what, count in found.items() if count > 0}
