"""A real SRT caller publishes a stream: with the right passphrase only, again and again, one at a time."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator

import pytest

from server.push import ffmpeg
from server.srt.ingests import SrtIngests
from server.srt.listen import SILENT_S
from server.srt.listener import SrtListener
from server.streams.stream import Stream
from server.streams.types import SrtIn
from tests.server import lip_sync
from tests.server.push.platforms import command_lines, free_port
from tests.server.srt.srt_caller import NULL_PACKET, caller, connection
from tests.server.srt.test_srt_packets import transport
from tests.server.streams.stream_parts import Caster, Server, Watcher, server, until

pytestmark = [
    pytest.mark.realtime,
    pytest.mark.skipif(bool(ffmpeg.find().why), reason="needs an FFmpeg with SRT"),
]
RIGHT, WRONG = "it's-right&long", "wrong-and-long"


@contextlib.asynccontextmanager
async def listening(
    silent_s: float = SILENT_S, **settings: object
) -> AsyncIterator[tuple[Server, Stream, SrtIngests, int]]:
    """A stream with a listener that FFmpeg has opened."""
    port = free_port(socket.SOCK_DGRAM)
    async with server(**{"linger_s": 5.0, **settings}) as parts:
        ingests = SrtIngests(parts.streams, "127.0.0.1", silent_s)
        try:
            stream = await parts.stream(srt=SrtIn(port=port, passphrase=RIGHT))
            yield parts, stream, ingests, port
        finally:
            await ingests.close()


async def published(
    stream: Stream, port: int, passphrase: str = RIGHT, sound: str = "aac"
) -> contextlib.AsyncExitStack:
    """Calls again where nobody listened yet."""
    stack = contextlib.AsyncExitStack()
    for _ in range(8):
        process = await stack.enter_async_context(caller(port, passphrase, sound=sound))
        while process.returncode is None and stream.state != "live":  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        if stream.state == "live":
            return stack
        await stack.aclose()
    raise AssertionError("nobody took the call")


def listener_of(ingests: SrtIngests) -> SrtListener:
    found = ingests.listener("live")
    assert found is not None
    return found


@pytest.mark.slow
async def test_pictures_and_sound_come_and_the_passphrase_is_not_shown() -> None:
    async with listening() as (_, stream, ingests, port):
        watcher = Watcher()
        async with await published(stream, port):
            shown = command_lines(listener_of(ingests).pid)
            assert any("concat" in line for line in shown)
            assert not any(RIGHT in line for line in shown)
            await stream.add_viewer(watcher)
            await until(lambda: len(watcher.frames) > 50 and len(watcher.sounds) > 160, 30)
            facts = stream.facts().publisher
            assert facts is not None
            assert (facts.kind, facts.codec, facts.audio) == ("srt", "h264", "aac")
            assert facts.bitrate_bps > 1000
            apart = await asyncio.to_thread(lip_sync.watched, watcher.frames, watcher.sounds)
            assert len(apart) >= 2
            assert max(map(abs, apart)) <= 0.02, apart
            times = [frame.pts for frame in watcher.frames]
            assert times == sorted(set(times))
        await until(lambda: stream.state == "waiting")
        async with await published(stream, port):  # the same viewer goes on
            count = len(watcher.frames)
            await until(lambda: len(watcher.frames) > count, 30)
            assert watcher.frames[-1].pts > times[-1]
    assert watcher.ends == [("going-away", "the server stops: connect again")]


@pytest.mark.parametrize(
    ("sound", "shown"),
    [("mp2", "mp2"), ("s302m", "smpte 302m"), pytest.param("truehd", "unknown", id="nameless")],
)
async def test_sound_that_is_not_taken_leaves_the_pictures_alone(sound: str, shown: str) -> None:
    """What FFmpeg cannot pass on at all, it is asked for without when the caller comes again."""
    async with listening() as (_, stream, _, port), await published(stream, port, sound=sound):
        assert stream.publisher is not None
        assert stream.publisher.facts().audio == f"{shown} (not taken)"
        watcher = Watcher()
        await stream.add_viewer(watcher)
        await until(lambda: len(watcher.frames) > 5)
        assert not watcher.sounds


async def test_what_is_no_mpeg_ts_is_not_taken() -> None:
    async with listening() as (_, stream, ingests, port):
        for _ in range(8):
            async with caller(port, RIGHT, "flv") as process:
                one = listener_of(ingests)
                while process.returncode is None and not one.problem:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            if one.problem:
                break
        assert "MPEG-TS" in one.problem
        assert stream.state == "idle"


async def test_a_wrong_passphrase_is_refused_and_the_next_caller_is_taken(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with listening() as (_, stream, _, port):
        noted = "wrong passphrase"
        for _ in range(8):  # until FFmpeg listens
            async with caller(port, WRONG) as process:
                async with asyncio.timeout(30):
                    assert await process.wait() != 0
            assert stream.state == "idle"
            if noted in caplog.text:
                break
        assert noted in caplog.text
        async with await published(stream, port):
            assert stream.state == "live"
    assert RIGHT not in caplog.text


async def test_a_killed_child_is_replaced_and_nothing_stays() -> None:
    async with listening() as (_, stream, ingests, port):
        async with await published(stream, port):
            pid = listener_of(ingests).pid
            os.kill(pid, signal.SIGKILL)
            await until(lambda: stream.state == "waiting")
        await until(lambda: listener_of(ingests).pid not in (0, pid))
        os.kill(listener_of(ingests).pid, signal.SIGKILL)  # before anybody called
        await until(lambda: "ended by itself" in ingests.problem("live"))
        async with await published(stream, port):
            assert listener_of(ingests).pid not in (0, pid)


async def test_who_says_nothing_does_not_hold_the_port(caplog: pytest.LogCaptureFixture) -> None:
    async with listening(silent_s=1.0) as (_, stream, ingests, port):
        async with connection(port, RIGHT):
            await until(lambda: "sent nothing within 1 s" in ingests.problem("live"))
            assert stream.state == "idle"
        async with connection(port, RIGHT) as sends:  # begins well, then its packets mean nothing
            sends.write(transport().read())
            await until(lambda: stream.state == "live")
            while stream.state == "live":
                sends.write(NULL_PACKET * 70)
                await asyncio.sleep(0.1)
        assert "stream live: its SRT publisher fell silent: no media within 1 s" in caplog.text
        assert "refused" not in caplog.text
        async with await published(stream, port):
            await asyncio.sleep(1.5)  # longer than who says nothing is borne
            assert stream.state == "live"


async def test_a_defect_ends_one_caller_and_not_the_listening(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with listening() as (_, stream, ingests, port):

        async def broken(*_: object, **__: object) -> None:
            raise RuntimeError("a defect of the tests")

        with monkeypatch.context() as patch:
            patch.setattr(Stream, "publish", broken)
            async with contextlib.AsyncExitStack() as stack:
                for _ in range(8):
                    if "a defect of relens" in ingests.problem("live"):
                        break
                    process = await stack.enter_async_context(caller(port, RIGHT))
                    while process.returncode is None and not ingests.problem("live"):  # noqa: ASYNC110
                        await asyncio.sleep(0.02)
        assert "a defect of relens" in ingests.problem("live")
        assert "a defect of the tests" in caplog.text
        async with await published(stream, port):
            assert stream.state == "live"


async def test_who_publishes_already_is_not_disturbed() -> None:
    async with listening() as (_, stream, ingests, port):
        caster = await Caster(stream).publish()
        async with contextlib.AsyncExitStack() as stack:
            one = listener_of(ingests)
            first = 0
            for _ in range(8):
                await until(lambda: one.pid, what="a child")
                first = one.pid
                process = await stack.enter_async_context(caller(port, RIGHT))
                while process.returncode is None and one.pid == first:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
                if one.pid != first:
                    break
            assert one.pid != first  # it was refused, and somebody listens anew in a moment
            assert stream.publisher is caster
            assert not caster.ends
        caster.stop()


async def test_settings_begin_and_end_it_and_a_taken_port_is_said() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        async with server() as parts:
            ingests = SrtIngests(parts.streams, "127.0.0.1")
            await parts.stream(srt=SrtIn(port=port, passphrase=RIGHT))
            await until(lambda: listener_of(ingests).problem, 30)
            assert f"port {port} cannot be listened on" in ingests.problem("live")
            taken.close()
            await until(lambda: not ingests.problem("live"), 30)  # it listens again
            await parts.stream(srt=None)
            assert ingests.listener("live") is None
            await parts.stream(srt=SrtIn(port=free_port(socket.SOCK_DGRAM), passphrase=RIGHT))
            await until(lambda: ingests.listener("live"))  # once the one before is gone
            await parts.streams.delete("live")
            assert ingests.listener("live") is None
            await ingests.close()
