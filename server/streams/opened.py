"""What a stream has only while it is open: its pipeline and what belongs to that. Knows no publisher."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace

from gpu.models.base import EditModel
from gpu.pipeline import Pipeline, PipelineConfig
from gpu.stats import PipelineStats
from gpu.types import Codec, Edit, Reading
from server.bridge import BridgeListener, LoopBridge
from server.config import Config
from server.kept.session_log import SessionLog
from server.metrics import Metrics
from server.places import Place, Places
from server.recording import Recording
from server.session_parts import close_bounded, open_pipeline, pipeline_config, put_edit
from server.session_stats import SessionMeter
from server.streams.types import StreamSettings
from server.workers import Workers

log = logging.getLogger(__name__)

OUT: Codec = "h264"  # what every viewer takes: browsers, players, platforms
STATS_S = 0.1  # that numbers are good for
ID_NAME_CHARS = 32  # of the stream's name in the id of its recording, which has 64
ID_BYTES = 4  # whoever has the id may read the edits, and when a stream went live is no secret


@dataclass(frozen=True, slots=True)
class Shared:
    """What all streams of a server have in common."""

    config: Config
    workers: Workers
    metrics: Metrics
    executor: Executor
    places: Places
    log_to: SessionLog | None
    viewer_room: Callable[[], bool]  # whether one more may watch
    keep_edit: Callable[[str, Edit], None]  # a stream's edit is another now


@dataclass(slots=True)
class Opened:
    """Made by `open_for`, ended by `close`."""

    pipeline: Pipeline
    model: EditModel
    bridge: LoopBridge
    recording: Recording
    place: Place
    executor: Executor
    meter: SessionMeter = field(default_factory=SessionMeter)
    _stats: PipelineStats = field(default_factory=PipelineStats)
    _stats_until_s: float = 0.0

    def put(self, edit: Edit) -> Reading:
        """In force from the next picture on, but for what is not understood and what steps back."""
        return put_edit(edit, self.model, self.pipeline, self.recording)

    def stats(self) -> PipelineStats:
        """As of a moment ago: all who follow a stream ask at once, and measuring takes half a millisecond."""
        now_s = time.monotonic()
        if now_s >= self._stats_until_s:
            self._stats, self._stats_until_s = self.pipeline.stats(), now_s + STATS_S
        return self._stats

    async def close(self, reason: str) -> None:
        """Bounded in time; the place is free afterwards, whatever happened."""
        self.bridge.close()
        shown = self.pipeline.stats()
        self.recording.end(reason, (shown.width, shown.height))
        try:
            closing = asyncio.get_running_loop().run_in_executor(self.executor, self.pipeline.close)
            await close_bounded(asyncio.shield(closing), "a stream's pipeline")
        finally:
            self.place.give_back()


async def open_for(
    shared: Shared, name: str, settings: StreamSettings, codec: Codec, listener: BridgeListener
) -> Opened:
    """Open a pipeline for what a publisher sends in `codec`.

    Raises CapacityError where there is no place, else as Workers.get and open_pipeline do."""
    place = await shared.places.take()
    bridge = LoopBridge(asyncio.get_running_loop(), listener)
    try:
        worker = await shared.workers.get(settings.model)
        pipeline = await open_pipeline(
            worker, config_for(shared.config, settings, codec), bridge, shared.executor,
            shared.config.open_timeout_s,
        )  # fmt: skip
    except BaseException:
        bridge.close()
        place.give_back()
        raise
    number = f"{time.time_ns() // 1_000_000}-{secrets.token_hex(ID_BYTES)}"
    recorded = f"stream-{name[:ID_NAME_CHARS]}-{number}"
    recording = Recording(shared.log_to, recorded)
    recording.begin(worker.model.spec.name)
    way = pipeline.path.words
    log.info("stream %s (%s): %s in, model %s: %s", name, recorded, codec, worker.model.spec.name, way)
    return Opened(pipeline, worker.model, bridge, recording, place, shared.executor)


def ceiling_bps(config: Config, settings: StreamSettings) -> int:
    """Of the edited video, where no viewer's network wants less."""
    return settings.bitrate_bps or config.max_bitrate_bps


def config_for(config: Config, settings: StreamSettings, codec: Codec) -> PipelineConfig:
    ceiling = ceiling_bps(config, settings)
    return replace(
        pipeline_config(config, codec, OUT),
        bitrate_bps=ceiling,
        min_bitrate_bps=min(config.min_bitrate_bps, ceiling),
        max_bitrate_bps=max(config.max_bitrate_bps, ceiling),
    )
