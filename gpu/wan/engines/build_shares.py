"""One rising share of 0..1 out of the nested phases in which TensorRT reports a build. No library here."""

from __future__ import annotations

import threading

_NEWS = 0.005  # the least rise that is worth a message


class Shares:
    """Phases by name, each a number of steps, some inside a step of another. Any thread.

    Names and nesting differ from version to version, so nothing is known of them beforehand; a share once
    told is never taken back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._phases: dict[str, list[int]] = {}  # name: [steps, done]
        self._within: dict[str, str] = {}  # name: the phase it lies in
        self._told = 0.0
        self._what = ""
        self._last = ""

    def begin(self, name: str, parent: str | None, steps: int) -> None:
        with self._lock:
            self._phases[name] = [max(1, steps), 0]
            self._within.pop(name, None)
            if parent is not None and parent != name:
                self._within[name] = parent
            self._what = name

    def step(self, name: str, step: int) -> None:
        """`step` of the phase, counted from 0, is done."""
        with self._lock:
            phase = self._phases.get(name)
            if phase is not None:
                phase[1] = min(phase[0], step + 1)

    def end(self, name: str) -> None:
        with self._lock:
            self._phases.pop(name, None)
            self._within.pop(name, None)

    def news(self) -> tuple[float, str] | None:
        """(share, what is done) where they differ from what was last asked for."""
        with self._lock:
            share = max(self._told, self._share())
            if share - self._told < _NEWS and self._what == self._last:
                return None
            self._told, self._last = share, self._what
            return share, self._what

    def _share(self) -> float:
        inner: dict[str, float] = {}  # the furthest phase inside each
        order = sorted(self._phases, key=self._depth, reverse=True)
        best = 0.0
        for name in order:
            steps, done = self._phases[name]
            part = min(1.0, (done + inner.get(name, 0.0)) / steps)
            parent = self._within.get(name)
            if parent in self._phases:
                inner[parent] = max(inner.get(parent, 0.0), part)
            else:
                best = max(best, part)
        return best

    def _depth(self, name: str) -> int:
        depth = 0
        while name in self._within and depth < 64:
            name, depth = self._within[name], depth + 1
        return depth
