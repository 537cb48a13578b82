"""Opening and closing of a session's parts: bounded, and nothing is left without an owner."""

from __future__ import annotations

import asyncio

import pytest

from server import session_parts
from server.config import Config
from server.session_parts import close_bounded, pipeline_config


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


def test_the_codec_agreed_on_goes_both_ways() -> None:
    config = pipeline_config(Config(max_fps=24.0), "vp8")
    assert (config.codec_in, config.codec_out, config.max_fps) == ("vp8", "vp8", 24.0)
    assert config.min_bitrate_bps <= config.bitrate_bps <= config.max_bitrate_bps
