"""The edit of one stream: asked for, in force, seen. It outlives publishers and restarts.

Knows a stream's pipeline while there is one, and nothing of publishers and viewers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from gpu.editor import EditRefused
from gpu.errors import RelensError
from gpu.types import Edit, Reading
from server import protocol
from server.edits import Edits
from server.reading import received
from server.streams.opened import Opened
from server.streams.types import StreamEdit

log = logging.getLogger(__name__)


class Editing:
    """Loop thread only."""

    def __init__(
        self,
        first: Edit,
        kept: Edit | None,
        read: Callable[[str], Reading | None],
        keep: Callable[[Edit], None],
    ) -> None:
        """`first`: in force as long as none is asked for; `kept`: asked for before the server started.
        `read` reads a prompt while no pipeline is open, if it can; `keep` hears what is in force now."""
        self._read_closed, self._keep = read, keep
        self._asked = kept is not None
        self._in_force = self._before = kept or first
        self._edits = Edits(self._put, self._read)
        self._edits.go_on_from(self._in_force)
        self._received = received(kept, _unread(kept.prompt)) if kept else None
        self._opened: Opened | None = None
        self._settled = asyncio.Event()  # something was applied, or refused
        self.applied_pts = -1  # of the first picture under the newest edit that is seen: 90 kHz, unwrapped
        self.refusal = ""  # why the model would not put the newest one in force after all

    def set_first(self, edit: Edit) -> None:
        """What is in force as long as none is asked for."""
        if not self._asked and self._opened is None:
            self._in_force = replace(edit, revision=self._in_force.revision)
            self._edits.go_on_from(self._in_force)

    def take(self, edit: Edit) -> protocol.Received:
        """Put it in force, numbered here. Raises as the model does."""
        self._asked, self.refusal = True, ""
        self._received = self._edits.take(replace(edit, revision=self._edits.revision + 1))
        return self._received

    def begin(self, opened: Opened) -> None:
        """There is a pipeline: its picture begins edited, with nothing to fade in from. What is in force may
        not have been read yet, or by another model: what it cannot read leaves the picture as it is."""
        self._opened, self.refusal = opened, ""
        try:
            if self._edits.has_unread or self._read(self._in_force.prompt).hangs:  # "more", when nobody could
                again = self._edits.read_again()
                self._in_force = replace(again, revision=self._in_force.revision)
            edit = self._in_force
            reading = opened.put(replace(edit, transition_ms=0))
        except RelensError as error:
            self.refusal = str(error)
            log.warning("the edit in force cannot be put in the picture: %s", error)
            return
        if self._received is None or self._received.revision == edit.revision:
            self._received = received(edit, reading)

    def end(self) -> None:
        """The pipeline is gone."""
        self._opened = None

    def on_applied(self, revision: int, pts: int) -> None:
        self._edits.on_applied(revision)
        self.applied_pts = pts
        self._settled.set()

    def on_refused(self, error: EditRefused) -> None:
        """The one before stays in force."""
        if error.revision != self._in_force.revision:
            return
        self._in_force = self._before
        self._edits.on_refused(error.revision)
        self._keep(self._in_force)
        self.refusal = error.why
        self._settled.set()

    def facts(self) -> StreamEdit:
        return StreamEdit(revision=self._edits.revision, applied=self._edits.applied, received=self._received)

    async def seen(self, revision: int, timeout_s: float) -> bool:
        """Whether `revision`, or a newer one, is in the picture within `timeout_s`."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._edits.applied < revision and not self.refusal:
                    self._settled.clear()
                    await self._settled.wait()
        except TimeoutError:
            pass
        return self._edits.applied >= revision

    def _put(self, edit: Edit) -> Reading:
        """In the picture, or for when there is one."""
        reading = self._read(edit.prompt) if self._opened is None else self._opened.put(edit)
        self._before, self._in_force = self._in_force, edit
        self._keep(edit)
        return reading

    def _read(self, prompt: str) -> Reading:
        if self._opened is not None:
            return self._opened.model.read(prompt)
        return self._read_closed(prompt) or _unread(prompt)


def _unread(prompt: str) -> Reading:
    """What it is taken for is found when the stream opens."""
    return Reading(parts=(), confidence=0.0, label=prompt, is_read=False)
