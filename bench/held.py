"""What a process holds at a moment: memory, threads, files, sockets, and where it tells, its loop's tasks."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from pathlib import Path

import psutil

KEYS = ("rssMb", "threads", "files", "udpSockets", "tasks", "objects")
Held = dict[str, float]


def held_by(pid: int) -> Held:
    """Seen from outside. Raises psutil.NoSuchProcess."""
    process = psutil.Process(pid)
    with process.oneshot():
        return {
            "rssMb": round(process.memory_info().rss / 2**20, 2),
            "threads": process.num_threads(),
            "files": process.num_fds(),
            "udpSockets": len(process.net_connections("udp")),
        }


async def held_by_counted(pid: int, path: Path, timeout_s: float = 5.0) -> Held:
    """As `held_by`, with tasks and objects told by bench.counted through `path`; without them on silence."""
    asked_ns = time.monotonic_ns()
    os.kill(pid, signal.SIGUSR1)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, json.JSONDecodeError):
            told = json.loads(path.read_text())  # noqa: ASYNC240  # a few hundred bytes in memory
            if told["at"] > asked_ns:
                return {**held_by(pid), "tasks": told["tasks"], "objects": told["objects"]}
        await asyncio.sleep(0.05)
    return held_by(pid)


def growth(before: Held, after: Held) -> Held:
    return {key: round(after[key] - before[key], 2) for key in KEYS if key in before and key in after}
