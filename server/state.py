"""What every request handler reaches: the parts of one running server. Holds them, does nothing."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from gpu.cuda.report import GpuMachine
from gpu.media import Media
from server.config import Config
from server.film_work import FilmWork
from server.jobs.runner import Runner
from server.keeping import Keeping
from server.kept.kept import Kept
from server.kept.session_log import SessionLog
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
    keeping: Keeping
    film_work: FilmWork
    session_log: SessionLog
    places: Places  # of sessions and streams together
    streams: Streams
    srt: SrtIngests
    rtc: RtcSessions  # of WHIP and WHEP

    # What stands on what is kept comes once that is there: None until then, and `keeping` says why.

    @property
    def kept(self) -> Kept | None:
        return self.keeping.kept

    @property
    def films(self) -> Films | None:
        return self.film_work.films

    @property
    def jobs(self) -> Runner | None:
        return self.film_work.jobs


STATE = web.AppKey("relens", ServerState)
