"""Streams with real frames and a real model: publishing, watching, taking over, coming back, ending."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from gpu.codec import open_decoder
from gpu.errors import ModelError
from gpu.pipeline import Pipeline
from gpu.types import EncodedFrame
from server.errors import CapacityError, NotLive, PeerLost, ProtocolError, Taken
from server.peer.types import EncodedAudio
from server.streams.stream import Change, Stream
from server.streams.types import StreamSettings
from tests.server.streams.stream_parts import KEY, TICKS, Caster, Server, Watcher, server, until


def monotonic(viewer: Watcher) -> bool:
    times = [frame.pts for frame in viewer.frames]
    return times == sorted(set(times))


def pictures(frames: list[EncodedFrame]) -> int:
    """How many can be decoded, from the first one on."""
    decoder = open_decoder("h264")
    try:
        return sum(len(decoder.decode(frame)) for frame in frames)
    finally:
        decoder.close()


async def watched(stream: Stream, frames: int = 5) -> Watcher:
    viewer = Watcher()
    await stream.add_viewer(viewer)
    await until(lambda: len(viewer.frames) >= frames)
    return viewer


async def goes_on(*viewers: Watcher, frames: int = 10) -> None:
    before = [len(viewer.frames) for viewer in viewers]
    await until(lambda: all(len(v.frames) >= b + frames for v, b in zip(viewers, before, strict=True)))


def free(served: Server) -> Callable[[], bool]:
    return lambda: len(served.places) == 0


async def test_many_viewers_get_the_same_frames_encoded_once() -> None:
    async with server() as served:
        stream = await served.stream()
        caster = await Caster(stream).publish()
        viewers = [await watched(stream) for _ in range(4)]
        caster.stop()
        await goes_on(*viewers, frames=0)
        everything = Counter(id(frame) for viewer in viewers for frame in viewer.frames)
        assert max(everything.values()) == 4, "a frame was copied"
        for viewer in viewers:
            assert viewer.frames[0].is_keyframe
            assert monotonic(viewer)
            assert pictures(viewer.frames) == len(viewer.frames)
        text = served.metrics.render().decode()
        assert 'relens_stream_viewers{kind="whep"} 4.0' in text
        assert 'relens_streams{state="live"} 1.0' in text
        assert 'relens_stream_publishers{kind="rtmp"} 1.0' in text
        fanned = text.partition("\nrelens_stream_frames_fanned_out_total ")[2].partition("\n")[0]
        assert float(fanned) == sum(len(viewer.frames) for viewer in viewers)


async def test_ten_viewers_cost_the_encoder_no_more_than_one() -> None:
    async with server() as served:
        stream = await served.stream()
        caster = await Caster(stream, size=(640, 360)).publish()
        one = await watched(stream)
        opened = stream._opened
        assert opened is not None
        (encoder,) = (thread for thread in opened.pipeline._threads if thread.name == "relens-encode")
        assert encoder.ident is not None
        clock = time.pthread_getcpuclockid(encoder.ident)

        async def cost_of_a_frame() -> float:
            await goes_on(one)  # past what those who come ask for
            began, before = time.clock_gettime(clock), len(one.frames)
            await goes_on(one, frames=40)
            return (time.clock_gettime(clock) - began) / (len(one.frames) - before)

        alone = await cost_of_a_frame()
        others = [await watched(stream, frames=1) for _ in range(9)]
        together = await cost_of_a_frame()
        caster.stop()
        assert stream.viewers == 10
        assert all(len(viewer.frames) >= 40 for viewer in others)
        assert together < 2 * alone


@pytest.mark.parametrize("after", [4, 25])
async def test_a_late_viewer_sees_a_picture_at_once(after: int) -> None:
    """`after` a keyframe: when all since then is still held, and when a new one must be asked for."""
    async with server() as served:
        stream = await served.stream()
        caster = await Caster(stream).publish()
        first = await watched(stream)

        def old_enough() -> bool:
            keyframes = [i for i, frame in enumerate(first.frames) if frame.is_keyframe]
            return len(first.frames) - keyframes[-1] >= after

        await until(old_enough)
        began_s = time.monotonic()
        viewer = await watched(stream, frames=1)
        assert time.monotonic() - began_s < 2.0
        await goes_on(viewer)
        caster.stop()
        assert viewer.frames[0].is_keyframe
        assert pictures(viewer.frames) == len(viewer.frames)


async def test_a_second_publisher_is_refused_and_the_first_goes_on() -> None:
    async with server() as served:
        stream = await served.stream()
        caster = await Caster(stream).publish()
        viewer = await watched(stream)
        other = Caster(stream)
        with pytest.raises(Taken, match="takeover=1"):
            await other.publish()
        other.send(5)
        stream.unpublish(other, "gone", "it was never there")
        assert stream.state == "live"
        assert caster.ends == []
        await goes_on(viewer)
        assert monotonic(viewer)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
@pytest.mark.parametrize("origin", [0, 4 * 3600 * 90_000])
async def test_a_takeover_keeps_viewers_pipeline_and_clock(codec: Any, origin: int) -> None:
    async with server() as served:
        stream = await served.stream()
        old = await Caster(stream, origin=3600 * 90_000).publish()
        viewer = await watched(stream)
        new = await Caster(stream, origin=origin, codec=codec).publish(takeover=True)
        assert old.ends == [("taken-over", "another publisher took this stream over")]
        assert new.asked >= 1
        old.send(20)  # it has not heard yet
        await goes_on(viewer, frames=30)
        new.stop()
        assert viewer.ends == []
        assert monotonic(viewer)
        assert pictures(viewer.frames) == len(viewer.frames)
        gap = max(b.pts - a.pts for a, b in zip(viewer.frames, viewer.frames[1:], strict=False))
        assert gap < 5 * 90_000
        assert len(served.places) == 1


async def test_pictures_of_another_size_begin_at_a_keyframe_of_their_own() -> None:
    async with server() as served:
        stream = await served.stream()
        await Caster(stream).publish()
        viewer = await watched(stream)
        before = len(viewer.frames)
        await Caster(stream, size=(128, 96)).publish(takeover=True)
        await until(lambda: stream.facts().width == 128)
        await goes_on(viewer, frames=30)
        decoder = open_decoder("h264")
        sizes = [picture.width for frame in viewer.frames for picture in decoder.decode(frame)]
        decoder.close()
        assert sizes == sorted(sizes)
        assert (sizes[before - 1], sizes[-1]) == (96, 128)
        assert monotonic(viewer)


async def test_a_publisher_that_comes_back_finds_its_viewers() -> None:
    async with server(linger_s=30.0) as served:
        stream = await served.stream()
        caster = await Caster(stream).publish()
        viewer = await watched(stream)
        caster.stop()
        stream.unpublish(caster, "peer-lost", "the network is gone")
        assert stream.state == "waiting"
        late = Watcher()
        await stream.add_viewer(late)
        await Caster(stream).publish()
        await goes_on(viewer, late)
        assert stream.state == "live"
        assert viewer.ends == late.ends == []
        assert monotonic(viewer)


async def test_a_publisher_that_stays_away_ends_the_stream() -> None:
    async with server(linger_s=0.2) as served:
        stream = await served.stream()
        caster = await Caster(stream).publish()
        viewer = await watched(stream)
        caster.stop()
        stream.unpublish(caster, "ended", "it stopped")
        await until(lambda: stream.state == "idle")
        assert viewer.ends == [("stream-ended", "the publisher ended the stream")]
        with pytest.raises(NotLive) as refused:
            await stream.add_viewer(Watcher())
        assert refused.value.retry_after_s == 2
        await until(free(served))
        await Caster(stream).publish()
        assert (await watched(stream)).frames[0].is_keyframe


async def test_what_comes_before_the_first_keyframe_is_not_shown() -> None:
    async with server() as served:
        stream = await served.stream()
        caster = Caster(stream)
        await stream.publish(caster, "h264")
        asked = caster.asked
        caster.frame()
        caster.send(10)
        assert asked == 1
        await asyncio.sleep(0)
        assert stream.facts().fps_out == 0
        viewer = Watcher()
        await stream.add_viewer(viewer)
        caster.send(80)
        await until(lambda: len(viewer.frames) > 0)
        assert viewer.frames[0].is_keyframe


async def test_sound_is_of_the_same_clock_as_the_picture() -> None:
    async with server() as served:
        stream = await served.stream()
        caster = await Caster(stream, origin=7 * 90_000).publish()
        viewer = await watched(stream)
        for n in range(20):
            stream.on_audio(caster, EncodedAudio(b"opus", 7 * 48_000 + n * 960))
            stream.on_audio(Caster(stream), EncodedAudio(b"another's", n * 960))
        await until(lambda: len(viewer.sounds) == 20)
        assert {sound.data for sound in viewer.sounds} == {b"opus"}
        begins = viewer.frames[0].pts - (viewer.frames[0].pts - 90_000) // TICKS * TICKS
        assert abs(viewer.sounds[0].pts / 48_000 - begins / 90_000) < 0.001


async def test_places_are_shared_and_come_back() -> None:
    async with server(max_sessions=1) as served:
        one, two = await served.stream("one"), await served.stream("two")
        caster = await Caster(one).publish()
        with pytest.raises(CapacityError) as refused:
            await Caster(two).publish()
        assert refused.value.code == "capacity"
        assert two.state == "idle"
        one.kick("kicked", "the operator ended it")
        assert caster.ends == [("kicked", "the operator ended it")]
        await until(lambda: one.state == "idle")
        await Caster(two).publish()
        assert two.state == "live"


async def test_viewers_are_as_many_as_the_settings_allow() -> None:
    async with server(max_viewers=2) as served:
        one, two = await served.stream("one"), await served.stream("two")
        await Caster(one).publish()
        await Caster(two).publish()
        first = Watcher()
        for stream, viewer in ((one, first), (one, first), (two, Watcher())):
            await stream.add_viewer(viewer)
        with pytest.raises(CapacityError, match="max_viewers"):
            await two.add_viewer(Watcher())
        one.remove_viewer(first)
        one.remove_viewer(first)
        await two.add_viewer(Watcher())


async def test_who_goes_while_the_stream_closes_leaves_it_to_who_comes_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with server(linger_s=0.01) as served:
        stream = await served.stream()
        await Caster(stream).publish()
        go, close = threading.Event(), Pipeline.close

        def slowly(pipeline: Pipeline) -> None:
            assert go.wait(20)
            close(pipeline)

        monkeypatch.setattr(Pipeline, "close", slowly)
        try:
            stream.kick("kicked", "the operator ended it")
            await until(lambda: stream.state == "idle")
            early = asyncio.create_task(Caster(stream).publish())
            await asyncio.sleep(0.05)
            early.cancel()
            await asyncio.gather(early, return_exceptions=True)
            assert early.cancelled()
            assert len(served.places) == 1  # it still closes
        finally:
            go.set()
        await Caster(stream).publish()
        assert len(served.places) == 1


async def test_targets_take_no_viewer_s_place_and_lack_none() -> None:
    async with server(max_viewers=1) as served:
        stream = await served.stream()
        await Caster(stream).publish()
        for viewer in (Watcher("push"), Watcher("whep"), Watcher("push")):
            await stream.add_viewer(viewer)
        with pytest.raises(CapacityError, match="max_viewers"):
            await stream.add_viewer(Watcher("rtmp"))
        assert (stream.viewers, len(stream.viewer_kinds())) == (1, 3)


async def test_a_deleted_stream_ends_everything_and_takes_nothing_any_more() -> None:
    async with server() as served:
        stream = await served.stream()
        caster = await Caster(stream).publish()
        viewer = await watched(stream)
        assert await served.streams.delete("live")
        assert not await served.streams.delete("live")
        assert caster.ends[0][0] == viewer.ends[0][0] == "deleted"
        assert len(served.places) == 0
        assert served.streams.get("live") is None
        for late in (Caster(stream).publish(), stream.add_viewer(Watcher())):
            with pytest.raises(NotLive):
                await late


async def test_going_down_ends_everybody_and_lets_nobody_in() -> None:
    async with server() as served:
        stream = await served.stream()
        caster = await Caster(stream).publish()
        viewer = await watched(stream)
        served.places.draining = True
        with pytest.raises(CapacityError) as refused:
            await Caster(stream).publish(takeover=True)
        assert refused.value.code == "going-away"
        await goes_on(viewer)
        await served.streams.close()
        assert caster.ends[0][0] == viewer.ends[0][0] == "going-away"
        assert len(served.places) == 0


async def test_a_publisher_that_falls_silent_is_ended() -> None:
    async with server(idle_s=0.2) as served:
        stream = await served.stream()
        caster = Caster(stream)
        await stream.publish(caster, "h264")
        caster.send(3)
        await until(lambda: caster.ends)
        assert caster.ends[0][0] == "idle"
        await until(lambda: stream.state == "idle")


async def test_a_model_that_fails_ends_the_stream_and_the_next_publisher_finds_it_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with server() as served:
        stream = await served.stream()
        caster = await Caster(stream).publish()
        viewer = await watched(stream)
        model = (await served.workers.get()).model

        def broken(_state: object, _chunk: object) -> None:
            raise ModelError("the weights melted")

        with monkeypatch.context() as patch:
            patch.setattr(model, "step", broken)
            await until(lambda: caster.ends and viewer.ends)
        assert caster.ends == viewer.ends == [("stream-failed", "the weights melted")]
        assert stream.state == "idle"
        await Caster(stream).publish()
        await watched(stream)


async def test_a_viewer_that_fails_disturbs_nobody() -> None:
    async with server() as served:
        stream = await served.stream()
        await Caster(stream).publish()
        good, bad = await watched(stream), await watched(stream)
        bad.broken = True
        await goes_on(good)
        assert bad.ends[0][0] == "viewer-failed"
        assert stream.viewers == 1


@pytest.fixture
def slow_open(monkeypatch: pytest.MonkeyPatch) -> Callable[[Server], Any]:
    """Opening a pipeline waits for the event that is given back."""

    async def slow(served: Server) -> asyncio.Event:
        worker, go = await served.workers.get(), asyncio.Event()
        opens, loop = worker.open, asyncio.get_running_loop()

        def later(*args: Any) -> Any:
            asyncio.run_coroutine_threadsafe(asyncio.wait_for(go.wait(), 20), loop).result()
            return opens(*args)

        monkeypatch.setattr(worker, "open", later)
        return go

    return slow


async def test_who_leaves_while_the_stream_opens_leaves_it_waiting(
    slow_open: Callable[[Server], Any],
) -> None:
    async with server(linger_s=0.2) as served:
        go = await slow_open(served)
        stream, caster = await served.stream(), None
        caster = Caster(stream)
        publishing = asyncio.ensure_future(caster.publish())
        await until(lambda: stream.publisher is caster)
        stream.unpublish(caster, "gone", "it left")
        go.set()
        with pytest.raises(PeerLost):
            await publishing
        await until(lambda: stream.state == "idle")
        await until(free(served))


async def test_who_takes_over_while_the_stream_opens_has_it(slow_open: Callable[[Server], Any]) -> None:
    async with server() as served:
        go = await slow_open(served)
        stream = await served.stream()
        one, two = Caster(stream), Caster(stream)
        first = asyncio.ensure_future(one.publish())
        await until(lambda: stream.publisher is one)
        with pytest.raises(Taken):
            await Caster(stream).publish()
        second = asyncio.ensure_future(two.publish(takeover=True))
        await until(lambda: stream.publisher is two)
        go.set()
        with pytest.raises(PeerLost):
            await first
        await second
        assert one.ends[0][0] == "taken-over"
        await watched(stream)


async def test_a_publisher_cut_short_leaves_no_place_taken(slow_open: Callable[[Server], Any]) -> None:
    async with server() as served:
        go = await slow_open(served)
        stream = await served.stream()
        publishing = asyncio.ensure_future(Caster(stream).publish())
        await until(lambda: len(served.places) == 1)
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        assert stream.publisher is None
        assert len(served.places) == 0
        go.set()
        await Caster(stream).publish()
        assert stream.state == "live"


async def test_a_stream_deleted_while_it_opens_does_not_open(slow_open: Callable[[Server], Any]) -> None:
    async with server() as served:
        go = await slow_open(served)
        stream = await served.stream()
        publishing = asyncio.ensure_future(Caster(stream).publish())
        await until(lambda: len(served.places) == 1)
        deleting = asyncio.ensure_future(served.streams.delete("live"))
        await until(lambda: served.streams.get("live") is None)
        go.set()
        with pytest.raises(NotLive):
            await publishing
        assert await deleting
        assert len(served.places) == 0


async def test_a_stream_that_takes_too_long_to_open_holds_up_no_end(
    slow_open: Callable[[Server], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.streams.stream.CLOSE_TIMEOUT_S", 0.05)
    async with server() as served:
        go = await slow_open(served)
        stream = await served.stream()
        publishing = asyncio.ensure_future(Caster(stream).publish())
        await until(lambda: len(served.places) == 1)
        assert await served.streams.delete("live")
        assert not publishing.done()
        go.set()
        with pytest.raises(NotLive):
            await publishing
        await until(free(served))


async def test_facts_are_what_is_measured_and_count_people() -> None:
    async with server() as served:
        stream = await served.stream()
        idle = stream.facts()
        assert (idle.state, idle.publisher, idle.viewers, idle.age_s, idle.model) == (
            "idle", None, 0, 0.0, "passthrough",
        )  # fmt: skip
        await Caster(stream).publish()
        viewer = await watched(stream)
        await goes_on(viewer)
        await stream.add_viewer(Watcher("push"))
        await stream.add_viewer(Watcher("rtmp"))
        facts = stream.facts()
        assert (facts.state, facts.viewers, facts.width, facts.height) == ("live", 2, 96, 64)
        assert facts.fps_out > 0
        assert facts.bitrate_out_bps > 0
        assert facts.latency.p50_ms > 0
        assert facts.publisher is not None
        assert facts.publisher.address == "192.0.2.7"
        await until(lambda: stream.facts().width == 96 and stream.facts().fps_out != facts.fps_out)


async def test_who_listens_hears_of_changes_and_fails_for_itself() -> None:
    async with server() as served:
        stream = await served.stream()
        heard: list[Change] = []

        def broken(_change: Change) -> None:
            raise ValueError("a listener's defect")

        stream.subscribe(broken)
        leave = stream.subscribe(heard.append)
        caster = await Caster(stream).publish()
        viewer = await watched(stream)
        stream.remove_viewer(viewer)
        await served.stream(prompt="make it night")
        stream.unpublish(caster, "gone", "it left")
        assert heard.count("applied") == 1, "what is in force is seen"
        heard.remove("applied")
        assert heard == ["publisher", "state", "viewers", "viewers", "settings", "publisher", "state"]
        leave()
        leave()
        stream.kick("x", "y")
        await until(lambda: stream.state == "idle")
        assert len(heard) == 7


async def test_who_follows_the_streams_hears_of_each_that_is_made_set_and_deleted() -> None:
    async with server() as served:
        heard: list[str] = []
        leave = served.streams.follow(heard.append)
        await served.streams.start()
        await served.stream("two")
        await served.stream("two", prompt="make it night")
        await served.streams.delete("two")
        assert heard == ["live", "two", "two", "two"]
        leave()
        await served.stream("three")
        assert len(heard) == 4


async def test_the_first_server_has_one_stream_with_a_key_of_its_own() -> None:
    async with server(start=True) as one, server(start=True) as two:
        keys = {served.streams.all()[0].settings.key for served in (one, two)}
        assert len(keys) == 2
        assert all(len(key) >= 16 for key in keys)
        assert [stream.name for stream in one.streams.all()] == ["live"]


@pytest.mark.parametrize("name", ["", "Live", "a" * 64, "-a", "a/b", "a b", "ä"])
async def test_names_are_fit_for_urls(name: str) -> None:
    async with server() as served:
        with pytest.raises(ProtocolError, match="no name of a stream"):
            await served.streams.put(name, StreamSettings(key=KEY))


async def test_the_encoder_aims_at_what_the_best_viewer_bears_within_the_settings() -> None:
    async with server(max_bitrate_bps=5_000_000, min_bitrate_bps=200_000) as served:
        stream = await served.stream(bitrate_bps=2_000_000)
        caster = await Caster(stream).publish()
        slow, fast = await watched(stream), await watched(stream)
        opened = stream._opened
        assert opened is not None

        def target() -> int:
            return opened.pipeline.stats().target_bps

        assert target() == 2_000_000
        stream.viewer_rate(slow, 300_000)
        assert target() == 300_000
        stream.viewer_rate(slow, 1_000)
        assert target() == 200_000
        stream.viewer_rate(fast, 9_000_000)
        assert target() == 2_000_000
        await served.stream(bitrate_bps=0)
        assert target() == 5_000_000
        stream.remove_viewer(fast)
        assert target() == 200_000
        caster.stop()
