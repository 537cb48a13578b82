"""The real server with one thing more: on SIGUSR1 it writes what it holds to a file.

`python -m bench.counted FILE serve --port N ...`. Nothing of the server is changed.
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType


def count(path: Path) -> None:
    """Tasks of the running loop, threads, live objects; replaced in one go, so a reader sees a whole file."""
    gc.collect()
    try:
        tasks = [task.get_coro().__qualname__ for task in asyncio.all_tasks()]  # type: ignore[union-attr]
    except RuntimeError:  # before or after the loop runs
        tasks = []
    held = {
        "at": time.monotonic_ns(),
        "tasks": len(tasks),
        "names": sorted(tasks),
        "threads": threading.active_count(),
        "threadNames": sorted(t.name for t in threading.enumerate()),
        "objects": len(gc.get_objects()),
    }
    new = path.with_suffix(".new")
    new.write_text(json.dumps(held))
    new.replace(path)


def main() -> int:
    from server.__main__ import main as serve

    path = Path(sys.argv.pop(1))

    def asked(_number: int, _frame: FrameType | None) -> None:
        count(path)

    signal.signal(signal.SIGUSR1, asked)
    return int(serve() or 0)


if __name__ == "__main__":
    sys.exit(main())
