"""Pushing by SRT, through FFmpeg where its build has it: real receivers, right and wrong passphrases."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from server.push import ffmpeg
from tests.server import lip_sync
from tests.server.push.feeds import Patience, pushed, until
from tests.server.push.platforms import command_lines, free_port, srt_receiver

RIGHT, WRONG = "richtig-und-lang", "falsch-und-lang!"
PATIENT = Patience(first_s=0.2, most_s=1.0, ending_s=1.0, tick_s=0.05)
needs_srt = pytest.mark.skipif(bool(ffmpeg.find().why), reason="needs an FFmpeg with SRT")


@needs_srt
@pytest.mark.realtime
@pytest.mark.slow
async def test_pictures_and_sound_arrive_together_and_the_passphrase_is_not_shown(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    url = f"srt://127.0.0.1:{port}?passphrase={RIGHT}&streamid=publish:geheimnis"
    async with srt_receiver(port, tmp_path / "got.ts", RIGHT) as receiver:
        async with pushed(url, patience=PATIENT) as (pushers, _):
            await until(pushers, lambda facts: facts.state == "pushing")
            shown = command_lines(pushers.running[0].pid)
            assert any(f"srt://127.0.0.1:{port}" in line for line in shown)
            assert not any(RIGHT in line or "geheimnis" in line for line in shown)
            await receiver.wrote(1)
            await asyncio.sleep(3)
        await asyncio.sleep(0.5)
    apart = lip_sync.recorded(tmp_path / "got.ts")
    assert len(apart) >= 2
    assert max(map(abs, apart)) <= 0.02, apart


@needs_srt
@pytest.mark.realtime
async def test_a_wrong_passphrase_is_said_to_be_one(tmp_path: Path) -> None:
    port = free_port(socket.SOCK_DGRAM)
    async with srt_receiver(port, tmp_path / "got.ts", RIGHT):
        url = f"srt://127.0.0.1:{port}?passphrase={WRONG}"
        async with pushed(url, patience=PATIENT) as (pushers, _):
            facts = await until(pushers, lambda facts: facts.state == "refused")
            assert "does not take the passphrase" in facts.message
            assert WRONG not in facts.message


async def test_without_ffmpeg_the_message_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    async with pushed("srt://127.0.0.1:9", patience=PATIENT) as (pushers, _):
        facts = await until(pushers, lambda facts: facts.state == "refused")
    assert "there is no ffmpeg" in facts.message
    assert "MediaMTX" in facts.message


def test_an_ffmpeg_without_srt_is_told_from_one_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho ffmpeg version 9.9 rtmp srtp\n")
    (tmp_path / "ffmpeg").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ffmpeg.find().why == "ffmpeg 9.9 was built without SRT"
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho ffmpeg version 9.9 rtmp srt\n")
    assert ffmpeg.find() == ffmpeg.Ffmpeg(str(tmp_path / "ffmpeg"), "9.9")
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\nexit 1\n")
    assert "does not run" in ffmpeg.find().why
