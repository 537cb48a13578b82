"""The edits of one picture, one after the other: what each was taken for, which is seen. Knows no wire."""

from __future__ import annotations

from collections.abc import Callable

from gpu.history import EditHistory, Read
from gpu.types import Edit, Reading
from server import protocol
from server.reading import received


class Edits:
    """Loop thread only."""

    def __init__(
        self, put: Callable[[Edit], Reading], read: Read, runs: Callable[[], Edit | None] = lambda: None
    ) -> None:
        """`put` puts in force an edit that was understood and stands by itself; `read` says what a prompt is
        taken for; `runs` is the edit in force where nobody asked for it here."""
        self._put, self._read, self._runs = put, read, runs
        self._history = EditHistory()
        self.revision = -1  # the newest taken
        self.applied = -1  # the newest that left with a picture

    def take(self, edit: Edit) -> protocol.Received:
        """Put an edit in force and say what it was taken for: "undo that" and "more" are said of the edit in
        force. Raises as `read` and `put` do; the revision is taken all the same."""
        self.revision = edit.revision
        if (runs := self._runs()) is not None:
            self._history.add(runs)
        settled = self._history.settle(edit, self._read)
        if settled.reading.understood:
            self._put(settled.edit)
            self._history.keep(settled)
        return received(settled.edit, settled.reading)

    def go_on_from(self, edit: Edit) -> None:
        """It is in force, and nothing was before it."""
        self.revision = edit.revision
        self._history = EditHistory()
        self._history.add(edit)

    @property
    def has_unread(self) -> bool:
        """Whether any was taken that nobody could read."""
        return self._history.has_unread

    def read_again(self) -> Edit:
        """What is in force, now that what was taken before can be read."""
        return self._history.read_again(self._read)

    def on_refused(self, revision: int) -> None:
        """The model would not put it in force after all: the one before stays."""
        self._history.drop(revision)

    def on_applied(self, revision: int) -> None:
        """The first picture under `revision` left."""
        self.applied = max(self.applied, revision)
