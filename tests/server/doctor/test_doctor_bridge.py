"""What the doctor says of RTMP and SRT: what is there, and what to do where it is not."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from server.config import Config
from server.doctor import bridge


def test_a_child_is_started_and_its_barriers_are_told() -> None:
    finding = bridge.push()
    assert finding.ok
    assert "RLIMIT_AS" in finding.detail


def test_a_taken_rtmp_port_is_told_and_not_needed() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        (finding,) = bridge.rtmp_port(Config(rtmp_port=port))
        assert not finding.ok
        assert not finding.needed
        assert "rtmp_port" in finding.remedy
    (finding,) = bridge.rtmp_port(Config(rtmp_port=port))
    assert finding.ok
    assert bridge.rtmp_port(Config(rtmp_port=0)) == []


def test_without_ffmpeg_srt_is_absent_with_a_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = bridge.srt()
    assert not finding.ok
    assert not finding.needed
    assert "MediaMTX" in finding.remedy
    (tmp_path / "ffmpeg").write_text("#!/bin/sh\necho ffmpeg version 8.1 srt\n", encoding="utf-8")
    (tmp_path / "ffmpeg").chmod(0o755)
    assert bridge.srt().ok
