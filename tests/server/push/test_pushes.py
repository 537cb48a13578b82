"""A live stream's own targets: from its settings to a real receiver, and back in its facts."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from server.push.pushes import Pushes
from server.streams.types import Target
from tests.server.push.feeds import QUICK
from tests.server.push.platforms import FFMPEG, free_port, rtmp_receiver
from tests.server.streams.stream_parts import Caster, server, until

pytestmark = [pytest.mark.realtime, pytest.mark.skipif(not FFMPEG, reason="needs FFmpeg's command line")]


async def test_a_stream_is_pushed_while_it_is_live(tmp_path: Path) -> None:
    port = free_port()
    url = f"rtmp://127.0.0.1:{port}/live/geheimnis"
    async with server() as parts:
        pushes = Pushes(parts.streams, QUICK)
        stream = await parts.stream(
            targets=(Target(name="here", url=url), Target(name="no", url=url, enabled=False))
        )
        assert [facts.state for facts in stream.facts().targets] == ["off", "off"]
        async with rtmp_receiver(port, tmp_path / "got.flv") as receiver:
            caster = await Caster(stream).publish()
            await until(lambda: stream.facts().targets[0].state == "pushing", 30)
            await receiver.wrote(10_000)
            assert [facts.state for facts in stream.facts().targets] == ["pushing", "off"]
            assert stream.viewer_kinds() == ["push"]
            await parts.stream(targets=())
            assert stream.facts().targets == ()
            await receiver.ended()
        assert stream.viewer_kinds() == []
        await parts.stream(targets=(Target(name="gone", url=f"rtmp://127.0.0.1:{free_port()}/a/key1"),))
        await until(lambda: stream.facts().targets[0].state == "backing-off", 30)
        caster.stop()
        stream.unpublish(caster, "left", "it left")
        await until(lambda: stream.facts().targets[0].state == "off")
        await parts.streams.delete("live")
        await pushes.close()
        assert not [task for task in asyncio.all_tasks() if task.get_name().startswith("push")]
