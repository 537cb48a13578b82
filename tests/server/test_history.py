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
    seen = []
    for _ in range(MOST_EDITS + 1):
        seen.append(history.before(Edit(99, "undo that")).prompt)
        history.step_back()
    assert seen[0] == f"edit {MOST_EDITS + 3}"
    assert seen[MOST_EDITS - 2] == "edit 5"
    assert seen[MOST_EDITS - 1 :] == ["", ""]


def test_asking_what_was_before_undoes_nothing() -> None:
    history = EditHistory()
    for revision, prompt in enumerate(("rain", "night", "sepia")):
        history.add(Edit(revision, prompt))
    undo = Edit(4, "undo that")
    assert history.before(undo).prompt == "night"
    assert history.before(undo).prompt == "night"
    history.step_back()
    assert history.before(undo).prompt == "rain"
