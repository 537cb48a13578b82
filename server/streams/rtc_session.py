"""One WHIP or WHEP session: a Peer from its offer to its end. Knows no HTTP; who feeds or watches is said by
its heirs."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable

from gpu.types import EncodedFrame
from server.peer import EncodedAudio, Peer, PeerConfig, PeerState
from server.session_parts import close_bounded

log = logging.getLogger(__name__)

ID_BYTES = 18  # 144 bits: whoever knows a session's URL may end it (RFC 9725 §5)


class RtcSession:
    """Ends once, for one reason, and tells `on_closed` when nothing of it is left. Loop thread only."""

    def __init__(self, name: str, config: PeerConfig) -> None:
        """`name` of the stream."""
        self.id = secrets.token_urlsafe(ID_BYTES)
        self.name = name
        self.etag = ""  # of the ICE generation in force
        self.on_closed: Callable[[RtcSession], None] = lambda _: None
        self.started_s = time.monotonic()
        self._peer = Peer(config, self)
        self._connected = False
        self._closer: asyncio.Task[None] | None = None

    @property
    def ending(self) -> bool:
        return self._closer is not None

    @property
    def connecting(self) -> bool:
        """Not connected yet, and not given up."""
        return not self._connected and not self.ending

    def is_(self, name: str, kind: type[RtcSession]) -> bool:
        """Whether it is of this stream and this kind."""
        return self.name == name and isinstance(self, kind)

    async def patch(self, fragment: str) -> str | None:
        """Candidates, or an ICE restart -> our side of it, a fragment. Raises ProtocolError."""
        return await self._peer.patch(fragment)

    def end(self, code: str, message: str) -> None:
        """Begin to end; later reasons are not heard."""
        if self._closer is None:
            self._closer = asyncio.get_running_loop().create_task(
                self._close(code, message), name=f"close-{self.id[:6]}"
            )

    async def ended(self) -> None:
        """Nothing is left of it after this; to be called after `end`."""
        if self._closer is not None:
            await asyncio.shield(self._closer)

    def _leave(self, code: str, message: str) -> None:
        """Tell the stream that this one is gone; may be called for one that never came."""
        raise NotImplementedError

    async def _close(self, code: str, message: str) -> None:
        age_s = time.monotonic() - self.started_s
        log.info("%s of %s ends after %.1f s: %s (%s)", self.id[:6], self.name, age_s, message, code)
        try:
            self._leave(code, message)
            await close_bounded(self._peer.close(), f"{self.id[:6]} of {self.name}: its peer")
        finally:
            self.on_closed(self)

    # -- PeerListener

    def on_video(self, frame: EncodedFrame) -> None:
        """Of those who feed."""

    def on_audio(self, packet: EncodedAudio) -> None:
        """Of those who feed."""

    def on_message(self, data: str | bytes) -> None:
        """Neither WHIP nor WHEP has messages."""

    def on_keyframe_needed(self) -> None:
        """Of those who watch."""

    def on_bitrate(self, bps: int) -> None:
        """Of those who watch."""

    def on_state(self, state: PeerState) -> None:
        match state:
            case PeerState.CONNECTED:
                self._connected = True
            case PeerState.FAILED if not self._connected:
                self.end("never-connected", "no network path was found in time")
            case PeerState.FAILED:
                self.end("peer-lost", "the network path is gone")
            case PeerState.CLOSED:
                self.end("peer-closed", "the other side closed the connection")
