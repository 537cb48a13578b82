"""Pushes of all streams: each stream's targets follow its state and its settings. Knows no media."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from server.push.connection import Patience
from server.push.pushers import Pushers
from server.streams.stream import Stream
from server.streams.streams import Streams


@dataclass(slots=True)
class _Followed:
    stream: Stream
    pushers: Pushers
    leave: Callable[[], None]


class Pushes:
    """Made beside Streams, closed before it. Loop thread only."""

    def __init__(self, streams: Streams, patience: Patience | None = None) -> None:
        self._streams, self._patience = streams, patience
        self._followed: dict[str, _Followed] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._leave = streams.follow(self._changed)
        for stream in streams.all():
            self._changed(stream.name)

    async def close(self) -> None:
        """Idempotent; bounded."""
        self._leave()
        for name in list(self._followed):
            self._drop(name)
        if self._closing:
            await asyncio.wait(self._closing)

    def _changed(self, name: str) -> None:
        """A stream was made, set or deleted."""
        stream = self._streams.get(name)
        followed = self._followed.get(name)
        if followed is not None and followed.stream is not stream:
            self._drop(name)
            followed = None
        if stream is None:
            return
        if followed is None:
            pushers = Pushers(stream, self._patience)
            stream.target_facts = pushers.facts
            followed = _Followed(stream, pushers, lambda: None)
            followed.leave = stream.subscribe(lambda change: self._follow(stream, pushers, change))
            self._followed[name] = followed
        self._follow(stream, followed.pushers, "settings")

    def _follow(self, stream: Stream, pushers: Pushers, change: str) -> None:
        if change in ("state", "settings"):
            pushers.show(stream.settings.targets)
            pushers.sync(stream.settings.targets if stream.state != "idle" else ())

    def _drop(self, name: str) -> None:
        followed = self._followed.pop(name)
        followed.leave()
        followed.stream.target_facts = lambda: ()
        task = asyncio.get_running_loop().create_task(followed.pushers.close(), name="pushes-close")
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
