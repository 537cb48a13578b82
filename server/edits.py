"""The edits of one picture, one after the other: what each was taken for, which is seen. Knows no wire."""

from __future__ import annotations

from collections.abc import Callable

from gpu.types import Edit, Reading
from server import protocol
from server.history import EditHistory
from server.reading import received


class Edits:
    """Loop thread only."""

    def __init__(self, put: Callable[[Edit], Reading]) -> None:
        """`put` puts an edit in force, but for what is not understood and what steps back: who asked knows
        to what."""
        self._put = put
        self._history = EditHistory()
        self.revision = -1  # the newest taken
        self.applied = -1  # the newest that left with a picture

    def take(self, edit: Edit) -> protocol.Received:
        """Put an edit in force and say what it was taken for; "undo that" is the edit before it. Raises as
        `put` does; the revision is taken all the same."""
        self.revision = edit.revision
        reading = self._put(edit)
        if reading.steps_back:
            edit = self._history.before(edit)
            reading = self._put(edit)
            self._history.step_back()
        if reading.understood:
            self._history.add(edit)
        return received(edit, reading)

    def go_on_from(self, edit: Edit) -> None:
        """It was in force before this began."""
        self.revision = edit.revision
        self._history.add(edit)

    def on_applied(self, revision: int) -> None:
        """The first picture under `revision` left."""
        self.applied = max(self.applied, revision)
