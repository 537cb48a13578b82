"""Logging: one handler, and libraries quiet unless debugging."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest

from server.log import NOISY, setup_logging


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in NOISY}
    yield
    root.handlers[:] = before
    root.setLevel(level)
    for name, was in levels.items():
        logging.getLogger(name).setLevel(was)


@pytest.mark.parametrize("library", ["aiortc", "alembic.runtime.migration", "onnx_ir.passes", "onnxscript"])
def test_libraries_are_quiet_but_in_debug(library: str) -> None:
    setup_logging("info")
    setup_logging("info")
    assert len(logging.getLogger().handlers) == 1
    assert not logging.getLogger(library).isEnabledFor(logging.INFO)
    assert logging.getLogger(library).isEnabledFor(logging.WARNING)
    assert logging.getLogger("server.session").isEnabledFor(logging.INFO)
    setup_logging("debug")
    assert logging.getLogger(library).isEnabledFor(logging.DEBUG)
