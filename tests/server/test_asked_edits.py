"""Edits one after the other: numbered by who asks, read by who puts, undone one by one."""

from __future__ import annotations

import pytest

from gpu.errors import ModelError
from gpu.types import Edit, Reading
from server.edits import Edits


def put(edit: Edit) -> Reading:
    if edit.prompt == "undo":
        return Reading((), 1.0, steps_back=True)
    if edit.prompt == "broken":
        raise ModelError("not this one")
    return Reading((), 1.0, label=edit.prompt, understood=edit.prompt != "gibberish")


def test_what_was_in_force_before_can_be_gone_back_to() -> None:
    edits = Edits(put)
    edits.go_on_from(Edit(7, "rain", 0.5))
    assert edits.revision == 7
    edits.take(Edit(8, "night"))
    undone = edits.take(Edit(9, "undo"))
    assert (undone.revision, undone.prompt, undone.strength) == (9, "rain", 0.5)
    assert edits.take(Edit(10, "undo")).prompt == ""


def test_what_is_not_understood_is_answered_and_not_gone_back_to() -> None:
    edits = Edits(put)
    edits.take(Edit(1, "rain"))
    assert edits.take(Edit(2, "gibberish")).understood is False
    edits.take(Edit(3, "night"))
    assert edits.take(Edit(4, "undo")).prompt == "rain"


def test_a_revision_that_was_refused_is_taken_all_the_same() -> None:
    edits = Edits(put)
    with pytest.raises(ModelError):
        edits.take(Edit(5, "broken"))
    assert edits.revision == 5


def test_what_is_seen_never_goes_back() -> None:
    edits = Edits(put)
    assert edits.applied == -1
    edits.on_applied(4)
    edits.on_applied(2)
    assert edits.applied == 4
