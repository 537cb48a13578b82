"""States, settings, opening and closing of a session's parts. Knows no session."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from concurrent.futures import Executor
from enum import Enum

from gpu.codec.base import DECODES, ENCODES
from gpu.errors import DeviceError
from gpu.models.base import EditModel
from gpu.pipeline import Pipeline, PipelineConfig, PipelineSink
from gpu.types import Codec, Edit, Reading
from gpu.worker import Worker
from server.config import Config
from server.peer import PeerConfig
from server.recording import Recording

log = logging.getLogger(__name__)

CLOSE_TIMEOUT_S = 5.0


class SessionState(Enum):
    """CONNECTING until the peer is connected, OPEN while media flows, CLOSING while parts end."""

    CONNECTING = "connecting"
    OPEN = "open"
    CLOSING = "closing"
    CLOSED = "closed"


def peer_config(
    config: Config, decodes: tuple[Codec, ...] = DECODES, encodes: tuple[Codec, ...] = ENCODES
) -> PeerConfig:
    """`decodes` and `encodes`: what the machine can do of what the settings allow."""
    return PeerConfig(
        ice_servers=config.ice_servers,
        codecs=tuple(codec for codec in config.video_codecs if codec in decodes),
        send_codecs=tuple(codec for codec in config.video_codecs if codec in encodes),
        connect_timeout_s=config.connect_timeout_s,
        idle_timeout_s=config.lost_s,
        min_bitrate_bps=config.min_bitrate_bps,
        start_bitrate_bps=config.start_bitrate_bps,
        max_bitrate_bps=config.max_bitrate_bps,
    )


def pipeline_config(config: Config, codec_in: Codec, codec_out: Codec) -> PipelineConfig:
    """What the peer sends and what it gets back are often one codec, and need not be."""
    return PipelineConfig(
        codec_in=codec_in,
        codec_out=codec_out,
        bitrate_bps=config.start_bitrate_bps,
        min_bitrate_bps=config.min_bitrate_bps,
        max_bitrate_bps=config.max_bitrate_bps,
        max_fps=config.max_fps,
    )


async def open_pipeline(
    worker: Worker, config: PipelineConfig, sink: PipelineSink, executor: Executor, timeout_s: float
) -> Pipeline:
    """Open a stream without holding up the loop: a model may compile for it.

    Raises DeviceError when it takes longer than `timeout_s`, and what Worker.open raises. A stream that
    opens after its time, or after the wait was cancelled, is closed."""
    opening = asyncio.get_running_loop().run_in_executor(executor, worker.open, config, sink)

    def close_late(done: asyncio.Future[Pipeline]) -> None:
        if not done.cancelled() and done.exception() is None:
            executor.submit(done.result().close)

    try:
        async with asyncio.timeout(timeout_s):  # Python 3.11's wait_for may swallow a cancellation
            return await asyncio.shield(opening)
    except TimeoutError as error:
        opening.add_done_callback(close_late)
        raise DeviceError(
            f"the model did not open a stream within {timeout_s:g} s: the machine is overloaded; "
            "try again or raise open_timeout_s"
        ) from error
    except asyncio.CancelledError:
        opening.add_done_callback(close_late)
        raise


def put_edit(edit: Edit, model: EditModel, pipeline: Pipeline, recording: Recording) -> Reading:
    """Put it in force, and write it down, but for what is not understood and what steps back."""
    reading = model.read(edit.prompt)
    # What is not understood must not be applied: the picture keeps the edit in force. What steps back comes
    # as the edit that it steps back to.
    if not reading.understood or reading.steps_back:
        return reading
    recording.asked(edit)
    return pipeline.set_edit(edit)


async def close_bounded(closing: Awaitable[None], what: str) -> None:
    """Wait for a part to close, at most CLOSE_TIMEOUT_S; never raises but when cancelled."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT_S):
            await closing
    except TimeoutError:
        log.error("%s did not close within %.0f s", what, CLOSE_TIMEOUT_S)
    except Exception:  # a part that fails to close must not keep the others from it
        log.exception("%s failed to close", what)
