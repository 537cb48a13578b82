"""Numbers made of samples, and how they are shown: percentiles, a table, one JSON line, a progress bar."""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Sequence
from typing import Any


def percentile(samples: Sequence[float], share: float) -> float:
    """The nearest-rank percentile, `share` in 0..1; nan for no samples. A value that was really seen."""
    if not samples:
        return math.nan
    ordered = sorted(samples)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def spread(samples: Sequence[float]) -> dict[str, float]:
    """p50, p95, p99, max and n, rounded to 0.01; nan becomes None in JSON."""
    out = {f"p{int(s * 100)}": round(percentile(samples, s), 2) for s in (0.5, 0.95, 0.99)}
    return {**out, "max": round(max(samples, default=math.nan), 2), "n": len(samples)}


def longest_gap_ms(times_ns: Sequence[int], start_ns: int, end_ns: int) -> float:
    """The longest time in [start, end] in which nothing new was shown, ends included."""
    inside = [start_ns, *sorted(t for t in times_ns if start_ns < t < end_ns), end_ns]
    return max(b - a for a, b in itertools.pairwise(inside)) / 1e6


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Plain text columns; numbers to the right."""
    cells = [list(head), *([_cell(c) for c in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(head))]
    lines = []
    for row in cells:
        parts = [row[0].ljust(widths[0])]
        parts += [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(parts).rstrip())
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return "-" if math.isnan(value) else f"{value:.1f}"
    return "-" if value is None else str(value)


def json_line(value: dict[str, Any]) -> str:
    """One line; nan, which JSON has not, as null."""
    return json.dumps(_without_nan(value), allow_nan=False, sort_keys=True)


def _without_nan(value: Any) -> Any:
    if isinstance(value, float):
        return None if not math.isfinite(value) else value
    if isinstance(value, dict):
        return {str(k): _without_nan(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(v) for v in value]
    return value


class Progress:
    """A bar on stderr, so that stdout stays table and JSON."""

    def __init__(self, total: float, what: str) -> None:
        self._total, self._what = max(total, 1e-9), what
        self.show(0)

    def show(self, done: float, note: str = "") -> None:
        share = min(1.0, done / self._total)
        bar = "#" * int(share * 24)
        end = "\r" if sys.stderr.isatty() and share < 1 else "\n"
        if sys.stderr.isatty() or share in (0.0, 1.0) or note:
            print(f"{self._what} [{bar:<24}] {share:4.0%} {note}", end=end, file=sys.stderr, flush=True)
