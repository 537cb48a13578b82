"""All WHIP and WHEP sessions by their ids, and how fast an address may open more. Knows no HTTP."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict

from server.errors import TooMany
from server.rate import TokenBucket

from .rtc_session import RtcSession

CALLS_PER_S, CALLS_AT_ONCE = 10.0, 100  # a room of viewers behind one address may come at once
MAX_CONNECTING = 16  # of one address: who never connects takes places of viewers from others
MAX_ADDRESSES = 4096  # remembered; the one that was silent for longest is forgotten
MAX_LEFT = 1024  # ended by themselves, and remembered for the DELETE that may still come
CLOSE_WAIT_S = 10.0


class RtcSessions:
    """The registry. Loop thread only."""

    def __init__(self) -> None:
        self._sessions: dict[str, RtcSession] = {}
        self._addresses: dict[str, str] = {}  # who opened them
        self._buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self._deleted: set[str] = set()  # being closed because of a DELETE
        self._left: OrderedDict[str, tuple[str, type[RtcSession]]] = OrderedDict()  # stream and kind

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

    def add(self, session: RtcSession, address: str) -> None:
        """Until it is closed. Raises TooMany where too many of that address are not connected yet."""
        mine = [other for other, of in self._addresses.items() if of == address]
        if sum(self._sessions[other].connecting for other in mine) >= MAX_CONNECTING:
            raise TooMany(f"{MAX_CONNECTING} connections to this address are being made: wait for them", 2)
        session.on_closed = self._closed
        self._sessions[session.id] = session
        self._addresses[session.id] = address

    def _closed(self, session: RtcSession) -> None:
        self._sessions.pop(session.id, None)
        self._addresses.pop(session.id, None)
        if session.id not in self._deleted:
            self._left[session.id] = session.name, type(session)
            if len(self._left) > MAX_LEFT:
                self._left.popitem(last=False)

    def get(self, name: str, session_id: str, kind: type[RtcSession]) -> RtcSession | None:
        """None when there is none of that stream and kind, or it is ending."""
        session = self._sessions.get(session_id)
        return session if session is not None and not session.ending and session.is_(name, kind) else None

    async def delete(self, name: str, session_id: str, kind: type[RtcSession]) -> bool:
        """End one, to the last of it. True once for each, also where it ended by itself: OBS closes its
        connection first and sends DELETE then, and is to be told that all is well."""
        if self._left.get(session_id) == (name, kind):
            del self._left[session_id]
            return True
        session = self._sessions.get(session_id)
        if session is None or not session.is_(name, kind) or session_id in self._deleted:
            return False
        self._deleted.add(session_id)
        try:
            session.end("deleted", "the client ended it")
            await session.ended()
        finally:
            self._deleted.discard(session_id)
        return True

    async def close(self) -> None:
        """End all; returns when they are closed (each close is bounded in time)."""
        sessions = list(self._sessions.values())
        for session in sessions:
            session.end("going-away", "the server stops: connect again")
        if sessions:
            await asyncio.wait(
                [asyncio.ensure_future(session.ended()) for session in sessions], timeout=CLOSE_WAIT_S
            )
