"""All WHIP and WHEP sessions by their ids, and how fast an address may open more. Knows no HTTP."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from server.errors import TooMany
from server.rate import TokenBucket

from .rtc_session import RtcSession

CALLS_PER_S, CALLS_AT_ONCE = 10.0, 100  # a room of viewers behind one address may come at once
MAX_ADDRESSES = 4096  # remembered; the one that was silent for longest is forgotten
CLOSE_WAIT_S = 10.0


class RtcSessions:
    """The registry. Loop thread only."""

    def __init__(self) -> None:
        self._sessions: dict[str, RtcSession] = {}
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._sessions)

    def let_in(self, address: str) -> None:
        """One request more of `address`. Raises TooMany (RFC 9725 §5: floods of POST, PATCH and DELETE)."""
        now_s = time.monotonic()
        bucket = self._buckets.pop(address, None) or TokenBucket(CALLS_PER_S, CALLS_AT_ONCE, now_s)
        self._buckets[address] = bucket
        if len(self._buckets) > MAX_ADDRESSES:
            self._buckets.popitem(last=False)
        if not bucket.take(now_s):
            raise TooMany("too many requests came from this address: try again in a moment", 1)

    def add(self, session: RtcSession) -> None:
        """Until it is closed."""
        session.on_closed = self._closed
        self._sessions[session.id] = session

    def _closed(self, session: RtcSession) -> None:
        self._sessions.pop(session.id, None)

    def get(self, name: str, session_id: str, kind: type[RtcSession]) -> RtcSession | None:
        """None when there is none of that stream and kind, or it is ending."""
        session = self._sessions.get(session_id)
        if session is None or session.ending or session.name != name or not isinstance(session, kind):
            return None
        return session

    async def close(self) -> None:
        """End all; returns when they are closed (each close is bounded in time)."""
        sessions = list(self._sessions.values())
        for session in sessions:
            session.end("going-away", "the server stops: connect again")
        if sessions:
            await asyncio.wait(
                [asyncio.ensure_future(session.ended()) for session in sessions], timeout=CLOSE_WAIT_S
            )
