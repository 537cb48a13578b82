"""What is said of a session comes from its pipeline, its peer and its own clock."""

from __future__ import annotations

from gpu.models.registry import load_model
from gpu.stats import PipelineStats, StageTime
from server.config import load_config
from server.peer import PeerConfig, PeerStats
from server.places import RETRY_AFTER_S
from server.serve import LOOPBACK
from server.session_parts import peer_config
from server.session_stats import SessionMeter


def peer_stats(**known: object) -> PeerStats:
    zeros = {name: 0 for name in PeerStats.__dataclass_fields__}
    return PeerStats(**{**zeros, "codec_in": "vp8", "codec_out": "vp8", **known})  # type: ignore[arg-type]


def test_message_has_the_measured_numbers() -> None:
    meter = SessionMeter()
    for ms in range(1, 101):
        meter.frame_out(ms / 1e3)
    pipeline = PipelineStats(
        width=640, height=480, fps_in=24.0, fps_out=23.0, dropped=1, stages={"edit": StageTime(12.0, 15.0)}
    )
    peer = peer_stats(bitrate_out_bps=1_000, frames_dropped=2, frames_unsent=3)
    stats = meter.message(load_model("passthrough"), pipeline, peer, -1, 12.34)
    assert (stats.fps_in, stats.fps_out, stats.width, stats.height) == (24.0, 23.0, 640, 480)
    assert (stats.bitrate_bps, stats.dropped, stats.codec, stats.revision) == (1_000, 6, "vp8", 0)
    assert (stats.edit.p50_ms, stats.edit.p95_ms, stats.decode.p50_ms) == (12.0, 15.0, 0.0)
    assert 50 <= stats.latency.p50_ms <= 52
    assert 95 <= stats.latency.p95_ms <= 97


def test_latency_without_frames_is_zero() -> None:
    assert SessionMeter().latency().p95_ms == 0


def test_peer_is_configured_from_the_settings() -> None:
    config = load_config(flags={"connect_timeout_s": "3", "codecs": "vp8", "max_bitrate_bps": "5000000"})
    made = peer_config(config)
    assert made == PeerConfig(
        codecs=("vp8",), send_codecs=("vp8",), connect_timeout_s=3.0, max_bitrate_bps=5_000_000
    )
    assert RETRY_AFTER_S > 0
    assert config.host in LOOPBACK
