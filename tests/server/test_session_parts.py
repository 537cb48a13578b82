"""Opening and closing of a session's parts: bounded, and nothing is left without an owner."""

from __future__ import annotations

import asyncio

import pytest

from server import session_parts
from server.config import Config
from server.session_parts import close_bounded, peer_config, pipeline_config


async def test_part_that_does_not_close_is_left_after_a_while(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(session_parts, "CLOSE_TIMEOUT_S", 0.05)
    await close_bounded(asyncio.sleep(60), "the part")
    assert "the part did not close" in caplog.text


async def test_part_that_fails_to_close_is_logged_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise RuntimeError("broken")

    await close_bounded(fails(), "the part")
    assert "the part failed to close" in caplog.text


def test_what_comes_and_what_goes_may_be_two_codecs() -> None:
    config = pipeline_config(Config(max_fps=24.0), "av1", "vp8")
    assert (config.codec_in, config.codec_out, config.max_fps) == ("av1", "vp8", 24.0)
    assert config.min_bitrate_bps <= config.bitrate_bps <= config.max_bitrate_bps


def test_a_peer_is_offered_what_the_settings_and_the_machine_have_in_common() -> None:
    made = peer_config(Config())
    assert (made.codecs[0], made.send_codecs) == ("h264", ("h264", "vp8"))
    assert set(made.codecs) == {"h264", "vp8", "hevc", "av1", "vp9"}
    made = peer_config(Config(codecs=("av1", "vp8", "hevc")), ("hevc", "vp8"), ("av1", "vp8"))
    assert (made.codecs, made.send_codecs) == (("vp8", "hevc"), ("av1", "vp8"))
