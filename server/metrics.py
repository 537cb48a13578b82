"""Everything Prometheus is told, in a registry of its own. Knows numbers, not where they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from server import protocol

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
        self.errors = Counter(
            "relens_errors", "Errors of streams and requests, by type", ["type"], registry=registry
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

    def observe(self, stats: protocol.Stats) -> None:
        """One session's second."""
        self.fps.observe(stats.fps_out)
        for stage, time_ in (("decode", stats.decode), ("edit", stats.edit), ("encode", stats.encode)):
            if time_.p50_ms:
                self.stage_median.labels(stage).observe(time_.p50_ms / 1e3)

    def sessions_now(self, states: Iterable[str], known: Iterable[str]) -> None:
        """`states` of all sessions; `known` are those shown even at zero."""
        counts = dict.fromkeys(known, 0)
        for state in states:
            counts[state] = counts.get(state, 0) + 1
        for state, count in counts.items():
            self.sessions.labels(state).set(count)

    def render(self) -> bytes:
        """The text exposition format."""
        for refresh in self._refreshers:
            refresh()
        return generate_latest(self.registry)
