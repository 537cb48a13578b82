"""What every test of the media path gets: no thread of ours may outlive it."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest


def ours() -> list[str]:
    """Names of our threads alive now, but for the one that starts films' children: it lasts."""
    names = [thread.name for thread in threading.enumerate() if thread.name.startswith("relens-")]
    return [name for name in names if name != "relens-film-nursery"]


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    deadline = time.monotonic() + 5
    while ours() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not ours()
