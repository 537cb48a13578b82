"""What every test of the media path gets: no thread of ours may outlive it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest


def ours() -> list[str]:
    """Names of our threads alive now."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("relens-")]


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 5
    while ours() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not ours()
