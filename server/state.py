"""What every request handler reaches: the parts of one running server. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gpu.cuda.report import GpuMachine
from gpu.media import Media
from server.config import Config
from server.jobs.runner import Runner
from server.kept.kept import Kept
from server.loop_delay import LoopDelay
from server.metrics import Metrics
from server.places import Places
from server.sessions import Sessions
from server.srt.ingests import SrtIngests
from server.streams.rtc_sessions import RtcSessions
from server.streams.streams import Streams
from server.uploads.films import Films
from server.workers import Workers


@dataclass(frozen=True, slots=True)
class ServerState:
    config: Config
    version: str
    metrics: Metrics
    workers: Workers
    sessions: Sessions
    loop_delay: LoopDelay
    gpus: GpuMachine  # what was found at start
    media: Media
    kept: Kept | None  # None: this server keeps nothing, see its log
    films: Films | None
    jobs: Runner | None
    places: Places  # of sessions and streams together
    streams: Streams
    srt: SrtIngests
    rtc: RtcSessions  # of WHIP and WHEP


STATE = web.AppKey("relens", ServerState)
