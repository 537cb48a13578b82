"""RTMP in front of streams, spoken by a small client: keys, publishing, playing, taking over, coming back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice, pairwise

import pytest

from gpu.types import EncodedFrame
from server.rtmp.limits import RtmpLimits
from server.streams.stream import Stream
from tests.server.rtmp.rtmp_client import Client, avc_tags, metadata, rtmp_server
from tests.server.sound.sounds import Clicks, aac
from tests.server.streams.stream_parts import KEY, TICKS, Caster, Server, Watcher, clip, until


def stream_of(served: Server) -> Stream:
    stream = served.streams.get("cam")
    assert stream is not None
    return stream


def endless(size: tuple[int, int] = (96, 64)) -> Iterator[EncodedFrame]:
    turn = 0
    while True:
        for frame in clip(size=size):
            yield replace(frame, pts=frame.pts + turn * len(clip(size=size)) * TICKS)
        turn += 1


async def publishing(port: int, name: str = f"cam?key={KEY}") -> Client:
    client = await Client.open(port)
    await client.connect()
    assert (await client.publish(name))["code"] == "NetStream.Publish.Start"
    return client


async def send(client: Client, frames: int, origin_ms: int = 0, size: tuple[int, int] = (96, 64)) -> None:
    for time_ms, payload in avc_tags(list(islice(endless(size), frames)), origin_ms):
        client.video(time_ms & 0xFFFFFFFF, payload)
        await client.writer.drain()
        await asyncio.sleep(0.01)


async def test_what_is_published_is_seen() -> None:
    async with rtmp_server() as (served, rtmp):
        stream, watcher = stream_of(served), Watcher()
        client = await publishing(rtmp.port)
        await stream.add_viewer(watcher)
        client.send(metadata())
        await send(client, 40)
        await until(lambda: len(watcher.frames) > 10)
        times = [frame.pts for frame in watcher.frames]
        assert times == sorted(times)
        publisher = stream.facts().publisher
        assert publisher is not None
        assert (publisher.kind, publisher.codec, publisher.audio) == ("rtmp", "h264", "")
        assert (publisher.software, publisher.address) == ("tests/1.0", "127.0.0.1")
        assert publisher.fps > 0
        assert publisher.bitrate_bps > 0
        client.call("deleteStream", 9, None, 1.0)
        assert await client.gone()
        await until(lambda: stream.state == "idle" and watcher.ends)
        assert watcher.ends[0][0] == "stream-ended"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cam?key=wrong", "the key of cam is missing or wrong: write rtmp://127.0.0.1/live/cam"),
        ("cam", "in OBS the stream key cam\\?key=KEY"),
        ("other?key=wrong", "there is no stream 'other'"),
        ("Cam?key=wrong", "names no stream"),
    ],
)
async def test_what_may_not_publish_is_told_why(name: str, words: str) -> None:
    async with rtmp_server() as (served, rtmp):
        client = await Client.open(rtmp.port)
        await client.connect()
        status = await client.publish(name)
        assert status["level"] == "error"
        assert status["code"] in ("NetStream.Publish.BadName", "NetStream.Publish.Rejected")
        with pytest.raises(AssertionError, match=words):
            raise AssertionError(status["description"])
        assert await client.gone()
        assert stream_of(served).state == "idle"


async def test_the_key_may_be_in_the_server_address() -> None:
    async with rtmp_server() as (served, rtmp):
        client = await Client.open(rtmp.port)
        await client.connect(app=f"live?key={KEY}", tc_url=f"rtmp://127.0.0.1/live?key={KEY}")
        assert (await client.publish("cam"))["code"] == "NetStream.Publish.Start"
        assert stream_of(served).state == "live"
        client.close()


async def test_wrong_keys_are_counted() -> None:
    async with rtmp_server() as (_, rtmp):
        words = ""
        for number in range(11):
            client = await Client.open(rtmp.port)
            await client.connect()
            words = (await client.publish(f"cam?key=guess{number}"))["description"]
            client.close()
        assert "wrong keys came from this address" in words


async def test_a_second_publisher_is_refused_and_the_first_goes_on() -> None:
    async with rtmp_server() as (served, rtmp):
        stream, watcher = stream_of(served), Watcher()
        first = await publishing(rtmp.port)
        await stream.add_viewer(watcher)
        await send(first, 10)
        second = await Client.open(rtmp.port)
        await second.connect()
        status = await second.publish()
        assert status["code"] == "NetStream.Publish.BadName"
        assert "somebody publishes to cam already" in status["description"]
        assert await second.gone()
        before = len(watcher.frames)
        await send(first, 30, origin_ms=400)
        await until(lambda: len(watcher.frames) > before + 10)
        first.close()


async def test_takeover_ends_the_first_and_keeps_the_viewers() -> None:
    async with rtmp_server() as (served, rtmp):
        stream, watcher = stream_of(served), Watcher()
        first = await publishing(rtmp.port)
        await stream.add_viewer(watcher)
        await send(first, 20)
        await until(lambda: watcher.frames)
        second = await publishing(rtmp.port, f"cam?key={KEY}&takeover=1")
        status = await first.status()
        assert (status["level"], status["description"]) == (
            "error",
            "another publisher took this stream over",
        )
        assert await first.gone()
        before = len(watcher.frames)
        await send(second, 30, origin_ms=5_000_000, size=(128, 96))
        await until(lambda: len(watcher.frames) > before + 10)
        times = [frame.pts for frame in watcher.frames]
        assert times == sorted(times)
        assert times[-1] - times[0] < 90_000 * 60, "the time of one publisher joins the other's"
        assert not watcher.ends
        second.close()


async def test_one_that_broke_off_comes_back_to_the_same_viewers() -> None:
    async with rtmp_server(linger_s=10.0) as (served, rtmp):
        stream, watcher = stream_of(served), Watcher()
        first = await publishing(rtmp.port)
        await stream.add_viewer(watcher)
        await send(first, 10)
        first.close()
        await until(lambda: stream.state == "waiting")
        second = await publishing(rtmp.port)
        before = len(watcher.frames)
        await send(second, 20)
        await until(lambda: len(watcher.frames) > before + 5)
        assert not watcher.ends
        second.close()


async def test_one_that_fell_silent_gives_its_place_to_whoever_has_the_key() -> None:
    """A network that broke is not noticed at once: its encoder comes back before."""
    async with rtmp_server(RtmpLimits(silent_s=0.2)) as (_, rtmp):
        first = await publishing(rtmp.port)
        await asyncio.sleep(0.3)
        second = await publishing(rtmp.port)
        assert await first.gone()
        second.close()


async def test_times_beyond_24_bits_and_around_the_wrap() -> None:
    """4.66 hours and 49.7 days after an encoder began."""
    async with rtmp_server() as (served, rtmp):
        stream, watcher = stream_of(served), Watcher()
        for origin_ms in (0xFFFFFF - 200, 0xFFFFFFFF - 200):
            client = await publishing(rtmp.port)
            await stream.add_viewer(watcher)
            await send(client, 30, origin_ms)
            client.call("deleteStream", 9, None, 1.0)
            assert await client.gone()
            await until(lambda: stream.state == "idle")
            times = [frame.pts for frame in watcher.frames]
            assert len(times) > 10
            assert all(0 < b - a < 90_000 for a, b in pairwise(times))
            watcher = Watcher()


async def test_another_size_in_mid_stream() -> None:
    async with rtmp_server() as (served, rtmp):
        stream, watcher = stream_of(served), Watcher()
        client = await publishing(rtmp.port)
        await stream.add_viewer(watcher)
        await send(client, 15)
        await until(lambda: stream.facts().width == 96)
        await send(client, 15, 1000, (128, 96))
        await until(lambda: stream.facts().width == 128)
        assert not watcher.ends
        client.close()


async def test_a_codec_that_is_not_taken_is_refused_and_said() -> None:
    async with rtmp_server(codecs=("h264",)) as (served, rtmp):
        client = await publishing(rtmp.port)
        client.video(0, b"\x90hvc1" + bytes(23))
        status = await client.status()
        assert status["code"] == "NetStream.Publish.Rejected"
        assert status["description"] == "HEVC video is not taken here: set the encoder to H264"
        assert await client.gone()
        assert stream_of(served).state != "live"


async def test_sound_that_is_not_taken_leaves_the_picture_alone() -> None:
    async with rtmp_server() as (served, rtmp):
        stream, watcher = stream_of(served), Watcher()
        client = await publishing(rtmp.port)
        await stream.add_viewer(watcher)
        for at in range(3):
            client.audio(at * 23, b"\x2f" + bytes(400))  # MP3
        client.audio(80, b"\xaf\x00\xff\xff")  # an AAC config that is none
        client.audio(90, b"\xaf\x01" + bytes(50))
        await send(client, 30)
        await until(lambda: len(watcher.frames) > 10)
        publisher = stream.facts().publisher
        assert publisher is not None
        assert publisher.audio == "aac (not taken)"
        assert not watcher.sounds
        client.close()


async def test_a_second_audio_track_leaves_the_first_alone() -> None:
    """As OBS sends them: enhanced RTMP's version 2."""
    config, frames = aac(Clicks(1.0, (0.5,)), 48_000, "stereo")
    async with rtmp_server() as (served, rtmp):
        stream, watcher = stream_of(served), Watcher()
        client = await publishing(rtmp.port)
        await stream.add_viewer(watcher)
        for head in (b"\xaf\x00", b"\x95\x00mp4a\x01"):
            client.audio(0, head + config)
        waiting = list(frames)
        for time_ms, payload in avc_tags(list(islice(endless((96, 64)), 30)), 0):
            client.video(time_ms, payload)
            while waiting and waiting[0][1] * 1000 <= time_ms:
                data, at_s = waiting.pop(0)
                for head in (b"\xaf\x01", b"\x95\x01mp4a\x01"):
                    client.audio(round(at_s * 1000), head + data)
            await client.writer.drain()
            await asyncio.sleep(0.01)
        await until(lambda: len(watcher.sounds) > 20 and len(watcher.frames) > 10)
        publisher = stream.facts().publisher
        assert publisher is not None
        assert publisher.audio == "aac, further tracks (not taken)"
        client.close()


async def test_a_player_begins_with_a_keyframe_and_is_told_the_end() -> None:
    async with rtmp_server() as (served, rtmp):
        stream = stream_of(served)
        caster = await Caster(stream).publish()
        player = await Client.open(rtmp.port)
        await player.connect()
        assert (await player.play())["code"] == "NetStream.Play.Start"
        media = await player.watch(12)
        config, key = media[0], media[1]
        assert config.payload[:6] == b"\x17\x00\x00\x00\x00\x01"
        assert key.payload[:2] == b"\x17\x01"
        assert key.timestamp == 0
        times = [message.timestamp for message in media]
        assert times == sorted(times)
        assert stream.viewers == 1
        caster.stop()
        stream.unpublish(caster, "ended", "the publisher left")
        said = [await player.status(), await player.status()]
        assert [status["code"] for status in said] == [
            "NetStream.Play.UnpublishNotify",
            "NetStream.Play.Stop",
        ]
        assert await player.gone()


async def test_a_player_of_nothing_is_told_so() -> None:
    async with rtmp_server() as (_, rtmp):
        for name, words in (("cam", "nobody publishes to cam"), ("other", "there is no stream 'other'")):
            player = await Client.open(rtmp.port)
            await player.connect()
            status = await player.play(name)
            assert status["code"] == "NetStream.Play.StreamNotFound"
            assert words in status["description"]
            assert await player.gone()


async def test_a_view_key_is_asked_for() -> None:
    async with rtmp_server() as (served, rtmp):
        stream = await served.stream("cam", view_key="only-for-friends")
        caster = await Caster(stream).publish()
        for name, code in (
            ("cam", "NetStream.Play.StreamNotFound"),
            ("cam?key=wrong", "NetStream.Play.StreamNotFound"),
            ("cam?key=only-for-friends", "NetStream.Play.Start"),
        ):
            player = await Client.open(rtmp.port)
            await player.connect()
            assert (await player.play(name))["code"] == code
            player.close()
        caster.stop()


async def test_a_player_that_hangs_up_is_no_viewer_any_more() -> None:
    async with rtmp_server() as (served, rtmp):
        stream = stream_of(served)
        caster = await Caster(stream).publish()
        player = await Client.open(rtmp.port)
        await player.connect()
        await player.play()
        await until(lambda: stream.viewers == 1)
        player.close()
        await until(lambda: stream.viewers == 0)
        caster.stop()


async def test_the_server_says_that_it_stops() -> None:
    async with rtmp_server() as (served, rtmp):
        publisher = await publishing(rtmp.port)
        idle = await Client.open(rtmp.port)
        await rtmp.close()
        assert "the server stops" in (await publisher.status())["description"]
        assert await publisher.gone()
        assert await idle.gone()
        assert stream_of(served).state in ("waiting", "idle")
