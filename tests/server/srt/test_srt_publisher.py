"""What a child says of sound: taken, left out, taken again; the pictures go on."""

from __future__ import annotations

import asyncio

from server.push.wire import KEYFRAME, Message, Say
from server.srt.publisher import SrtPublisher
from tests.server.streams.stream_parts import FPS, Watcher, clip, server, until

GOOD, BAD = bytes.fromhex("1190"), b"\xff\xff"  # AudioSpecificConfig: 48 kHz stereo; none


async def test_sound_that_is_not_taken_is_in_the_facts_and_ends_nothing() -> None:
    async with server() as parts:
        stream, watcher = await parts.stream(), Watcher()
        ends: list[str] = []
        publisher = SrtPublisher(stream, "h264", "aac", lambda code, _: ends.append(code))
        await stream.publish(publisher, "h264")
        publisher.flow()
        await stream.add_viewer(watcher)
        shown = [publisher.facts().audio]
        for said in (
            Message(Say.CONFIG, 0, 0, BAD),
            Message(Say.AUDIO, 0, 0, bytes(50)),
            Message(Say.CONFIG, 0, 0, GOOD),
            Message(Say.NO_SOUND, 0, 0, b"it has no heads"),
            Message(Say.CONFIG, 0, 0, GOOD),
        ):
            publisher.take(said)
            shown.append(publisher.facts().audio)
        left_out = "aac (not taken)"
        assert shown == ["aac", left_out, left_out, "aac", left_out, "aac"]
        for frame in clip(frames=90):
            if len(watcher.frames) > 5:
                break
            await asyncio.sleep(1 / FPS)
            publisher.take(Message(Say.VIDEO, KEYFRAME if frame.is_keyframe else 0, frame.pts, frame.data))
        await until(lambda: len(watcher.frames) > 5)
        assert not ends
        publisher.close()
        stream.unpublish(publisher, "ended", "the test is over")
