"""What holds for every test: it ends, whatever hangs; CI is told how far the run is, and goes on from there
where the interpreter died; tests that race real time or drive a browser get a second try, on CI only."""

from __future__ import annotations

import atexit
import faulthandler
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests import run_limits, run_record
from tests.run_record import RunRecord

SECOND_TRY = ("browser", "realtime")

# What servers keep where a test says nothing else: never the home of whoever runs the tests.
_DATA = tempfile.mkdtemp(prefix="relens-tests-")
os.environ["XDG_DATA_HOME"] = _DATA
atexit.register(shutil.rmtree, _DATA, ignore_errors=True)

# Torch's threads wait for each other in a busy loop after every small operation: on cores that somebody else
# needs too, a hundred times longer than one thread works.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Not for the runs of pytest that tests start.
_path = os.environ.pop(run_record.VARIABLE, "")
_record = RunRecord(Path(_path)) if _path else None
_stderr = -1  # while output is captured


def pytest_configure() -> None:
    global _stderr
    _stderr = os.dup(2)
    run_limits.bound_executors()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """CI's two cores are shared with what we cannot see; at a desk a failure is shown at once."""
    if os.environ.get("CI"):
        for item in items:
            if any(item.get_closest_marker(name) for name in SECOND_TRY):
                item.add_marker(pytest.mark.flaky(reruns=1))
    if _record is not None and (done := run_record.done(_record.path)):
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in done])
        items[:] = [item for item in items if item.nodeid not in done]


def _say(phase: str, item: pytest.Item) -> None:
    if _record is not None:
        _record.event(phase, item.nodeid)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, object, object]:
    if limit_s := run_limits.item_limit(item):  # anew for each try, and longer for who may take longer
        faulthandler.dump_traceback_later(limit_s, exit=True, file=_stderr)
    _say("setup", item)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    _say("call", item)
    return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    _say("teardown", item)
    with run_limits.teardown_limit():
        return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if _record is not None:
        _record.report(report)


def pytest_sessionfinish(exitstatus: int) -> None:
    if _record is not None:
        _record.event("end", str(int(exitstatus)))


def pytest_unconfigure() -> None:
    if _record is not None:
        _record.close()
    os.close(_stderr)
    run_limits.bound_exit()
