"""Writes a session's edits down as they take force, so that it can be rendered again. Knows no peers."""

from __future__ import annotations

from gpu.types import Edit
from server.kept.session_log import SessionLog

MOST_ASKED = 64  # edits that were asked for and have not been seen in the picture


class Recording:
    """One session's. Loop thread only; nothing here waits."""

    def __init__(self, log: SessionLog | None, session_id: str) -> None:
        """`log` None: nothing is kept on this server."""
        self._log, self._id = log, session_id
        self._asked: dict[int, Edit] = {}
        self._first_pts: int | None = None
        self._count = 0
        self._begun = False

    def begin(self, model: str) -> None:
        self._begun = True
        if self._log is not None:
            self._log.begin(self._id, model)

    def asked(self, edit: Edit) -> None:
        """It was taken; of one revision the last word counts ("undo that" becomes what came before)."""
        self._asked[edit.revision] = edit
        while len(self._asked) > MOST_ASKED:
            del self._asked[next(iter(self._asked))]

    def shown(self, pts: int) -> None:
        """A picture left; the first one is where the session's time begins."""
        if self._first_pts is None:
            self._first_pts = pts

    def applied(self, revision: int, pts: int) -> None:
        """The first picture under an edit: 90 kHz, unwrapped."""
        self.shown(pts)
        edit = self._asked.pop(revision, None)
        if edit is None or self._log is None or self._first_pts is None:
            return
        self._count += 1
        at = max(0, pts - self._first_pts)
        self._log.edit(self._id, self._count, at, edit.prompt, edit.strength, edit.transition_ms, edit.seed)

    def end(self, reason: str, size: tuple[int, int] = (0, 0)) -> None:
        if self._log is None or not self._begun:
            return
        self._begun = False
        if size != (0, 0):
            self._log.size(self._id, *size)
        self._log.end(self._id, reason)
