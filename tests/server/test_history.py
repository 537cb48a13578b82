"""What "undo that" goes back to."""

from __future__ import annotations

from gpu.types import Edit
from server.history import MOST_EDITS, EditHistory


def test_the_same_words_again_are_the_same_edit() -> None:
    history = EditHistory()
    for revision, prompt, strength in ((1, "rain", 1.0), (2, "night", 1.0), (3, "night", 0.4)):
        history.add(Edit(revision, prompt, strength))
    assert history.before(Edit(4, "undo that", 0.9, 10)) == Edit(4, "rain", 1.0, 10)


def test_of_many_edits_the_oldest_are_forgotten() -> None:
    history = EditHistory()
    for revision in range(MOST_EDITS + 5):
        history.add(Edit(revision, f"edit {revision}"))
    seen = [history.before(Edit(99, "undo that")).prompt for _ in range(MOST_EDITS + 1)]
    assert seen[0] == f"edit {MOST_EDITS + 3}"
    assert seen[MOST_EDITS - 2] == "edit 5"
    assert seen[MOST_EDITS - 1 :] == ["", ""]
