"""Several streams on one worker: fair, apart from each other, gone when closed."""

from __future__ import annotations

import gc
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import psutil
import pytest
from moving import encoded
from streams import Recorder, TintModel, TintState, wait_until

from gpu.codec import open_decoder
from gpu.errors import DeviceError
from gpu.ladder import HALVED, OK, SLOWED, STUCK
from gpu.models.base import EditState
from gpu.models.passthrough import PassthroughModel
from gpu.pipeline import Pipeline, PipelineConfig
from gpu.types import Codec, Edit, EncodedFrame, Frame
from gpu.worker import Worker


def push_all(pipelines: Sequence[Pipeline], frames: Sequence[EncodedFrame]) -> None:
    for frame in frames:
        for pipeline in pipelines:
            pipeline.push(frame)


@pytest.mark.parametrize("streams", [2, 3])
def test_a_slow_model_is_shared_fairly(streams: int) -> None:
    """Every stream always has a picture waiting; turns go round."""
    turns: list[int] = []
    model = TintModel()

    def slow(state: TintState, chunk: Sequence[Frame]) -> None:
        turns.append(next(i for i, opened in enumerate(model.opened) if opened is state))
        time.sleep(0.02)

    model._on_step = slow
    worker = Worker(model)
    sinks = [Recorder() for _ in range(streams)]
    pipelines = [worker.open(PipelineConfig(queue_frames=500), sink) for sink in sinks]
    stop = threading.Event()

    def camera(pipeline: Pipeline) -> None:
        round_ticks = 30 * 3000
        for round_number in range(100):
            for frame in encoded(30):
                if stop.is_set():
                    return
                pipeline.push(replace(frame, pts=frame.pts + round_number * round_ticks))
                time.sleep(0.004)

    cameras = [threading.Thread(target=camera, args=(pipeline,)) for pipeline in pipelines]
    for thread in cameras:
        thread.start()
    worker.start()
    try:
        wait_until(lambda: len(turns) >= 40 * streams)
    finally:
        stop.set()
        for thread in cameras:
            thread.join(5)
        worker.close()
    share = Counter(turns[streams:])
    assert min(share.values()) >= 0.4 * max(share.values()), share  # a starved machine starves cameras too
    assert model.threads == {"relens-worker"}
    assert all(sink.pts == sorted(sink.pts) for sink in sinks)


def test_a_stream_that_throws_is_reopened_once_then_closed_and_the_other_goes_on() -> None:
    model = TintModel()
    crashes: list[int] = []

    def break_first(state: TintState, chunk: Sequence[Frame]) -> None:
        if state.edit.prompt == "break" and chunk[0].pts in broken_pts:
            crashes.append(chunk[0].pts)
            raise ZeroDivisionError("a defect")

    model._on_step = break_first
    frames = encoded(60)
    broken_pts = {frames[10].pts, frames[20].pts}
    worker = Worker(model)
    worker.start()
    bad_sink, good_sink = Recorder(), Recorder()
    bad, good = (worker.open(PipelineConfig(), sink) for sink in (bad_sink, good_sink))
    bad.set_edit(Edit(1, "break"))
    try:
        for i, frame in enumerate(frames):
            for pipeline in (bad, good):
                pipeline.push(frame)
            wait_until(lambda i=i: len(good_sink.frames) == i + 1)  # type: ignore[misc]
            if i < 20:
                missing = 1 if i >= 10 else 0
                wait_until(lambda i=i, missing=missing: len(bad_sink.frames) == i + 1 - missing)  # type: ignore[misc]
        wait_until(lambda: bad.closed)
        assert worker.pipelines == 1
    finally:
        worker.close()
    assert crashes == [frames[10].pts, frames[20].pts]
    assert bad_sink.pts == [frame.pts for i, frame in enumerate(frames[:20]) if i != 10]
    assert len(model.opened) == 3, "one for each stream and one anew after the first crash"
    assert model.edits[-1].prompt == "break", "the edit survives the new state"
    assert [type(error).__name__ for error in bad_sink.errors] == ["ModelError"]
    assert "a defect" in str(bad_sink.errors[0])
    assert good_sink.pts == [frame.pts for frame in frames]
    assert good_sink.errors == []


def test_a_model_that_compiles_for_one_stream_does_not_hold_up_the_others() -> None:
    compiling = threading.Event()

    class Compiling(TintModel):
        def open_state(self, width: int, height: int) -> EditState:
            if width == 176:
                assert compiling.wait(20)
            return super().open_state(width, height)

    worker = Worker(Compiling())
    worker.start()
    slow_sink, sink = Recorder(), Recorder()
    slow, other = (worker.open(PipelineConfig(), each) for each in (slow_sink, sink))
    try:
        slow.push(encoded(1, "h264", 176, 144)[0])
        for i, frame in enumerate(encoded(10)):
            other.push(frame)
            wait_until(lambda i=i: len(sink.frames) == i + 1)  # type: ignore[misc]
        assert slow_sink.frames == []
        compiling.set()
        wait_until(lambda: len(slow_sink.frames) == 1)
    finally:
        compiling.set()
        worker.close()


@pytest.mark.slow
def test_a_machine_too_slow_is_said_once_and_its_recovery_too() -> None:
    pause_s = [0.08]
    worker = Worker(TintModel(on_step=lambda state, chunk: time.sleep(pause_s[0])))
    worker.start()
    sink = Recorder()
    pipeline = worker.open(PipelineConfig(), sink)
    frames = encoded(30)
    try:
        for i in range(1000):
            pipeline.push(replace(frames[i % 30], pts=i * 3000))
            time.sleep(0.03)
            if sink.degraded and sink.degraded[-1][0]:
                pause_s[0] = 0.0
            if len(sink.degraded) == 2:
                break
    finally:
        worker.close()
    levels = [level for level, _ in sink.degraded]
    assert levels[0] in (SLOWED, HALVED)
    assert levels[1:] == [OK]
    assert "fps: this machine is busy" in sink.degraded[0][1]


def test_the_watchdog_reports_a_step_that_hangs_and_the_stream_recovers() -> None:
    hang = threading.Event()

    def once(state: TintState, chunk: Sequence[Frame]) -> None:
        assert hang.wait(20)

    worker = Worker(TintModel(on_step=once), watchdog_s=0.2)
    worker.start()
    sink = Recorder()
    pipeline = worker.open(PipelineConfig(), sink)
    try:
        pipeline.push(encoded(1)[0])
        wait_until(lambda: bool(sink.degraded))
        assert pipeline.stats().level == STUCK
        hang.set()
        wait_until(lambda: len(sink.frames) == 1)
    finally:
        hang.set()
        worker.close()
    assert [level for level, _ in sink.degraded] == [STUCK]


def test_a_worker_that_is_closed_opens_nothing_and_leaves_no_thread() -> None:
    before = threading.active_count()
    worker = Worker(PassthroughModel())
    worker.start()
    pipelines = [worker.open(PipelineConfig(), Recorder()) for _ in range(5)]
    push_all(pipelines, encoded(10))
    assert worker.pipelines == 5
    assert threading.active_count() == before + 2 + 5 * 2
    worker.close()
    worker.close()
    assert all(pipeline.closed for pipeline in pipelines)
    assert threading.active_count() == before
    with pytest.raises(DeviceError, match="shutting down"):
        worker.open(PipelineConfig(), Recorder())
    assert threading.active_count() == before


def test_streams_opened_and_dropped_in_every_state_leave_nothing() -> None:
    worker = Worker(PassthroughModel())
    worker.start()
    before = threading.active_count()
    frames = encoded(10)
    for i in range(40):
        sink = Recorder()
        pipeline = worker.open(PipelineConfig(codec_out="vp8" if i % 2 else "h264"), sink)
        for frame in frames[: i % 5]:
            pipeline.push(frame)
        if i % 3 == 0:
            pipeline.pause()
        if i % 4 == 1:
            wait_until(lambda sink=sink, i=i: i % 5 == 0 or bool(sink.frames) or i % 3 == 0)  # type: ignore[misc]
        pipeline.close()
    assert threading.active_count() == before
    wait_until(lambda: worker.pipelines == 0 or bool(worker._wake()))
    worker.close()


@pytest.mark.slow
def test_memory_stays_bounded_over_two_thousand_frames() -> None:
    process = psutil.Process()
    worker = Worker(TintModel(4))
    worker.start()
    sink = Recorder()
    sink.on_frame = lambda frame: None  # type: ignore[method-assign,assignment]
    pipeline = worker.open(PipelineConfig(in_order=True), sink)
    frames = encoded(30)
    sizes = []
    try:
        for i in range(2_400):
            frame = frames[i % 30]
            if i % 7 == 0:
                pipeline.set_edit(Edit(i, f"words {i}"))
            assert pipeline.push_wait(replace(frame, pts=i * 3000, arrived_ns=time.monotonic_ns()), 20)
            if i % 400 == 399:
                wait_until(lambda i=i: pipeline.stats().frames_out == i + 1)  # type: ignore[misc]
                gc.collect()
                sizes.append(process.memory_info().rss)
    finally:
        worker.close()
    assert len(sizes) == 6
    assert sizes[-1] - sizes[1] < 6 * 2**20, sizes


@pytest.mark.parametrize("seed", range(3))
def test_three_streams_under_a_storm_of_calls_and_damage(seed: int) -> None:
    """Whatever is called in whatever order, frames come out in order, nothing crashes, all can be decoded."""
    worker = Worker(TintModel(2))
    worker.start()
    sinks = [Recorder() for _ in range(3)]
    codecs: list[Codec] = ["h264", "vp8", "h264"]
    pipelines = [worker.open(PipelineConfig(c, c), sink) for c, sink in zip(codecs, sinks, strict=True)]

    def storm(which: int) -> None:
        rng, pipeline = random.Random(seed * 10 + which), pipelines[which]
        frames = encoded(60, codecs[which])
        for i in range(300):
            frame = frames[i % 60]
            data = frame.data
            if rng.random() < 0.05:
                cut = rng.randrange(len(data))
                data = data[:cut] + rng.randbytes(rng.randrange(20)) + data[cut + 5 :]
            if rng.random() < 0.9:
                pipeline.push(replace(frame, data=data, pts=i * 3000))
            calls: list[Callable[[], object]] = [
                pipeline.pause,
                pipeline.resume,
                pipeline.force_keyframe,
                pipeline.stats,
                lambda i=i: pipeline.set_edit(Edit(i, "night", rng.random())),  # type: ignore[misc]
                lambda: pipeline.set_bitrate(rng.randrange(10**7)),
            ]
            if rng.random() < 0.2:
                rng.choice(calls)()
            if rng.random() < 0.1:
                time.sleep(0.002)
        pipeline.resume()

    threads = [threading.Thread(target=storm, args=(i,)) for i in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    try:
        for which, (pipeline, sink) in enumerate(zip(pipelines, sinks, strict=True)):
            assert not pipeline.closed, sink.errors
            before = len(sink.frames)
            for i, frame in enumerate(encoded(30, codecs[which])):
                pipeline.push(replace(frame, pts=(400 + i) * 3000))
            wait_until(lambda sink=sink, before=before: len(sink.frames) > before)  # type: ignore[misc]
    finally:
        worker.close()
    for which, sink in enumerate(sinks):
        assert sink.errors == []
        assert sink.pts == sorted(set(sink.pts))
        revisions = [revision for revision, _ in sink.applied]
        assert revisions == sorted(set(revisions))
        decoder = open_decoder(codecs[which])
        assert sum(len(decoder.decode(frame)) for frame in sink.frames) == len(sink.frames)
