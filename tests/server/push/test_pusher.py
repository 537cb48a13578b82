"""Pushing to real and to bad platforms: what arrives, what is said, and that nobody else is disturbed."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from server.push.backlog import MOST_BYTES
from server.push.pushers import Pushers
from server.streams.types import Target
from tests.server import lip_sync
from tests.server.push.feeds import QUICK, LiveFeed, pushed, until
from tests.server.push.platforms import (
    FFMPEG,
    accepted,
    closes_at_once,
    free_port,
    platform,
    reads_nothing,
    rtmp_receiver,
    says_no,
    silent,
)

pytestmark = pytest.mark.realtime
needs_ffmpeg = pytest.mark.skipif(not FFMPEG, reason="needs FFmpeg's command line")


@needs_ffmpeg
@pytest.mark.slow
async def test_pictures_and_sound_arrive_together(tmp_path: Path) -> None:
    port = free_port()
    async with rtmp_receiver(port, tmp_path / "got.flv") as receiver:
        async with pushed(f"rtmp://127.0.0.1:{port}/live/geheimnis") as (pushers, _):
            await until(pushers, lambda facts: facts.state == "pushing")
            await receiver.wrote(1)
            await asyncio.sleep(4)
            facts = pushers.facts()[0]
            assert facts.bitrate_bps > 10_000
            assert "geheimnis" not in repr(facts)
            assert "geheimnis" not in command_line(pushers.running[0].pid)
            assert not sys.platform.startswith("linux") or "Seccomp:\t2" in status(pushers.running[0].pid)
        await receiver.ended()
    apart = lip_sync.recorded(tmp_path / "got.flv")
    assert len(apart) >= 2
    assert max(map(abs, apart)) <= 0.02, apart


@needs_ffmpeg
@pytest.mark.slow
async def test_it_comes_back_where_the_platform_does(tmp_path: Path) -> None:
    port = free_port()
    async with pushed(f"rtmp://127.0.0.1:{port}/live/geheimnis") as (pushers, _):
        facts = await until(pushers, lambda facts: facts.state == "backing-off")
        assert "connection refused" in facts.message
        for number in (1, 2):
            async with rtmp_receiver(port, tmp_path / f"got{number}.flv") as receiver:
                await until(pushers, lambda facts: facts.state == "pushing")
                await receiver.wrote(20_000)
            facts = await until(pushers, lambda facts: facts.state == "backing-off")
    assert facts.retries >= 2
    assert "closed the connection" in facts.message or "broke off" in facts.message


async def test_a_platform_that_refuses_is_quoted_without_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with platform(says_no) as port, pushed(f"rtmp://127.0.0.1:{port}/live/geheimnis") as (pushers, _):
        facts = await until(pushers, lambda facts: facts.state == "refused")
        assert "no such key: …" in facts.message
        assert "Check the target's URL and key" in facts.message
        await until(pushers, lambda facts: facts.retries >= 2)  # the key may be made valid meanwhile
    assert "geheimnis" not in caplog.text


async def test_one_that_closes_soon_is_said_to_dislike_the_key() -> None:
    async with platform(closes_at_once) as port, pushed(f"rtmp://127.0.0.1:{port}/a/key1") as (pushers, _):
        facts = await until(pushers, lambda facts: facts.state == "backing-off")
        assert "check the key" in facts.message


async def test_a_silent_platform_blocks_nobody() -> None:
    """libav holds Python's lock while it connects: in the child, which is ended."""
    async with platform(silent) as quiet, platform(accepted_and_read) as good:
        urls = (f"rtmp://127.0.0.1:{quiet}/live/key1", f"rtmp://127.0.0.1:{good}/live/key2")
        async with pushed(*urls) as (pushers, _):
            late_s = 0.0
            loop = asyncio.get_running_loop()
            while pushers.facts()[0].state == "connecting":
                began_s = loop.time()
                await asyncio.sleep(0.01)
                late_s = max(late_s, loop.time() - began_s)
            assert "does not answer" in pushers.facts()[0].message
            assert pushers.facts()[1].state == "pushing"
            assert late_s < 3.0


async def test_one_that_reads_nothing_is_given_up_and_nothing_grows() -> None:
    feed = LiveFeed(filler=400_000)
    async with platform(reads_nothing) as port:
        url = f"rtmp://127.0.0.1:{port}/live/key1"
        async with pushed(url, feed=feed) as (pushers, _):
            await until(pushers, lambda facts: facts.state == "pushing")
            most = dropped = 0
            while (facts := pushers.facts()[0]).state == "pushing":
                dropped = max(dropped, pushers.running[0].dropped)
                most = max(most, pushers.running[0].waiting_bytes)
                await asyncio.sleep(0.02)
            assert "takes nothing any more" in facts.message
            assert dropped > 0
            assert most < MOST_BYTES + 2 * 400_000
            assert feed.keyframes_wanted <= 3  # others pay for keyframes: none while it reads nothing


async def test_a_child_that_is_killed_is_replaced() -> None:
    async with platform(accepted_and_read) as port:
        async with pushed(f"rtmp://127.0.0.1:{port}/live/key1") as (pushers, _):
            await until(pushers, lambda facts: facts.state == "pushing")
            pid = pushers.running[0].pid
            os.kill(pid, signal.SIGKILL)
            await until(pushers, lambda facts: facts.retries == 1)
            await until(pushers, lambda facts: facts.state == "pushing")
            assert pushers.running[0].pid not in (0, pid)
        assert not command_line(pid)


async def test_targets_follow_the_settings() -> None:
    async with platform(accepted_and_read) as port, LiveFeed() as feed:
        first, second = (
            Target(name=name, url=f"rtmp://127.0.0.1:{port}/live/{name}") for name in ("one1", "two2")
        )
        pushers = Pushers(feed, QUICK)
        pushers.show([first, second])
        pushers.sync([first])
        await until(pushers, lambda facts: facts.state == "pushing")
        assert [facts.state for facts in pushers.facts()] == ["pushing", "off"]
        pid = pushers.running[0].pid
        pushers.sync([first, second])
        assert pushers.running[0].pid == pid  # what stays is not disturbed
        pushers.sync([])
        assert [facts.state for facts in pushers.facts()] == ["off", "off"]
        await pushers.close()
        assert not feed.viewers
        assert not command_line(pid)


async def test_a_url_that_cannot_be_is_said_once_and_not_tried() -> None:
    async with pushed("ftp://host/geheimnis") as (pushers, feed):
        facts = await until(pushers, lambda facts: facts.state == "refused")
        assert "rtmp://" in facts.message
        assert not feed.viewers


async def accepted_and_read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await accepted(reader, writer)
    await silent(reader, writer)


_SERVER = """
import asyncio, sys
from server.push.process import MediaChild
async def main():
    child = MediaChild(lambda message: None, lambda: None)
    await child.start("server.push.child")
    print(child.pid, flush=True)
    await asyncio.sleep(60)
asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="prctl(2)")
def test_children_end_with_the_server() -> None:
    server = subprocess.Popen([sys.executable, "-c", _SERVER], stdout=subprocess.PIPE)
    try:
        assert server.stdout is not None
        pid = int(server.stdout.readline())
        assert "server.push.child" in command_line(pid)
    finally:
        server.kill()
        server.communicate()
    until_s = time.monotonic() + 20
    while command_line(pid):  # of one that nobody reaps yet it is empty
        assert time.monotonic() < until_s
        time.sleep(0.02)


def status(pid: int) -> str:
    return Path(f"/proc/{pid}/status").read_text()


def command_line(pid: int) -> str:
    """ "" of one that has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except FileNotFoundError:
        return ""
