"""A server in this process whose one model is made for tests of the page."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
from live_server import in_process
from made_model import SPEC, MadeModel

from server import workers
from server.config import Config


@contextlib.contextmanager
def made_server() -> Iterator[str]:
    """Its address."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(workers, "load_model", lambda *_: MadeModel())
        patch.setattr(workers, "list_models", lambda *_: [SPEC])
        with in_process(Config(port=0, model="nano")) as base:
            yield base
