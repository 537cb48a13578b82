"""All sessions of this server: who may come in, and how all of them end. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

from gpu.errors import RelensError
from gpu.film.play import FilmPlayer
from gpu.types import Edit
from server.config import Config
from server.kept.session_log import SessionLog
from server.metrics import Metrics
from server.places import Place, Places
from server.session import Session
from server.session_parts import SessionState
from server.workers import Workers

log = logging.getLogger(__name__)

POLL_S = 0.05


class Sessions:
    """The registry. Loop thread only."""

    def __init__(
        self,
        config: Config,
        workers: Workers,
        metrics: Metrics,
        executor: ThreadPoolExecutor,
        places: Places,
        log_to: SessionLog | None = None,
    ) -> None:
        """`places`: shared with who else takes some. `log_to`: where sessions' edits are written down."""
        self._config = config
        self._workers = workers
        self._metrics = metrics
        self._executor = executor
        self._places = places
        self._log_to = log_to
        self._sessions: dict[str, Session] = {}
        metrics.on_scrape(self._refresh)

    def __len__(self) -> int:
        return len(self._sessions)

    @property
    def draining(self) -> bool:
        return self._places.draining

    def all(self) -> list[Session]:
        return list(self._sessions.values())

    def get(self, session_id: str) -> Session | None:
        """None when there is none, or it is ending."""
        session = self._sessions.get(session_id)
        return session if session is not None and session.state is not SessionState.CLOSING else None

    async def open(
        self, offer: str, model: str, first: Edit | None, film: FilmPlayer | None = None, address: str = ""
    ) -> tuple[Session, str]:
        """Admit a visitor: (session, answer SDP). `film`: see Session; it is closed with it, or at once.
        `address`: see Places.take.

        Raises CapacityError when full or draining, else what Session.open and Workers.get raise."""
        try:
            place = await self._places.take(address)
        except BaseException:
            if film is not None:
                self._executor.submit(film.close)
            raise
        encodes = self._workers.encodes(model, self._config.video_codecs)
        session = Session(
            secrets.token_urlsafe(16),
            self._config,
            self._metrics,
            self._executor,
            encodes,
            film,
            self._log_to,
        )
        place.leaving = lambda: session.state is SessionState.CLOSING
        place.stood_s, place.make_way = session.stood_s, session.make_way
        session.on_closed = lambda session: self._closed(session, place)
        self._sessions[session.id] = session
        try:
            answer = await session.open(offer, await self._workers.get(model), first)
        except RelensError as error:
            self._metrics.session_refused(getattr(error, "code", type(error).__name__))
            await session.end("refused", str(error))
            raise
        except BaseException:  # cancelled or broken: the place must not stay taken
            session.end("refused", "the request was cut short")
            raise
        return session, answer

    def _closed(self, session: Session, place: Place) -> None:
        self._sessions.pop(session.id, None)
        place.give_back()

    async def drain(self) -> None:
        """Let nobody in, tell everybody, wait up to `drain_s` for them to leave, then end who is left."""
        self._places.draining = True
        for session in self.all():
            session.warn_going_away()
        deadline_s = time.monotonic() + self._config.drain_s
        while len(self) and time.monotonic() < deadline_s:  # noqa: ASYNC110  # sessions end in many ways
            await asyncio.sleep(POLL_S)
        await self.close()

    async def close(self) -> None:
        """End every session; returns when all are closed (each close is bounded in time)."""
        self._places.draining = True
        ends = [session.end("going-away", "the server stops: connect again") for session in self.all()]
        if ends:
            await asyncio.wait(ends)

    def _refresh(self) -> None:
        sessions = self.all()
        known = [state.value for state in SessionState if state is not SessionState.CLOSED]
        self._metrics.sessions_now((session.state.value for session in sessions), known)
        facts = [session.facts() for session in sessions]
        self._metrics.bitrate.labels("in").set(sum(f.bitrate_in_bps for f in facts))
        self._metrics.bitrate.labels("out").set(sum(f.bitrate_out_bps for f in facts))
