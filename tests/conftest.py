"""What holds for every test: it ends, whatever hangs; CI is told how far the run is, and goes on from there
where the interpreter died; there, and only there, a test that fails is tried up to twice more, and named
at the end of the run if that was what it took."""

from __future__ import annotations

import atexit
import faulthandler
import gc
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from tests import run_limits, run_record, run_rights
from tests.run_record import RunRecord

# On CI, whose two cores are shared with what we cannot see; at a desk a failure is shown at once.
TRIES_MORE = 2

# What servers keep where a test says nothing else: never the home of whoever runs the tests.
_DATA = tempfile.mkdtemp(prefix="relens-tests-")
os.environ["XDG_DATA_HOME"] = _DATA
atexit.register(shutil.rmtree, _DATA, ignore_errors=True)

# Torch's threads wait for each other in a busy loop after every small operation: on cores that somebody else
# needs too, a hundred times longer than one thread works.
os.environ.setdefault("OMP_NUM_THREADS", "1")

_record: RunRecord | None = None
_done: set[str] = set()  # before this run
_stderr = -1  # while output is captured


def pytest_configure(config: pytest.Config) -> None:
    global _stderr, _record, _done
    run_rights.stay_in_line()
    _stderr = os.dup(2)
    run_limits.bound_executors()
    told = getattr(config, "workerinput", {})  # by pytest-xdist's first process to those that run tests
    path = told.get("record") or os.environ.pop(run_record.VARIABLE, "")  # not for those that tests start
    if path:
        _record = RunRecord(Path(path))
        _done = set(told["done"]) if told else run_record.done(_record.path)
        _record.event("begin", "run")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput.update(record=str(_record.path) if _record else "", done=sorted(_done))


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if os.environ.get("CI"):
        for item in items:
            item.add_marker(pytest.mark.flaky(reruns=TRIES_MORE))
    if _done:
        config.hook.pytest_deselected(items=[item for item in items if item.nodeid in _done])
        items[:] = [item for item in items if item.nodeid not in _done]
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)  # begun last, they are waited for alone


def pytest_collection_finish() -> None:
    """What was imported stays: whoever looks for what a test left behind need not go through all of it."""
    gc.collect()
    gc.freeze()


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
    with run_limits.phase_limit(run_limits.call_limit(item), "a second try"):
        return (yield)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Generator[None, object, object]:
    _say("teardown", item)
    with run_limits.phase_limit(run_limits.TEARDOWN_S, "a teardown"):
        return (yield)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if _record is not None and not hasattr(report, "node"):  # of another process, which wrote it down
        _record.report(report)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    if _done and exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
        session.exitstatus = pytest.ExitCode.OK
    if _record is not None:
        _record.event("end", "run")


def pytest_unconfigure() -> None:
    if _record is not None:
        _record.close()
    os.close(_stderr)
    run_limits.bound_exit()
