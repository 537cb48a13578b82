"""The progress of `relens edit`: frames done of all, how fast, and how long it will take. Knows no film.

A bar where there is a terminal, else a line now and then.
"""

from __future__ import annotations

import threading
import time
from typing import TextIO

from gpu.checkpoints.progress import duration

_SHOW_S, _LINE_S = 0.5, 5.0  # between two looks on a terminal, and between lines where there is none
_RATE_S = 0.5  # from the first frame on: before that a rate is chance


class EditBar:
    """From any thread: `had`, `made`. As a context it leaves a whole line behind."""

    def __init__(self, stream: TextIO) -> None:
        self._stream, self._tty = stream, stream.isatty()
        self._total = self._done = self._worked = 0
        self._first_s = self._shown_s = time.monotonic()
        self._open = False
        self._lock = threading.Lock()  # spans are rendered side by side

    def begin(self, total: int) -> None:
        self._total, self._open = total, True
        self._show()

    def had(self, frames: int) -> None:
        """Of an earlier run."""
        with self._lock:
            self._done += frames
            if self._tty:
                self._show()

    def made(self) -> None:
        with self._lock:
            if not self._worked:  # what comes before it, the model's load, says nothing of the frames to come
                self._first_s = time.monotonic()
            self._done += 1
            self._worked += 1
            if time.monotonic() - self._shown_s > (_SHOW_S if self._tty else _LINE_S):
                self._show()

    def say(self, what: str) -> None:
        self._show()
        print(f"\n{what}" if self._tty else what, file=self._stream, flush=True)
        self._open = False

    def end(self) -> None:
        self._close()

    def __enter__(self) -> EditBar:
        return self

    def __exit__(self, *why: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._open and self._tty:
            print(file=self._stream, flush=True)
        self._open = False

    def _show(self) -> None:
        now_s = self._shown_s = time.monotonic()
        lasted_s = now_s - self._first_s
        fps = (self._worked - 1) / lasted_s if self._worked > 1 and lasted_s > _RATE_S else 0.0
        left = (
            f", {duration((self._total - self._done) / fps)} left" if fps and self._done < self._total else ""
        )
        share = self._done / max(1, self._total)
        text = f"{share:4.0%} {self._done} of {self._total} frames"
        text += f", {fps:.1f} fps{left}" if fps else ""
        if self._tty:
            bar = "#" * round(share * 24)
            print(f"\r[{bar:<24}] {text}\033[K", end="", file=self._stream, flush=True)
        else:
            print(text, file=self._stream, flush=True)
