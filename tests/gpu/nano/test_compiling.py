"""Graphs compiled on demand: each once, none waited for that is not asked for, faults told to who asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import pytest

from gpu.engine import Engine
from gpu.errors import DeviceError
from gpu.nano.compiling import Compiling

NAMES = ("a", "b", "c", "d")


class Made:
    """An engine that only knows whether it was closed."""

    def __init__(self, name: str) -> None:
        self.graph, self.closed = name, threading.Event()

    def close(self) -> None:
        self.closed.set()


class Maker:
    """Makes engines when it is let; what it began, in order."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.made: dict[str, Made] = {}
        self.let = {name: threading.Event() for name in NAMES}

    def __call__(self, name: str) -> Engine:
        self.began.append(name)
        assert self.let[name].wait(20)
        if name == "d":
            raise DeviceError("no engine takes d")
        self.made[name] = Made(name)
        return cast(Engine, self.made[name])

    def let_all(self) -> None:
        for event in self.let.values():
            event.set()


def ended(check: Callable[[], Any]) -> bool:
    """Whether it becomes true once the threads have done their work."""
    for thread in threading.enumerate():
        if thread.name == "relens-compile":
            thread.join(20)
    return bool(check())


def test_nothing_is_compiled_before_it_is_wanted_and_nothing_twice() -> None:
    maker = Maker()
    compiling = Compiling(NAMES, maker)
    assert maker.began == []
    assert not compiling.ready(["b"])
    assert not compiling.ready(["b"], 0.01)
    maker.let["b"].set()
    assert cast(Any, compiling.get("b")).graph == "b"
    assert compiling.ready(["b"])
    assert maker.began == ["b"]
    assert compiling.ready([])


def test_the_rest_follows_one_by_one_and_what_is_wanted_overtakes_it() -> None:
    maker = Maker()
    compiling = Compiling(NAMES, maker)
    compiling.go_on()
    compiling.go_on()
    maker.let["c"].set()
    assert compiling.ready(["c"], 20), "c did not wait for a, which is still being made"
    assert sorted(maker.began) == ["a", "c"]
    maker.let_all()
    assert ended(lambda: sorted(maker.began) == list(NAMES))
    assert compiling.ready(NAMES)
    assert maker.began[2:] == ["b", "d"]


def test_a_fault_is_told_to_everyone_who_asks() -> None:
    maker = Maker()
    maker.let_all()
    compiling = Compiling(NAMES, maker)
    assert not compiling.failed
    for _ in range(2):
        with pytest.raises(DeviceError, match="no engine takes d"):
            compiling.get("d")
    assert compiling.failed
    assert compiling.ready(["d"]), "there is nothing left to wait for"
    assert compiling.get("a")


def test_a_graph_that_takes_too_long_is_a_devices_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu.nano.compiling.COMPILE_S", 0.01)
    maker = Maker()
    compiling = Compiling(NAMES, maker)
    with pytest.raises(DeviceError, match="too busy"):
        compiling.get("a")
    maker.let_all()
    assert ended(lambda: compiling.ready(["a"]))


def test_closing_does_not_wait_and_leaves_no_engine_open() -> None:
    maker = Maker()
    compiling = Compiling(NAMES, maker)
    maker.let["a"].set()
    compiling.get("a")
    compiling.go_on()  # begins with b
    while maker.began != ["a", "b"]:
        pass
    compiling.close()
    assert maker.made["a"].closed.is_set()
    with pytest.raises(DeviceError, match="closed"):
        compiling.get("c")
    maker.let_all()
    assert ended(lambda: maker.made["b"].closed.is_set())
    assert maker.began == ["a", "b"], "nothing is begun after the end"
    compiling.go_on()
    assert ended(lambda: maker.began == ["a", "b"])
