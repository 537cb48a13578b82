"""What a child that sends media out may not do. Called by the child upon itself; films have gpu.film.sandbox.

It keeps the network: that is what it is for. It ends with the server, writes no file and has little memory.
"""

from __future__ import annotations

import os
import sys

from gpu.film import sandbox

MEMORY_BYTES = 1 << 30  # of address space; libraries take half of it
MOST_FILES = 64


def enter(memory_bytes: int = MEMORY_BYTES) -> list[str]:
    """The barriers that hold from here on, in words."""
    held = sandbox.limit(memory_bytes, most_files=MOST_FILES)
    if sys.platform == "linux":
        parent = os.getppid()
        if sandbox.end_with_parent():
            held.append(sandbox.DEATH)
        if os.getppid() != parent:
            os._exit(0)
    return held
