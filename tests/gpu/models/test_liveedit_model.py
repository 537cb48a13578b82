"""The full-size model as the server sees it: the source to the byte, determinism, what ends a stream."""

from __future__ import annotations

import gc
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from liveedit_fakes import NETWORK, TINY, Averages, Engine, out_of_memory, tiny_model  # noqa: E402
from moving import encoded, picture, same  # noqa: E402
from streams import Recorder, wait_until  # noqa: E402

from gpu.codec import open_decoder  # noqa: E402
from gpu.editor import Editor, EditRefused  # noqa: E402
from gpu.errors import DeviceError, FrameError, ModelError, NoMemory  # noqa: E402
from gpu.models.base import EditModel  # noqa: E402
from gpu.models.liveedit import LiveEditModel  # noqa: E402
from gpu.models.liveedit_parts import Parts, RandomText, random_parts  # noqa: E402
from gpu.models.settings import ModelSettings  # noqa: E402
from gpu.offline import edit_frames  # noqa: E402
from gpu.pipeline import PipelineConfig  # noqa: E402
from gpu.types import Edit, EncodedFrame, Frame  # noqa: E402
from gpu.wan.config import StreamShape  # noqa: E402
from gpu.worker import Worker  # noqa: E402

SIZE = (128, 72)
RED = Edit(1, "paint everything red", transition_ms=0)


def pictures(count: int, first: int = 0, size: tuple[int, int] = SIZE) -> list[Frame]:
    return [picture(first + i, *size) for i in range(count)]


def alike(one: Sequence[Frame], other: Sequence[Frame]) -> bool:
    return len(one) == len(other) and all(map(same, one, other))


def offline(model: EditModel, frames: list[Frame], *edits: tuple[int, Edit]) -> list[Frame]:
    return list(edit_frames(model, frames, edits))


@pytest.mark.parametrize("edit", [Edit(), Edit(1, "undo"), Edit(1, "undo that"), replace(RED, strength=0.0)])
def test_the_source_is_exact_and_the_network_rests(edit: Edit) -> None:
    engine = Engine()
    with tiny_model(engine) as model:
        frames = pictures(8)
        assert alike(offline(model, frames, (0, edit)), frames)
    assert engine.runs == 0


def test_an_edit_changes_pictures_and_keeps_times() -> None:
    with tiny_model() as model:
        frames = pictures(12)
        made = offline(model, frames, (4, RED))
        assert model.read(RED.prompt).label == RED.prompt
    assert alike(made[:4], frames[:4])
    for source, out in zip(frames[4:], made[4:], strict=True):
        assert (out.pts, out.arrived_ns) == (source.pts, source.arrived_ns)
        assert np.abs(out.y.astype(int) - source.y).mean() > 2


def test_same_frames_edits_and_seed_are_the_same_bytes() -> None:
    edits = ((0, RED), (8, Edit(2, "as a drawing", 0.7, 500)), (16, Edit(3, "", transition_ms=200)))
    with tiny_model() as model:
        frames = pictures(28)
        once = offline(model, frames, *edits)
        assert alike(once, offline(model, frames, *edits))
        other = offline(model, frames, (0, replace(RED, seed=7)), *edits[1:])
    assert not alike(once[:4], other[:4])
    assert alike(once[24:], frames[24:]), "the last edit is the source"
    assert not alike(once[16:20], frames[16:20]), "which it fades to"


def test_a_slider_asks_for_no_new_conditioning_and_fades() -> None:
    made = []

    def counted(embedding: Any) -> Any:
        made.append(embedding)
        return NETWORK.condition(embedding)

    parts = Parts(Engine(), Averages(), RandomText(TINY), counted)
    model = LiveEditModel("liveedit-toy", parts, ModelSettings(True))
    state, frames = model.open_state(*SIZE), pictures(16)
    far = []
    for start, strength in ((0, 1.0), (4, 0.5), (8, 0.0), (12, 1.0)):
        model.set_edit(state, replace(RED, revision=start, strength=strength))
        out = model.step(state, frames[start : start + 4])
        far.append(np.abs(out[3].y.astype(int) - frames[start + 3].y).mean())
    assert len(made) == 1
    assert far[0] > far[1] > far[2] == 0 < far[3]
    assert state.edit.revision == 12
    model.close()


def test_a_seed_is_any_whole_number() -> None:
    with tiny_model() as model:
        frames = pictures(4)
        made = [offline(model, frames, (0, replace(RED, seed=seed))) for seed in (-1, 2**32 - 1, 2**70)]
    assert alike(made[0], made[1])
    assert not alike(made[0], made[2])


def test_after_the_source_the_edit_begins_as_in_a_new_stream() -> None:
    with tiny_model() as model:
        frames = pictures(16)
        fresh = offline(model, frames[12:], (0, RED))
        again = offline(
            model, frames, (0, RED), (4, Edit(2, "", transition_ms=0)), (12, replace(RED, revision=3))
        )
    assert alike(again[4:12], frames[4:12])
    assert alike(again[12:], fresh)


@pytest.mark.parametrize("chunk_frames", [4, 12])
def test_streaming_equals_offline(chunk_frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches the encoder of a live stream is what one go over the same decoded pictures gives."""
    units = encoded(3 * chunk_frames, width=SIZE[0], height=SIZE[1])
    decoder = open_decoder("h264")
    frames = [frame for unit in units for frame in decoder.decode(unit)]
    edits = ((chunk_frames, RED), (2 * chunk_frames, Edit(2, "a robot", transition_ms=400, seed=3)))
    with tiny_model(chunk_frames=chunk_frames) as model:
        expected = offline(model, frames, *edits)
        worker, sink = Worker(model), Recorder()
        worker.start()
        streamed: list[Frame] = []
        try:
            pipeline = worker.open(PipelineConfig(), sink)
            encode = pipeline._outlet._encoder.encode

            def spy(frame: Frame, keyframe: bool = False) -> list[EncodedFrame]:
                streamed.append(frame)
                return encode(frame, keyframe)

            monkeypatch.setattr(pipeline._outlet._encoder, "encode", spy)
            for start in range(0, len(units), chunk_frames):
                for index, edit in edits:
                    if index == start:
                        assert pipeline.set_edit(edit).understood
                        wait_until(lambda edit=edit: model.ready_for(None, edit))  # type: ignore[misc,arg-type]
                for unit in units[start : start + chunk_frames]:
                    pipeline.push(unit)
                wait_until(lambda start=start: len(sink.frames) >= start + chunk_frames)  # type: ignore[misc]
        finally:
            worker.close()
    assert alike(streamed, expected)
    assert sink.applied == [(edit.revision, units[index].pts) for index, edit in edits]


def test_a_file_that_is_no_whole_number_of_chunks() -> None:
    with tiny_model(chunk_frames=12) as model:
        frames = pictures(17)
        made = offline(model, frames, (0, RED))
    assert [frame.pts for frame in made] == [frame.pts for frame in frames]


def test_held_upright_and_in_odd_shapes() -> None:
    with tiny_model() as model:
        for size in ((72, 128), (400, 16), (98, 98)):
            frames = pictures(4, size=size)
            made = offline(model, frames, (0, RED))
            assert [(frame.width, frame.height) for frame in made] == [size] * 4
        for width, height in ((127, 72), (128, 14), (2000, 200), (1920, 1922)):
            with pytest.raises(ModelError, match="1920x1080"):
                model.open_state(width, height)


def test_a_frame_of_another_size_or_a_chunk_of_another_length_is_refused() -> None:
    with tiny_model() as model:
        state = model.open_state(*SIZE)
        with pytest.raises(FrameError, match="128x72"):
            model.step(state, pictures(4, size=(64, 48)))
        with pytest.raises(FrameError, match="give 4"):
            model.step(state, pictures(3))
        with pytest.raises(ModelError, match="another model"):
            model.step(object(), pictures(4))  # type: ignore[arg-type]


class SlowText(RandomText):
    def __init__(self) -> None:
        super().__init__(TINY)
        self.go_on, self.fails = threading.Event(), False

    def encode(self, prompt: str) -> Any:
        assert self.go_on.wait(20)
        if self.fails:
            raise DeviceError("no memory for the text encoder")
        return super().encode(prompt)


def test_live_the_edit_before_stays_until_the_instruction_is_encoded() -> None:
    text = SlowText()
    with tiny_model(text=text) as model:
        editor = Editor(model, live=True)
        frames = pictures(20)
        editor.want(RED)
        assert alike([edited.frame for edited in editor.edit(frames[:4])], frames[:4])
        text.go_on.set()
        wait_until(lambda: model.ready_for(None, RED))  # type: ignore[arg-type]
        made = editor.edit(frames[4:8])
        assert made[0].applied == 1
        assert not alike([edited.frame for edited in made], frames[4:8])
        text.go_on.clear()
        editor.want(Edit(2, "another one"))
        assert editor.edit(frames[8:12])[0].applied is None
        editor.want(Edit(3, "reset", transition_ms=0))
        made = editor.edit(frames[12:16])
        assert made[0].applied == 3, "the source waits for nothing"
        assert alike([edited.frame for edited in made], frames[12:16])
        text.go_on.set()


def test_an_instruction_that_cannot_be_encoded_is_refused_and_the_stream_goes_on() -> None:
    text = SlowText()
    text.go_on.set()
    with tiny_model(text=text) as model:
        state = model.open_state(*SIZE)
        model.set_edit(state, RED)
        model.step(state, pictures(4))
        text.fails = True
        with pytest.raises(ModelError, match="no memory for the text encoder"):
            model.set_edit(state, Edit(2, "another one"))
        assert state.edit == RED
        assert not alike(model.step(state, pictures(4, 4)), pictures(4, 4))


def test_who_asked_hears_that_an_instruction_cannot_be_encoded() -> None:
    text = SlowText()
    text.fails = True
    text.go_on.set()
    with tiny_model(text=text) as model:
        worker, sink = Worker(model), Recorder()
        worker.start()
        try:
            pipeline = worker.open(PipelineConfig(), sink)
            pipeline.set_edit(RED)
            wait_until(lambda: model.ready_for(None, RED))  # type: ignore[arg-type]
            units = encoded(8, width=SIZE[0], height=SIZE[1])
            for unit in units[:4]:
                pipeline.push(unit)
            wait_until(lambda: bool(sink.errors))
            for unit in units[4:]:
                pipeline.push(unit)
            wait_until(lambda: len(sink.frames) == 4)
        finally:
            worker.close()
    refused = sink.errors[0]
    assert isinstance(refused, EditRefused)
    assert (refused.revision, len(sink.errors), sink.applied) == (1, 1, [])
    assert "no memory for the text encoder" in refused.why


def test_a_stream_that_runs_out_of_memory_ends_alone_and_gives_its_own_back() -> None:
    engine = Engine()
    with tiny_model(engine) as model:
        state, other = model.open_state(*SIZE), model.open_state(*SIZE)
        for each in (state, other):
            model.set_edit(each, RED)
            model.step(each, pictures(4))
        held = [weakref.ref(tensor) for tensor in engine.passes[0].tensors.values()]
        engine.passes.clear()
        engine.on_run = out_of_memory
        with pytest.raises(NoMemory, match=r"ends.*Tried to allocate 2\.00 GiB.*smaller model") as raised:
            model.step(state, pictures(4, 4))
        engine.on_run = lambda: None
        gc.collect()
        assert not [ref for ref in held if ref() is not None], "while the error is still looked at"
        assert raised.value.__context__ is None
        with pytest.raises(ModelError, match="has ended"):
            model.step(state, pictures(4, 8))
        assert not alike(model.step(other, pictures(4, 4)), pictures(4, 4))


@pytest.mark.parametrize(
    "error",
    [
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 33177600 bytes"),
        MemoryError("Unable to allocate 31.6 MiB for an array"),
    ],
)
def test_memory_of_the_host_runs_out_as_a_gpus_does(error: Exception) -> None:
    def full() -> None:
        raise error

    engine = Engine()
    with tiny_model(engine) as model:
        state = model.open_state(*SIZE)
        model.set_edit(state, RED)
        engine.on_run = full
        with pytest.raises(NoMemory, match="allocate"):
            model.step(state, pictures(4))
        engine.on_run = lambda: None
        with pytest.raises(ModelError, match="has ended"):
            model.step(state, pictures(4))


def test_another_error_of_torch_is_no_memory() -> None:
    def broken() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    engine = Engine()
    with tiny_model(engine) as model:
        state = model.open_state(*SIZE)
        model.set_edit(state, RED)
        engine.on_run = broken
        with pytest.raises(RuntimeError, match="mat1"):
            model.step(state, pictures(4))


def test_of_two_who_open_at_once_the_second_sees_what_the_first_took() -> None:
    asking, at_once, most = threading.Lock(), 0, 0
    engine = Engine()

    def asks(shape: StreamShape) -> None:
        nonlocal at_once, most
        with asking:
            at_once += 1
            most = max(most, at_once)
        opened = len(engine.passes)
        time.sleep(0.05)
        assert len(engine.passes) == opened, "somebody opened between the question and what follows"
        with asking:
            at_once -= 1

    with tiny_model(engine, preflight=asks) as model, ThreadPoolExecutor(4) as pool:
        states = [pool.submit(model.open_state, *SIZE) for _ in range(4)]
        assert all(state.result(20) is not None for state in states)
    assert most == 1


def test_other_streams_of_a_worker_go_on() -> None:
    engine = Engine()
    with tiny_model(engine) as model:
        worker, first, second = Worker(model), Recorder(), Recorder()
        worker.start()
        try:
            units = encoded(16, width=SIZE[0], height=SIZE[1])
            one, two = worker.open(PipelineConfig(), first), worker.open(PipelineConfig(), second)
            two.set_edit(RED)
            wait_until(lambda: model.ready_for(None, RED))  # type: ignore[arg-type]
            for pipeline, sink in ((one, first), (two, second)):
                for unit in units[:4]:
                    pipeline.push(unit)
                wait_until(lambda sink=sink: len(sink.frames) == 4)  # type: ignore[misc]
            engine.on_run = out_of_memory
            for unit in units[4:8]:
                two.push(unit)
            wait_until(lambda: bool(second.errors))
            engine.on_run = lambda: None
            one.set_edit(RED)
            for unit in units[4:8]:
                one.push(unit)
            wait_until(lambda: len(first.frames) == 8)
        finally:
            worker.close()
    assert isinstance(second.errors[0], NoMemory)
    assert not first.errors
    assert [revision for revision, _ in first.applied] == [1]


def test_a_state_that_does_not_fit_is_refused_before_and_while_it_is_opened() -> None:
    asked: list[StreamShape] = []

    def full(shape: StreamShape) -> None:
        asked.append(shape)
        raise NoMemory("a stream takes more than is free")

    with tiny_model(preflight=full) as model, pytest.raises(NoMemory, match="more than is free"):
        model.open_state(*SIZE)
    assert asked == [StreamShape(112, 64, block=1)]

    class Full(Averages):
        def open(self, width: int, height: int) -> Any:
            out_of_memory()

    engine = Engine()
    parts = Parts(engine, Full(), RandomText(TINY), NETWORK.condition)
    model = LiveEditModel("liveedit-toy", parts, ModelSettings(True))
    with pytest.raises(NoMemory, match="Tried to allocate"):
        model.open_state(*SIZE)
    assert not engine.passes[0].tensors, "what was opened first is given back"
    model.close()


def test_a_source_changes_its_size_where_memory_holds_no_second_state() -> None:
    engine = Engine()
    live: weakref.WeakSet[Any] = weakref.WeakSet()

    def room_for_one(shape: StreamShape) -> None:
        live.update(engine.passes)
        engine.passes.clear()
        gc.collect()
        if live:
            raise NoMemory("a stream takes more than is free")

    with tiny_model(engine, preflight=room_for_one) as model:
        editor, other = Editor(model), Editor(model)
        editor.prepare(*SIZE)
        editor.want(RED)
        editor.edit(pictures(4))
        larger = pictures(4, 4, (160, 90))
        editor.prepare(160, 90)
        assert not alike([one.frame for one in editor.edit(larger)], larger), "edited on, at the new size"
        with pytest.raises(NoMemory):
            other.prepare(*SIZE)


def test_a_model_that_fails_while_it_warms_up_is_closed() -> None:
    engine = Engine()
    with tiny_model(engine) as model:
        model.warm_up()
        assert engine.runs >= 3 * 5, "four steps a block, and the one that remembers it"
        engine.on_run = out_of_memory
        with pytest.raises(NoMemory):
            model.warm_up()
        with pytest.raises(ModelError, match="closed"):
            model.ready_for(None, RED)  # type: ignore[arg-type]


def test_the_toy_as_it_is_served() -> None:
    model = LiveEditModel("liveedit-toy", random_parts("liveedit-toy"), ModelSettings(True))
    try:
        assert model.device.startswith("CPU, PyTorch")
        assert "means nothing" in model.spec.note
        frames = pictures(8, size=(320, 180))
        made = offline(model, frames, (0, RED))
        assert alike(made, offline(model, frames, (0, RED)))
        assert np.abs(made[-1].y.astype(int) - frames[-1].y).mean() > 2
    finally:
        model.close()
