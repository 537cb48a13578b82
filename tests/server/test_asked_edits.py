"""Edits one after the other: numbered by who asks, settled after what is in force, put by who puts."""

from __future__ import annotations

import pytest

from gpu.errors import ModelError
from gpu.types import Change, Edit, Reading
from server.edits import Edits


def read(prompt: str) -> Reading:
    if prompt == "undo":
        return Reading((), 1.0, steps_back=True)
    if prompt == "less":
        return Reading((), 0.0, understood=False, change=Change(0.5), note="nothing is in force")
    return Reading((), 1.0, label=prompt, understood=prompt != "gibberish")


class Puts:
    """What comes into force."""

    def __init__(self) -> None:
        self.edits: list[Edit] = []
        self.runs: Edit | None = None

    def __call__(self, edit: Edit) -> Reading:
        if edit.prompt == "broken":
            raise ModelError("not this one")
        self.edits.append(edit)
        return read(edit.prompt)


@pytest.fixture
def put() -> Puts:
    return Puts()


@pytest.fixture
def edits(put: Puts) -> Edits:
    return Edits(put, read, lambda: put.runs)


def test_what_was_in_force_before_can_be_gone_back_to(edits: Edits) -> None:
    edits.go_on_from(Edit(7, "rain", 0.5))
    assert edits.revision == 7
    edits.take(Edit(8, "night"))
    undone = edits.take(Edit(9, "undo"))
    assert (undone.revision, undone.prompt, undone.strength) == (9, "rain", 0.5)
    assert edits.take(Edit(10, "undo")).prompt == ""


def test_less_is_less_of_what_is_in_force(edits: Edits, put: Puts) -> None:
    edits.take(Edit(1, "rain", 0.8, seed=5))
    less = edits.take(Edit(2, "less", transition_ms=10))
    assert (less.revision, less.prompt, less.strength, less.seed) == (2, "rain", 0.4, 5)
    assert (less.understood, less.label, less.note) == (True, "rain", "at a strength of 40%")
    assert put.edits[-1] == Edit(2, "rain", 0.4, 10, 5)
    edits.take(Edit(3, "less"))
    assert put.edits[-1] == Edit(3, "rain", 0.2, seed=5)


def test_less_of_what_a_film_brought_along(edits: Edits, put: Puts) -> None:
    put.runs = Edit(4, "fog", 0.6)
    assert edits.take(Edit(1, "less")).strength == 0.3
    put.runs = None
    edits.take(Edit(2, "less"))
    assert put.edits[-1] == Edit(2, "fog", 0.15)


def test_less_of_nothing_changes_nothing_and_says_why(edits: Edits, put: Puts) -> None:
    received = edits.take(Edit(1, "less"))
    assert (received.understood, received.prompt) == (False, "less")
    assert "ask for an edit first" in received.note
    assert put.edits == []


def test_what_is_not_understood_is_answered_and_not_gone_back_to(edits: Edits, put: Puts) -> None:
    edits.take(Edit(1, "rain"))
    assert edits.take(Edit(2, "gibberish")).understood is False
    edits.take(Edit(3, "night"))
    assert [edit.prompt for edit in put.edits] == ["rain", "night"]
    assert edits.take(Edit(4, "undo")).prompt == "rain"


def test_a_revision_that_was_refused_is_taken_all_the_same(edits: Edits) -> None:
    with pytest.raises(ModelError):
        edits.take(Edit(5, "broken"))
    assert edits.revision == 5


def test_what_was_refused_is_no_edit_that_less_is_said_of(edits: Edits) -> None:
    edits.take(Edit(1, "rain"))
    with pytest.raises(ModelError):
        edits.take(Edit(2, "broken"))
    assert edits.take(Edit(3, "less")).prompt == "rain"


def test_what_the_model_would_not_do_after_all_is_none_either(edits: Edits) -> None:
    edits.take(Edit(1, "rain"))
    edits.take(Edit(2, "night"))
    edits.on_refused(1)
    edits.on_refused(2)
    assert edits.take(Edit(3, "less")).prompt == "rain"


def test_what_is_seen_never_goes_back(edits: Edits) -> None:
    assert edits.applied == -1
    edits.on_applied(4)
    edits.on_applied(2)
    assert edits.applied == 4
