"""A player's side: records and lengths, sound made once for all, a slow network."""

from __future__ import annotations

import asyncio
import os
from itertools import pairwise

from gpu.types import EncodedFrame
from server.peer.payload.base import split_annex_b
from server.rtmp import messages
from server.rtmp.aac_fan import AacFan
from server.rtmp.chunks import Message
from server.rtmp.limits import RtmpLimits
from server.rtmp.nal import read_avc_record, to_annex_b, to_lengths
from server.sound.types import AacFrame
from tests.server.rtmp.rtmp_client import Client, rtmp_server
from tests.server.sound.sounds import Clicks, opus
from tests.server.streams.stream_parts import Caster, clip, until

BIG_BYTES = 200_000


def test_lengths_and_back_are_the_same_picture() -> None:
    for frame in clip(frames=31):
        data, record = to_lengths(frame.data)
        assert bool(record) == frame.is_keyframe
        if record:
            config = read_avc_record(record)
        back, is_keyframe = to_annex_b(config, data, False)
        assert list(split_annex_b(back)) == list(split_annex_b(frame.data))
        assert is_keyframe == frame.is_keyframe


def test_what_is_no_picture_has_no_record() -> None:
    assert to_lengths(b"") == (b"", b"")
    assert to_lengths(b"\0\0\1\x67\x42") == (b"", b"")
    assert to_lengths(b"\0\0\1\x09\xf0\0\0\1\x41abc") == (b"\0\0\0\x04\x41abc", b"")


async def test_sound_is_made_once_however_many_hear_it() -> None:
    fan = AacFan()
    heard: tuple[list[AacFrame], list[AacFrame]] = ([], [])
    leave = [fan.join(one.append) for one in heard]
    assert fan.config == b""
    for packet in opus(Clicks(0.6, (0.2,))):
        for _ in heard:  # each viewer is given each packet
            fan.push(packet)
    await until(lambda: len(heard[0]) > 20)
    assert heard[0] == heard[1]
    times = [frame.pts_48k for frame in heard[0]]
    assert all(b - a == 1024 for a, b in pairwise(times))
    assert len(fan.config) >= 2
    for one in leave:
        one()
        one()
    assert fan.config == b""


def behind(media: list[Message], big: int) -> list[Message]:
    """The pictures that came behind so many big ones."""
    places = [at for at, message in enumerate(media) if len(message.payload) > BIG_BYTES]
    rest = media[places[big - 1] + 1 :] if len(places) == big else []
    return [message for message in rest if message.kind == messages.VIDEO and message.payload[1] == 1]


async def test_a_slow_player_goes_on_with_a_keyframe() -> None:
    async with rtmp_server(RtmpLimits(send_bytes=30_000)) as (served, rtmp):
        stream = await served.stream("cam")
        caster = await Caster(stream).publish()
        player = await Client.open(rtmp.port)
        await player.connect()
        await player.play()
        await player.watch(3)
        (viewer,) = (peer._viewer for peer in rtmp._peers.values())
        assert viewer is not None
        player.writer.transport.pause_reading()  # type: ignore[attr-defined]
        noise = os.urandom(BIG_BYTES).replace(b"\0", b"\1")
        big = 0
        async with asyncio.timeout(10):
            while not viewer.dropped:  # what the system's own buffers take goes first
                viewer.send_video(EncodedFrame(b"\0\0\0\1\x41" + noise, 90_000, False))
                big += not viewer.dropped
                await asyncio.sleep(0.005)
        before = viewer.dropped
        await until(lambda: viewer.dropped > before + 5)
        player.writer.transport.resume_reading()  # type: ignore[attr-defined]
        async with asyncio.timeout(20):
            while not (fresh := behind(player.media, big)):
                await player.watch(len(player.media) + 1)
        assert fresh[0].payload[0] == 0x17, "a picture that refers to one that was dropped"
        caster.stop()
        player.close()
