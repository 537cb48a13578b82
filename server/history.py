"""The edits that one client was given, so that "undo that" finds the one before. Knows no model, no wire."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

from gpu.types import Edit

MOST_EDITS = 32  # as far back as one can go; then it is the source


class EditHistory:
    """The edits in force one after the other, the newest last."""

    def __init__(self) -> None:
        self._edits: deque[Edit] = deque(maxlen=MOST_EDITS)

    def add(self, edit: Edit) -> None:
        """An edit came into force. The same words again, at another strength, are the same edit."""
        if self._edits and self._edits[-1].prompt == edit.prompt:
            self._edits.pop()
        self._edits.append(edit)

    def before(self, asked: Edit) -> Edit:
        """What is to be in force when `asked` undoes the newest: the edit before it, or else the source.

        Revision and transition are those of `asked`. Forgets nothing: it may yet be refused."""
        if len(self._edits) < 2:
            return replace(asked, prompt="")
        return replace(self._edits[-2], revision=asked.revision, transition_ms=asked.transition_ms)

    def step_back(self) -> None:
        """The newest was undone."""
        if self._edits:
            self._edits.pop()
