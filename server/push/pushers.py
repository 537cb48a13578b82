"""All targets of a stream: begun and ended with it, and as its settings change.

Knows settings and life, not how one target is pushed to.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from server.peer.types import EncodedAudio
from server.push.address import shown_host
from server.push.connection import Feed, Patience
from server.push.pusher import Pusher
from server.push.sound import TargetSound
from server.sound.types import AacFrame
from server.streams.types import Target, TargetFacts


class Pushers:
    """One stream's. Loop thread only."""

    def __init__(self, feed: Feed, patience: Patience | None = None) -> None:
        self._feed, self._patience = feed, patience
        self._pushers: list[Pusher] = []
        self._targets: tuple[Target, ...] = ()  # all that are set, also those that are not pushed to
        self._sound: TargetSound | None = None
        self._leaving: set[asyncio.Task[None]] = set()

    def show(self, targets: Iterable[Target]) -> None:
        """What the settings have, for `facts`."""
        self._targets = tuple(targets)

    def sync(self, targets: Iterable[Target]) -> None:
        """Push to these, and to no others; those that stay are not disturbed. () ends all."""
        wanted = [target for target in targets if target.enabled]
        kept: list[Pusher] = []
        for pusher in self._pushers:
            if pusher.target in wanted:
                wanted.remove(pusher.target)
                kept.append(pusher)
            else:
                self._leave(pusher)
        for target in wanted:
            pusher = Pusher(target, self._feed, self, self._patience)
            pusher.start()
            kept.append(pusher)
        self._pushers = kept
        if not kept and self._sound is not None:
            self._sound.close()
            self._sound = None

    async def close(self) -> None:
        """Idempotent; bounded."""
        self.sync(())
        if self._leaving:
            await asyncio.wait(self._leaving)

    def facts(self) -> tuple[TargetFacts, ...]:
        """Of all targets that are set, in their order."""
        running = {pusher.target: pusher for pusher in self._pushers}
        targets = self._targets or tuple(running)
        return tuple(
            running[target].facts() if target in running
            else TargetFacts(name=target.name, host=shown_host(target.url), state="off")
            for target in targets
        )  # fmt: skip

    @property
    def running(self) -> tuple[Pusher, ...]:
        return tuple(self._pushers)

    # Sound, for its pushers

    def audio(self, packet: EncodedAudio) -> None:
        self._made_sound().audio(packet)

    def video(self, pts: int) -> None:
        self._made_sound().video(pts)

    def _made_sound(self) -> TargetSound:
        if self._sound is None:
            self._sound = TargetSound(self._send_aac)
        return self._sound

    def _send_aac(self, frame: AacFrame) -> None:
        for pusher in self._pushers:
            pusher.send_aac(frame)

    def _leave(self, pusher: Pusher) -> None:
        task = asyncio.get_running_loop().create_task(pusher.close(), name="push-close")
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)
