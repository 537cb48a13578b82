"""Streams with real frames and a real model: publishing, watching, taking over, ending."""

from __future__ import annotations

from tests.server.streams.stream_parts import Caster, Watcher, server, until


async def test_many_viewers_get_the_same_frames() -> None:
    async with server() as served:
        stream = await served.stream()
        caster = await Caster(stream).publish()
        viewers = [Watcher() for _ in range(4)]
        for viewer in viewers:
            await stream.add_viewer(viewer)
        await until(lambda: all(len(viewer.frames) > 10 for viewer in viewers))
        caster.stop()
        for viewer in viewers:
            assert viewer.frames[0].is_keyframe
        newest = {id(viewer.frames[-1]) for viewer in viewers}
        assert len(newest) == 1, "a frame was copied"
