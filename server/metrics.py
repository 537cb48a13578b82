"""Everything Prometheus is told, in a registry of its own. Knows numbers, not where they come from."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Iterable
from typing import get_args

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from gpu.stats import PipelineStats
from server.streams.types import PublisherKind, StreamState, ViewerKind

LATENCY_BUCKETS_S = (0.005, 0.01, 0.02, 0.03, 0.04, 0.06, 0.08, 0.12, 0.2, 0.4, 1.0, 3.0)
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """Counters and histograms of the whole server. Loop thread only."""

    def __init__(self) -> None:
        registry = self.registry = CollectorRegistry()
        self._refreshers: list[Callable[[], None]] = []
        self.sessions = Gauge("relens_sessions", "Sessions by state", ["state"], registry=registry)
        self.connected_after = Histogram(
            "relens_session_connect_seconds", "From offer to connected", registry=registry
        )
        self.ended = Counter(
            "relens_sessions_ended", "Sessions ended, by reason", ["reason"], registry=registry
        )
        self.refused = Counter(
            "relens_sessions_refused", "Offers refused, by reason", ["reason"], registry=registry
        )
        self.frames_in = Counter("relens_frames_in", "Encoded frames received", registry=registry)
        self.frames_out = Counter("relens_frames_out", "Edited frames sent", registry=registry)
        self.frames_dropped = Counter(
            "relens_frames_dropped", "Frames dropped, by where", ["where"], registry=registry
        )
        self.added_latency = Histogram(
            "relens_added_latency_seconds",
            "From a frame's last packet in to its edited frame at the sender",
            buckets=LATENCY_BUCKETS_S,
            registry=registry,
        )
        self.stage_median = Histogram(
            "relens_stage_median_seconds",
            "Each second's median time in a stage, per session",
            ["stage"],
            buckets=(0.001, 0.0025, *LATENCY_BUCKETS_S),
            registry=registry,
        )
        self.fps = Histogram(
            "relens_session_fps",
            "Edited frames a second, per session and second",
            buckets=(1, 5, 10, 15, 20, 24, 25, 30, 60),
            registry=registry,
        )
        self.bitrate = Gauge(
            "relens_bitrate_bps", "Media over all sessions", ["direction"], registry=registry
        )
        self.messages = Counter(
            "relens_messages_rejected", "Data-channel messages, by why", ["why"], registry=registry
        )
        self.streams = Gauge("relens_streams", "Streams by state", ["state"], registry=registry)
        self.publishers = Gauge(
            "relens_stream_publishers", "Who publishes a stream, by protocol", ["kind"], registry=registry
        )
        self.viewers = Gauge(
            "relens_stream_viewers", "Who is sent a stream, by protocol", ["kind"], registry=registry
        )
        self.fanned_out = Counter(
            "relens_stream_frames_fanned_out",
            "Edited frames handed to viewers: each was encoded once",
            registry=registry,
        )
        self.publishers_ended = Counter(
            "relens_stream_publishers_ended", "Publishers gone, by reason", ["reason"], registry=registry
        )
        self.errors = Counter(
            "relens_errors", "Errors of streams and requests, by type", ["type"], registry=registry
        )
        self.kept = Gauge(
            "relens_kept", "1: films, streams and sessions are kept; 0: it is waited for", registry=registry
        )
        self.loop_delay = Gauge(
            "relens_loop_delay_seconds",
            "The event loop's delay over the last minute",
            ["quantile"],
            registry=registry,
        )

    def on_scrape(self, refresh: Callable[[], None]) -> None:
        """`refresh` is called before each rendering, to set what is only known when asked."""
        self._refreshers.append(refresh)

    def session_connected(self, after_s: float) -> None:
        self.connected_after.observe(after_s)

    def session_ended(self, reason: str) -> None:
        self.ended.labels(reason).inc()

    def session_refused(self, reason: str) -> None:
        self.refused.labels(reason).inc()

    def dropped(self, where: str, count: int) -> None:
        self.frames_dropped.labels(where).inc(count)

    def message_rejected(self, why: str) -> None:
        self.messages.labels(why).inc()

    def error(self, kind: str) -> None:
        self.errors.labels(kind).inc()

    def observe(self, stats: PipelineStats) -> None:
        """One session's second, or one stream's."""
        self.fps.observe(stats.fps_out)
        for stage in ("decode", "edit", "encode"):
            if stage in stats.stages and stats.stages[stage].p50_ms:
                self.stage_median.labels(stage).observe(stats.stages[stage].p50_ms / 1e3)

    def sessions_now(self, states: Iterable[str], known: Iterable[str]) -> None:
        """`states` of all sessions; `known` are those shown even at zero."""
        _count(self.sessions, states, known)

    def streams_now(self, states: Iterable[str], publishers: Iterable[str], viewers: Iterable[str]) -> None:
        """`states` of all streams, and the protocols of who publishes and who watches."""
        _count(self.streams, states, get_args(StreamState))
        _count(self.publishers, publishers, get_args(PublisherKind))
        _count(self.viewers, viewers, get_args(ViewerKind))

    def render(self) -> bytes:
        """The text exposition format."""
        for refresh in self._refreshers:
            refresh()
        return generate_latest(self.registry)


def _count(gauge: Gauge, labels: Iterable[str], known: Iterable[str]) -> None:
    """`known` are those shown even at zero."""
    counts = Tally(labels)
    for label in {*known, *counts}:
        gauge.labels(label).set(counts[label])
