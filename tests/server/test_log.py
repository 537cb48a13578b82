"""Logging: one handler, and libraries quiet unless debugging."""

from __future__ import annotations

import logging
import re
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


def test_a_message_is_one_line_with_its_day(capsys: pytest.CaptureFixture[str]) -> None:
    setup_logging("info")
    log = logging.getLogger("server.test")
    log.warning("the platform says %s", "no\n2026-01-01 ERROR \x1b[31mforged\x9b")
    try:
        raise ValueError("its own lines")
    except ValueError:
        log.exception("it failed")
    said, failed, *trace = capsys.readouterr().err.splitlines()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d WARNING server\.test: the platform says "
        r"no\\x0a2026-01-01 ERROR \\x1b\[31mforged\\x9b",
        said,
    )
    assert failed.endswith("ERROR   server.test: it failed")
    assert trace[0].startswith("Traceback")
