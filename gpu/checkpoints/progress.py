"""How far a download or a check is: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from gpu.checkpoints.fault import size_text

LINE_EVERY_S = 10.0
LARGE_BYTES = 100_000_000  # smaller files come and are checked before anybody wonders


class Progress(Protocol):
    """One file after the other: begin, moved any number of times, end."""

    def begin(self, what: str, total_bytes: int, done_bytes: int = 0) -> None:
        """A file of which `done_bytes` are there already."""

    def moved(self, count_bytes: int) -> None:
        """So many more are done; less than 0 where bytes had to be given up."""

    def end(self) -> None:
        """Of the file, done or not."""

    def say(self, line: str) -> None:
        """A line of its own, above a bar."""


class Lines:
    """For logs and pipes: a line when a large file begins, every LINE_EVERY_S, when a file is done."""

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._write, self._clock = write, clock
        self._what, self._total, self._done, self._since = "", 0, 0, 0
        self._started = self._said = 0.0

    def begin(self, what: str, total_bytes: int, done_bytes: int = 0) -> None:
        self._what, self._total, self._done, self._since = what, total_bytes, done_bytes, done_bytes
        self._started = self._said = self._clock()
        if total_bytes >= LARGE_BYTES:
            there = f", {size_text(done_bytes)} of them there already" if done_bytes else ""
            self._write(f"{what}: {size_text(total_bytes)}{there}")

    def moved(self, count_bytes: int) -> None:
        self._done += count_bytes
        now = self._clock()
        if now - self._said < LINE_EVERY_S:
            return
        self._said = now
        rate = max(self._done - self._since, 1) / (now - self._started)
        left = duration((self._total - self._done) / rate)
        share = f"{size_text(self._done)} of {size_text(self._total)}"
        self._write(f"{self._what}: {share}, {rate / 1e6:.1f} MB/s, {left} left")

    def end(self) -> None:
        if self._done == self._total:
            took = max(self._clock() - self._started, 1e-3)
            rate = (self._done - self._since) / took / 1e6
            self._write(f"{self._what}: {size_text(self._total)} in {duration(took)}, {rate:.1f} MB/s")

    def say(self, line: str) -> None:
        self._write(line)


class Bar:
    """For terminals: tqdm's bar with MB/s and the time left."""

    def __init__(self, tqdm: Any, stream: TextIO) -> None:
        self._tqdm, self._stream = tqdm, stream
        self._bar: Any = None

    def begin(self, what: str, total_bytes: int, done_bytes: int = 0) -> None:
        columns, rows = shutil.get_terminal_size()  # tqdm's own is 0 on some: it then shows nothing
        self._bar = self._tqdm(
            total=total_bytes,
            initial=done_bytes,
            desc=what,
            unit="B",
            unit_scale=True,
            ncols=min(columns, 120),
            nrows=rows,
            file=self._stream,
        )

    def moved(self, count_bytes: int) -> None:
        self._bar.update(count_bytes)

    def end(self) -> None:
        self._bar.close()

    def say(self, line: str) -> None:
        self._tqdm.write(line, file=self._stream)


def to_stream(stream: TextIO | None = None) -> Progress:
    """A bar where `stream` (standard error) is a terminal and tqdm is installed, else lines."""
    stream = sys.stderr if stream is None else stream
    if stream.isatty():
        try:
            from tqdm import tqdm
        except ImportError:
            pass
        else:
            return Bar(tqdm, stream)
    return Lines(lambda line: print(line, file=stream, flush=True))


def duration(seconds: float) -> str:
    """ "40 s", "12 min", "1 h 05 min"."""
    whole = max(0, round(seconds))
    if whole < 100:
        return f"{whole} s"
    minutes = round(whole / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60:02} min"
