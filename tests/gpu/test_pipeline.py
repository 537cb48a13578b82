"""One stream, real codecs: order, times, receipts, damage, pause, keyframes, sizes."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pytest
from moving import encoded, picture, psnr, same
from streams import Recorder, TintModel, TintState, wait_until

from gpu.codec import open_decoder
from gpu.errors import DeviceError, FrameError, ModelError
from gpu.intake import SPARE_SHARE
from gpu.models.base import EditModel
from gpu.models.passthrough import PassthroughModel
from gpu.offline import edit_frames
from gpu.pipeline import Pipeline, PipelineConfig
from gpu.types import Codec, Edit, EncodedFrame, Frame
from gpu.worker import Worker

CODECS: list[Codec] = ["h264", "vp8"]


@contextmanager
def stream(
    model: EditModel, config: PipelineConfig | None = None, sink: Recorder | None = None
) -> Iterator[tuple[Pipeline, Recorder]]:
    sink = sink or Recorder()
    worker = Worker(model)
    worker.start()
    try:
        yield worker.open(config or PipelineConfig(), sink), sink
    finally:
        worker.close()


def feed(pipeline: Pipeline, sink: Recorder, frames: Sequence[EncodedFrame]) -> None:
    """Push one by one, each when the one before has come out: nothing is dropped."""
    for frame in frames:
        before = len(sink.frames)
        pipeline.push(frame)
        wait_until(lambda before=before: len(sink.frames) > before, f"frame {frame.pts}")  # type: ignore[misc]


def decode(frames: Sequence[EncodedFrame]) -> list[Frame]:
    decoder = open_decoder(frames[0].codec)
    return [back for frame in frames for back in decoder.decode(frame)]


@pytest.mark.parametrize("codec_in", CODECS)
@pytest.mark.parametrize("codec_out", CODECS)
def test_frames_come_out_with_their_time_and_picture(codec_in: Codec, codec_out: Codec) -> None:
    frames = [replace(frame, arrived_ns=time.monotonic_ns()) for frame in encoded(40, codec_in)]
    with stream(PassthroughModel(), PipelineConfig(codec_in, codec_out)) as (pipeline, sink):
        feed(pipeline, sink, frames)
        stats = pipeline.stats()
    assert sink.pts == [frame.pts for frame in frames]
    assert [frame.arrived_ns for frame in sink.frames] == [frame.arrived_ns for frame in frames]
    assert {frame.codec for frame in sink.frames} == {codec_out}
    assert [frame.is_keyframe for frame in sink.frames] == [True] + [False] * 39
    shown = decode(sink.frames)
    assert min(psnr(shown[i].y, picture(i).y) for i in range(40)) > 28
    assert (stats.frames_in, stats.frames_out, stats.dropped, stats.frame_errors) == (40, 40, 0, 0)
    assert (stats.width, stats.height) == (320, 240)
    assert all(stats.stages[stage].p95_ms > 0 for stage in ("decode", "wait", "edit", "encode", "total"))
    assert stats.stages["total"].p50_ms >= stats.stages["encode"].p50_ms


def test_receipts_name_the_first_frame_under_each_edit() -> None:
    frames = encoded(30)
    model = TintModel()
    with stream(model) as (pipeline, sink):
        feed(pipeline, sink, frames[:10])
        pipeline.set_edit(Edit(1, "night"))
        feed(pipeline, sink, frames[10:20])
        for revision in (2, 3, 4):
            reading = pipeline.set_edit(Edit(revision, "day"))
            assert not reading.understood
        feed(pipeline, sink, frames[20:])
        assert pipeline.stats().revision == 4
    assert sink.applied == [(1, frames[10].pts), (4, frames[20].pts)]
    at = sink.log.index(("applied", 4))
    assert sink.log[at - 1] == ("frame", frames[20].pts), "the receipt follows its frame at once"
    lift = decode(sink.frames)[10].y.mean() - decode(frames)[10].y.mean()
    assert lift > 20


@pytest.mark.parametrize("chunk", [1, 4])
def test_streaming_equals_offline(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The pictures that reach the encoder are those of one go over the same decoded pictures, to the byte."""
    frames = encoded(48)
    edits = [(8, Edit(1, "night", 0.5)), (24, Edit(2, "day", 1.0)), (36, Edit(3, ""))]
    expected = list(edit_frames(TintModel(chunk), decode(frames), edits))
    streamed: list[Frame] = []
    with stream(TintModel(chunk)) as (pipeline, sink):
        encode = pipeline._outlet._encoder.encode

        def spy(frame: Frame, keyframe: bool = False) -> list[EncodedFrame]:
            streamed.append(frame)
            return encode(frame, keyframe)

        monkeypatch.setattr(pipeline._outlet._encoder, "encode", spy)
        for start in range(0, len(frames), chunk):
            for index, edit in edits:
                if index == start:
                    pipeline.set_edit(edit)
            for frame in frames[start : start + chunk]:
                pipeline.push(frame)
            wait_until(lambda start=start: len(sink.frames) >= start + chunk)  # type: ignore[misc]
    assert len(streamed) == len(expected) == 48
    assert all(same(a, b) for a, b in zip(streamed, expected, strict=True))
    assert [pts for _, pts in sink.applied] == [frames[index].pts for index, _ in edits]


def test_a_damaged_frame_is_counted_and_a_keyframe_asked_for() -> None:
    frames = encoded(60)
    with stream(PassthroughModel()) as (pipeline, sink):
        feed(pipeline, sink, frames[:10])
        pipeline.push(replace(frames[10], data=frames[10].data[:30]))
        wait_until(lambda: pipeline.stats().frame_errors == 1)
        assert sink.keyframes_needed == 1
        for frame in frames[11:30]:
            pipeline.push(frame)
        feed(pipeline, sink, frames[30:])
        stats = pipeline.stats()
    assert sink.pts == [frame.pts for frame in frames[:10] + frames[30:]]
    assert (stats.dropped, stats.keyframes_asked) == (20, sink.keyframes_needed)
    assert not sink.errors


def test_overflow_flushes_and_asks_for_a_keyframe() -> None:
    frames = encoded(60)
    hold = threading.Event()
    with stream(PassthroughModel(), PipelineConfig(in_order=True, queue_frames=8)) as (pipeline, sink):
        model_step = pipeline._editor.edit

        def held(chunk: Sequence[Frame]) -> object:
            assert hold.wait(20)
            return model_step(chunk)

        pipeline._editor.edit = held  # type: ignore[method-assign,assignment]
        for frame in frames[:30]:
            pipeline.push(frame)
        assert sink.keyframes_needed == 1
        hold.set()
        wait_until(lambda: pipeline.stats().dropped + len(sink.frames) == 30)
        before = len(sink.frames)
        feed(pipeline, sink, frames[30:40])
    assert sink.pts[before:] == [frame.pts for frame in frames[30:40]]
    assert sink.pts == sorted(sink.pts)


def test_live_drops_pictures_not_time() -> None:
    """A slow model sees the newest picture; the stream is never behind by more than what is in flight."""
    seen: list[int] = []

    def slow(state: TintState, chunk: Sequence[Frame]) -> None:
        seen.append(chunk[0].pts)
        time.sleep(0.05)

    frames = encoded(60)
    with stream(TintModel(on_step=slow), PipelineConfig(queue_frames=100)) as (pipeline, sink):
        for frame in frames:
            pipeline.push(frame)
        wait_until(lambda: frames[-1].pts in sink.pts)
        stats = pipeline.stats()
    assert len(seen) < 30
    assert sink.pts == seen
    assert stats.dropped == 60 - len(seen)
    assert len(decode(sink.frames)) == len(sink.frames), "what is dropped before the encoder hurts nothing"


def test_files_lose_nothing_however_slow_the_model() -> None:
    frames = encoded(60)

    def slow(state: TintState, chunk: Sequence[Frame]) -> None:
        time.sleep(0.002)

    config = PipelineConfig(in_order=True, queue_frames=4)
    with stream(TintModel(2, slow), config) as (pipeline, sink):
        for frame in frames:
            assert pipeline.push_wait(frame, 20)
        wait_until(lambda: len(sink.frames) == 60)
        assert pipeline.stats().dropped == 0
    assert sink.pts == [frame.pts for frame in frames]


def test_a_new_size_in_mid_stream_goes_through_with_a_keyframe_and_the_edit() -> None:
    small = [replace(frame, pts=frame.pts + 10 * 3000) for frame in encoded(10, "h264", 176, 144)]
    with stream(TintModel()) as (pipeline, sink):
        pipeline.set_edit(Edit(1, "night"))
        feed(pipeline, sink, encoded(10))
        feed(pipeline, sink, small)
        assert (pipeline.stats().width, pipeline.stats().height) == (176, 144)
    assert [i for i, frame in enumerate(sink.frames) if frame.is_keyframe] == [0, 10]
    shown = decode(sink.frames)
    assert [frame.width for frame in shown] == [320] * 10 + [176] * 10
    assert shown[15].y.mean() - decode(small)[5].y.mean() > 20
    assert sink.applied == [(1, encoded(1)[0].pts)]


def test_another_codec_in_mid_stream_goes_on_at_its_keyframe() -> None:
    later = [replace(frame, pts=frame.pts + 10 * 3000) for frame in encoded(5, "vp8")]
    back = [replace(frame, pts=frame.pts + 15 * 3000) for frame in encoded(5)]
    with stream(PassthroughModel()) as (pipeline, sink):
        feed(pipeline, sink, encoded(10))
        pipeline.push(later[1])
        wait_until(lambda: sink.keyframes_needed == 1)
        feed(pipeline, sink, later + back)
        stats = pipeline.stats()
    assert (stats.dropped, stats.frame_errors, stats.keyframes_asked) == (1, 0, 1)
    shown = decode(sink.frames)
    assert sink.pts == [frame.pts for frame in encoded(10) + later + back]
    assert min(psnr(shown[10 + i].y, picture(i).y) for i in range(5)) > 28


def test_a_new_size_within_a_chunk_starts_the_chunk_anew() -> None:
    small = [replace(frame, pts=frame.pts + 2 * 3000) for frame in encoded(4, "h264", 176, 144)]
    with stream(TintModel(4)) as (pipeline, sink):
        for frame in encoded(2) + small:
            pipeline.push(frame)
        wait_until(lambda: len(sink.frames) == 4)
        assert pipeline.stats().dropped == 2
    assert sink.pts == [frame.pts for frame in small]


def test_pause_drops_undecoded_and_resume_goes_on_from_a_keyframe() -> None:
    frames = encoded(90)
    with stream(PassthroughModel()) as (pipeline, sink):
        feed(pipeline, sink, frames[:10])
        pipeline.pause()
        assert pipeline.stats().paused
        for frame in frames[10:40]:
            pipeline.push(frame)
        assert sink.keyframes_needed == 0
        pipeline.resume()
        pipeline.resume()
        assert sink.keyframes_needed == 1
        for frame in frames[40:60]:
            pipeline.push(frame)  # refused: they build on frames that were not taken
        feed(pipeline, sink, frames[60:70])
        assert not pipeline.stats().paused
    assert sink.pts == [frame.pts for frame in frames[:10] + frames[60:70]]
    assert pipeline.stats().frame_errors == 0


def test_many_keyframe_requests_make_one_and_none_is_forgotten() -> None:
    frames = encoded(40)
    with stream(PassthroughModel()) as (pipeline, sink):
        feed(pipeline, sink, frames[:10])
        for _ in range(50):
            pipeline.force_keyframe()
        feed(pipeline, sink, frames[10:12])
        pipeline.force_keyframe()  # too soon after the last: answered a quarter of a second later
        feed(pipeline, sink, frames[12:40])
        stats = pipeline.stats()
    keyframes = [i for i, frame in enumerate(sink.frames) if frame.is_keyframe]
    assert keyframes[:2] == [0, 10]
    assert len(keyframes) == 3
    assert frames[keyframes[2]].pts - frames[10].pts >= 22_500
    assert keyframes[2] <= 18
    assert stats.keyframes_sent == 3


def test_bitrate_reaches_the_encoder_without_a_keyframe() -> None:
    frames = encoded(60)
    with stream(PassthroughModel(), PipelineConfig(bitrate_bps=800_000)) as (pipeline, sink):
        feed(pipeline, sink, frames[:30])
        pipeline.set_bitrate(200_000)
        assert pipeline.stats().target_bps == 200_000
        feed(pipeline, sink, frames[30:])
    sizes = [len(frame.data) for frame in sink.frames]
    assert sum(sizes[45:]) * 2 < sum(sizes[15:30])
    assert sum(frame.is_keyframe for frame in sink.frames) == 1


def test_a_camera_faster_than_the_cap_is_thinned_out_evenly() -> None:
    frames = [replace(frame, pts=i * 1500) for i, frame in enumerate(encoded(40))]  # 60 fps
    with stream(PassthroughModel(), PipelineConfig(in_order=False, max_fps=30, queue_frames=100)) as (
        pipeline,
        sink,
    ):
        for i, frame in enumerate(frames):
            pipeline.push(frame)
            wait_until(lambda i=i: len(sink.frames) >= i // 2 + 1)  # type: ignore[misc]
    assert sink.pts == [frame.pts for frame in frames[::2]]
    assert pipeline.stats().dropped == 0


def test_a_sink_that_throws_does_not_end_the_stream() -> None:
    class Angry(Recorder):
        def on_frame(self, frame: EncodedFrame) -> None:
            super().on_frame(frame)
            raise RuntimeError("the owner's defect")

    with stream(PassthroughModel(), sink=Angry()) as (pipeline, sink):
        feed(pipeline, sink, encoded(10))
        assert not pipeline.closed
    assert len(sink.frames) == 10


def test_frame_errors_of_the_model_are_counted_and_logged_at_most_once_a_second(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def odd(state: TintState, chunk: Sequence[Frame]) -> None:
        if chunk[0].pts // 3000 % 2:
            raise FrameError("this one is late")

    frames = encoded(60)
    began = time.monotonic()
    with stream(TintModel(on_step=odd)) as (pipeline, sink):
        for i, frame in enumerate(frames):
            pipeline.push(frame)
            wait_until(lambda i=i: pipeline.stats().frame_errors + len(sink.frames) > i)  # type: ignore[misc]
        assert pipeline.stats().frame_errors == 30
    said = [record for record in caplog.records if "this one is late" in record.message]
    assert 1 <= len(said) <= 1 + time.monotonic() - began
    assert not sink.errors


@pytest.mark.parametrize("fault", [ModelError("no such size: send less"), DeviceError("gone: restart")])
def test_errors_that_reach_further_end_the_stream_with_their_words(fault: Exception) -> None:
    def fail(state: TintState, chunk: Sequence[Frame]) -> None:
        raise fault

    with stream(TintModel(on_step=fail)) as (pipeline, sink):
        for frame in encoded(3):
            pipeline.push(frame)
        wait_until(lambda: bool(sink.errors))
        wait_until(lambda: pipeline.closed)
    assert sink.errors == [fault]
    assert sink.frames == []


def test_close_is_idempotent_final_and_allowed_from_the_sink() -> None:
    closed_from_within: list[Callable[[], None]] = []

    class Closer(Recorder):
        def on_frame(self, frame: EncodedFrame) -> None:
            super().on_frame(frame)
            closed_from_within[0]()

    with stream(PassthroughModel(), sink=Closer()) as (pipeline, sink):
        closed_from_within.append(pipeline.close)
        for frame in encoded(5):
            pipeline.push(frame)
        wait_until(lambda: pipeline.closed)
        pipeline.close()
        pipeline.close()
        came = len(sink.frames)
        for frame in encoded(5):
            pipeline.push(frame)
        assert not pipeline.push_wait(encoded(1)[0], 0.01)
        pipeline.pause()
        pipeline.resume()
        pipeline.force_keyframe()
        pipeline.set_edit(Edit(9, "late"))
    assert came == len(sink.frames) == 1
    assert sink.applied == []
    assert sink.keyframes_needed == 0


@pytest.mark.parametrize("live", [True, False])
def test_a_chunk_leaves_as_far_apart_as_it_came_and_a_files_at_once(live: bool) -> None:
    frames = encoded(12)
    given: list[tuple[int, int]] = []
    with stream(TintModel(4), PipelineConfig(in_order=not live)) as (pipeline, sink):
        put = pipeline._outlet._outbox.put

        def spy(items: list[Any]) -> None:
            given.extend((due, edited.frame.pts) for due, edited in items)
            put(items)

        pipeline._outlet._outbox.put = spy  # type: ignore[method-assign]
        for start in range(0, 12, 4):
            for frame in frames[start : start + 4]:
                pipeline.push(frame)
            wait_until(lambda start=start: len(sink.frames) == start + 4)  # type: ignore[misc]
    assert sink.pts == [pts for _, pts in given] == [frame.pts for frame in frames]
    for start in range(0, 12, 4):
        due = [due - given[start][0] for due, _ in given[start : start + 4]]
        apart = 3000 * 10**9 // 90_000 if live else 0
        assert due == [n * apart for n in range(4)]


def test_a_chunk_is_not_made_of_two_scenes() -> None:
    """What waited while the camera stood still is not shown with what comes after."""
    frames = encoded(6)
    late = [replace(frame, pts=frame.pts + 10 * 90_000) for frame in frames[2:]]
    with stream(TintModel(4)) as (pipeline, sink):
        for frame in (*frames[:2], *late):
            pipeline.push(frame)
        wait_until(lambda: len(sink.frames) == 4)
        assert pipeline.stats().dropped == 2
    assert sink.pts == [frame.pts for frame in late]


@pytest.mark.parametrize("chunk", [4, 12])
def test_live_a_slow_chunked_model_gets_whole_chunks_of_the_newest(chunk: int) -> None:
    """Bounded and in order, whatever is lost; lost pictures are counted, and the last ones shown."""
    frames = encoded(96)
    seen: list[list[int]] = []
    go_on = threading.Event()

    def slow(state: TintState, pictures: Sequence[Frame]) -> None:
        seen.append([frame.pts for frame in pictures])
        if len(seen) == 1:
            assert go_on.wait(20)

    with stream(TintModel(chunk, slow), PipelineConfig(queue_frames=96, max_fps=120)) as (pipeline, sink):
        for frame in frames[:chunk]:
            pipeline.push(frame)
        wait_until(lambda: len(seen) == 1)
        for frame in frames[chunk:]:
            pipeline.push(frame)
        spare = chunk // SPARE_SHARE
        wait_until(lambda: pipeline.stats().dropped == 96 - 2 * chunk - spare)
        go_on.set()
        wait_until(lambda: len(sink.frames) == 2 * chunk)
    assert [len(pictures) for pictures in seen] == [chunk, chunk]
    newest = frames[-chunk - spare : len(frames) - spare]
    assert seen == [[frame.pts for frame in part] for part in (frames[:chunk], newest)]
    assert sink.pts == [pts for pictures in seen for pts in pictures]
