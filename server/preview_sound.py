"""A film's sound on its way to who watches its preview: encoded, and gone at once where the film jumps.

Knows neither the film nor the peer. It is told on the film's thread, and tells on the loop's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable

from server.peer import EncodedAudio
from server.sound import PcmToOpus


class PreviewSound:
    """A `gpu.film.play_sound.SoundSink`. Made on the loop's thread, which calls all but those two."""

    def __init__(self, on_packet: Callable[[EncodedAudio], None], on_silent: Callable[[str], None]) -> None:
        """`on_packet`: in order; `on_silent`: once, why nothing comes any more."""
        self._loop = asyncio.get_running_loop()
        self._on_packet, self._on_silent = on_packet, on_silent
        self._since_ns = 0
        self._closed = False
        self._opus = PcmToOpus(self._packet)

    @property
    def dropped(self) -> int:
        return self._opus.dropped

    def hear(self, block: bytes, pts: int, now_ns: int) -> None:
        self._opus.push(block, pts, now_ns)

    def fall_silent(self, why: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: there is nobody left to tell
            self._loop.call_soon_threadsafe(self._silent, why)

    def hush(self) -> None:
        """What was due until now is not heard any more."""
        self._since_ns = time.monotonic_ns()

    def close(self) -> None:
        """Idempotent; nothing is told from now on."""
        self._closed = True
        self._opus.close()

    def _packet(self, packet: EncodedAudio) -> None:
        if packet.arrived_ns >= self._since_ns:
            self._on_packet(packet)

    def _silent(self, why: str) -> None:
        if not self._closed:
            self._on_silent(why)
