"""Models are loaded once, one at a time, and all of them end."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from gpu.cuda.report import GpuMachine, GpuReport
from gpu.errors import DeviceError, ModelError
from gpu.media import Media
from gpu.models import passthrough
from gpu.models.base import EditState
from gpu.models.choice import AUTO, Choice
from gpu.models.liveedit_spec import spec_of
from gpu.models.passthrough import PassthroughModel
from gpu.models.settings import ModelSettings
from gpu.types import ModelSpec, Reading
from server import workers as module
from server.errors import CapacityError
from server.workers import Workers


@pytest.fixture
def executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


async def test_a_model_asked_for_by_many_is_loaded_once(executor: ThreadPoolExecutor) -> None:
    workers = Workers("passthrough", 0, executor)
    assert workers.loaded("passthrough") is None
    found = await asyncio.gather(*(workers.get(name) for name in ("", "passthrough", "")))
    assert len({id(worker) for worker in found}) == 1
    assert workers.loaded("passthrough") is found[0]
    await workers.close()
    assert workers.loaded("passthrough") is None
    executor.shutdown()


async def test_who_does_not_wait_for_a_load_leaves_it_to_who_asks_next(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OBS hears after seven seconds that the model is loading, and asks again."""
    go, loads = threading.Event(), []

    def load(*_: object) -> PassthroughModel:
        loads.append(1)
        assert go.wait(20)
        return PassthroughModel()

    monkeypatch.setattr(module, "load_model", load)
    workers = Workers("passthrough", 0, executor)
    try:
        for _ in range(2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.1):
                    await workers.get()
    finally:
        go.set()
    worker = await workers.get()
    assert workers.loaded("passthrough") is worker
    assert len(loads) == 1
    await workers.close()
    executor.shutdown()


async def test_unknown_names_are_refused_with_the_known(executor: ThreadPoolExecutor) -> None:
    workers = Workers("passthrough", 0, executor)
    with pytest.raises(ModelError, match="passthrough"):
        await workers.get("x" * 1_000)
    assert [spec.name for spec in workers.specs].count("passthrough") == 1
    executor.shutdown()


class Counted(PassthroughModel):
    """Says when it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


class Full(Counted):
    """Loads, and then has no memory for a stream."""

    def open_state(self, width: int, height: int) -> EditState:
        raise DeviceError("no memory")


async def test_a_model_that_cannot_begin_is_let_go(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Full()
    monkeypatch.setattr(module, "load_model", lambda *_: model)
    workers = Workers("passthrough", 0, executor)
    with pytest.raises(DeviceError, match="no memory"):
        await workers.get()
    assert model.closed.is_set()
    assert workers.loaded("passthrough") is None
    executor.shutdown()


async def test_the_measured_model_is_the_default_and_is_not_loaded_twice(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = Counted()
    monkeypatch.setattr(module, "choose", lambda threads: Choice("nano-plus", f"{threads} threads do", model))
    workers = Workers(AUTO, 3, executor)
    await workers.start()
    assert (workers.default, workers.why) == ("nano-plus", "3 threads do")
    assert (await workers.get()).model is model
    await workers.close()
    assert model.closed.is_set()
    executor.shutdown()


async def test_what_is_asked_for_by_name_is_not_measured(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "choose", None)
    workers = Workers("passthrough", 0, executor)
    await workers.start()
    assert workers.loaded("passthrough") is not None
    assert workers.why == ""
    await workers.close()
    executor.shutdown()


async def test_a_measurement_that_hangs_does_not_hold_up_the_start(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, late, loaded = threading.Event(), Counted(), PassthroughModel()

    def hangs(threads: int) -> Choice:
        assert go_on.wait(20)
        return Choice("nano-plus", "at last", late)

    monkeypatch.setattr(module, "CHOICE_S", 0.05)
    monkeypatch.setattr(module, "choose", hangs)
    monkeypatch.setattr(module, "load_model", lambda name, *_: {"nano": loaded}[name])
    workers = Workers(AUTO, 0, executor)
    await workers.start()
    assert workers.default == "nano"
    assert "did not end" in workers.why
    go_on.set()
    assert await asyncio.to_thread(late.closed.wait, 20), "what it left loaded is let go"
    await workers.close()
    executor.shutdown()


async def test_a_default_that_cannot_be_loaded_ends_the_start(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(name: str, *_: object) -> PassthroughModel:
        raise DeviceError("no engine")

    monkeypatch.setattr(module, "choose", lambda threads: Choice("nano", "measured"))
    monkeypatch.setattr(module, "load_model", none)
    with pytest.raises(DeviceError, match="no engine"):
        await Workers(AUTO, 0, executor).start()
    executor.shutdown()


async def test_a_visitor_does_not_make_a_cpu_load_what_needs_a_gpu(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = spec_of("liveedit-1.3b")
    monkeypatch.setattr(module, "list_models", lambda *_: [passthrough.SPEC, full])
    monkeypatch.setattr(module, "why_not", lambda *_: "")
    machine = GpuMachine(gpus=(GpuReport(0, "NVIDIA L4", (8, 9), 1, 1, "", (), ()),))
    for workers, offered in (
        (Workers("passthrough", 0, executor), False),
        (Workers("liveedit-1.3b", 0, executor), True),
        (Workers("passthrough", 0, executor, settings=ModelSettings(random_weights=True)), True),
        (Workers("passthrough", 0, executor, Media("auto", machine)), True),
    ):
        assert (full in workers.specs) is offered
    with pytest.raises(ModelError, match=r"there are passthrough$"):
        await Workers("passthrough", 0, executor).get("liveedit-1.3b")
    monkeypatch.setattr(module, "why_not", lambda *_: "run this and that")

    def lacking(*_: object) -> PassthroughModel:
        raise ModelError("run this and that")

    monkeypatch.setattr(module, "load_model", lacking)
    with pytest.raises(ModelError, match="run this and that"):
        await Workers("passthrough", 0, executor).get("liveedit-1.3b")
    executor.shutdown()


async def test_what_a_model_says_of_itself_once_loaded_counts(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class OnGpu(PassthroughModel):
        @property
        def spec(self) -> ModelSpec:
            return replace(super().spec, note="loaded")

    monkeypatch.setattr(module, "load_model", lambda *_: OnGpu())
    workers = Workers("passthrough", 0, executor)
    await workers.get()
    assert [spec.note for spec in workers.specs if spec.name == "passthrough"] == ["loaded"]
    await workers.close()
    executor.shutdown()


async def test_readings_that_wait_are_bounded(
    executor: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_READING", 3)
    workers, go = Workers("passthrough", 0, executor), threading.Event()

    def read(prompt: str) -> Reading:
        assert go.wait(20)
        return Reading(parts=(), confidence=1.0, label=prompt)

    waiting = [asyncio.ensure_future(workers.read(read, f"{number}")) for number in range(3)]
    await asyncio.sleep(0)
    with pytest.raises(CapacityError, match="ask again"):
        await workers.read(read, "one more")
    waiting.pop().cancel()  # who does not wait any more: the thread is still at it
    await asyncio.sleep(0)
    with pytest.raises(CapacityError):
        await workers.read(read, "one more")
    go.set()
    assert [reading.label for reading in await asyncio.gather(*waiting)] == ["0", "1"]
    async with asyncio.timeout(10):
        while workers._reading[False]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert (await workers.read(read, "after")).label == "after"
    go.clear()
    long = [asyncio.ensure_future(workers.read(read, "a timeline", many=True)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(CapacityError):
        await workers.read(read, "another", many=True)
    go.set()
    await asyncio.gather(*long)
    executor.shutdown()
