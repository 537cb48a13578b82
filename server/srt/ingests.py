"""The SRT listeners of all streams: as their settings say. Knows no media."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from server.srt.listen import SILENT_S
from server.srt.listener import SrtListener
from server.streams.stream import Stream
from server.streams.streams import Streams


@dataclass(slots=True)
class _Followed:
    stream: Stream
    listener: SrtListener


class SrtIngests:
    """Made beside Streams, closed before it. Loop thread only."""

    def __init__(self, streams: Streams, host: str, silent_s: float = SILENT_S) -> None:
        """`host`: the address to listen on. `silent_s`: a caller that sends nothing for so long is gone."""
        self._streams, self._host, self._silent_s = streams, host, silent_s
        self._listening: dict[str, _Followed] = {}
        self._closing: dict[str, asyncio.Task[None]] = {}
        self._ended = False
        self._leave = streams.follow(self._changed)
        for stream in streams.all():
            self._changed(stream.name)

    def listener(self, name: str) -> SrtListener | None:
        """Of a stream that has one."""
        followed = self._listening.get(name)
        return followed.listener if followed is not None else None

    def problem(self, name: str) -> str:
        """Why nobody can publish to that stream by SRT now, in words; "" where it listens, or has no port."""
        listener = self.listener(name)
        return listener.problem if listener is not None else ""

    async def close(self) -> None:
        """Idempotent; bounded."""
        self._ended = True
        self._leave()
        for name in list(self._listening):
            self._drop(name)
        if self._closing:
            await asyncio.wait(self._closing.values())

    def _changed(self, name: str) -> None:
        """A stream was made, set or deleted."""
        stream = self._streams.get(name)
        settings = stream.settings.srt if stream is not None else None
        followed = self._listening.get(name)
        if followed is not None:
            if followed.stream is stream and followed.listener.settings == settings:
                return
            self._drop(name)
        if stream is None or settings is None or name in self._closing:
            return  # one that closes still has the port: when it is gone it is looked at again
        listener = SrtListener(stream, settings, self._host, self._silent_s)
        listener.start()
        self._listening[name] = _Followed(stream, listener)

    def _drop(self, name: str) -> None:
        listener = self._listening.pop(name).listener

        async def end() -> None:
            await listener.close()
            self._closing.pop(name, None)
            if not self._ended:
                self._changed(name)

        self._closing[name] = asyncio.get_running_loop().create_task(end(), name="srt-close")
