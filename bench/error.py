"""Why a measurement ends before its time."""

from __future__ import annotations


class BenchError(Exception):
    """The measurement cannot go on. The message says what was waited for and where its log is. `code`: the
    exit code of the command."""

    code = 1


class NothingToMeasure(BenchError):
    """The machine lacks what would be measured."""

    code = 3
