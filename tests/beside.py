"""A call in a process of its own, which can be ended: for libraries that may wait for themselves for good."""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")
_ROOT = Path(__file__).resolve().parent.parent
_TRIES, _TRY_S = 3, 40.0
_CHILD = """
import pickle, sys
function, args = pickle.load(sys.stdin.buffer)
pickle.dump(function(*args), sys.stdout.buffer)
"""


def call(function: Callable[P, T], *args: P.args) -> T:
    """What a module's function returns; both pickled. Tried again where it does not end."""
    given = pickle.dumps((function, args))
    for _ in range(_TRIES - 1):
        with contextlib.suppress(subprocess.TimeoutExpired):
            return cast(T, _once(given))
    return cast(T, _once(given))


def _once(given: bytes) -> object:
    done = subprocess.run(
        [sys.executable, "-c", _CHILD],
        input=given, stdout=subprocess.PIPE, timeout=_TRY_S, check=True, cwd=_ROOT,
    )  # fmt: skip
    return pickle.loads(done.stdout)
