"""The edit of a stream where it is said of the one in force: edited, and before there is a picture."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import cast

import pytest

from gpu.nano.text import TextTower
from gpu.types import Edit, Reading
from server.streams.editing import Editing
from server.streams.opened import Opened


@pytest.fixture(scope="module")
def tower() -> TextTower:
    return TextTower.load()


class Pipe:
    """A pipeline that notes what comes into force."""

    def __init__(self, tower: TextTower) -> None:
        self.model, self.edits, self._tower = SimpleNamespace(read=tower.read), list[Edit](), tower

    def put(self, edit: Edit) -> Reading:
        self.edits.append(edit)
        return self._tower.read(edit.prompt)


def test_less_is_less_of_what_the_picture_shows(tower: TextTower) -> None:
    kept: list[Edit] = []
    editing, pipe = Editing(Edit(), None, tower.read, kept.append), Pipe(tower)
    editing.begin(cast("Opened", pipe))
    editing.take(Edit(prompt="make it sepia"))
    less = editing.take(Edit(prompt="less"))
    assert (less.revision, less.prompt, less.strength, less.note) == (
        2,
        "make it sepia",
        0.65,
        "at a strength of 65%",
    )
    assert pipe.edits[-1] == kept[-1] == Edit(2, "make it sepia", 0.65)


def test_what_was_in_force_before_the_server_started_can_be_less(tower: TextTower) -> None:
    editing = Editing(Edit(), Edit(5, "make it sepia", 0.8), tower.read, lambda edit: None)
    less = editing.take(Edit(prompt="half of that"))
    assert (less.revision, less.prompt, less.strength) == (6, "make it sepia", 0.4)


def test_less_is_said_of_what_the_settings_say_now(tower: TextTower) -> None:
    editing = Editing(Edit(prompt="make it rain"), None, tower.read, lambda edit: None)
    editing.set_first(Edit(prompt="make it sepia", strength=0.6))
    half = editing.take(Edit(prompt="half of that"))
    assert (half.prompt, half.strength) == ("make it sepia", 0.3)


def test_what_nobody_could_read_is_settled_when_the_stream_opens(tower: TextTower) -> None:
    editing, pipe = Editing(Edit(), None, lambda prompt: None, lambda edit: None), Pipe(tower)
    editing.take(Edit(prompt="make it sepia"))
    editing.take(Edit(prompt="less"))
    editing.begin(cast("Opened", pipe))
    assert [replace(edit, transition_ms=400) for edit in pipe.edits] == [Edit(2, "make it sepia", 0.65)]
    received = editing.facts().received
    assert received
    assert (received.revision, received.prompt, received.strength) == (2, "make it sepia", 0.65)


@pytest.mark.parametrize(("said", "prompt", "strength"), [
    (("less", "less"), "make it sepia", 0.42),
    (("less", "make it rain", "undo that"), "make it sepia", 0.65),
])  # fmt: skip
def test_all_that_was_said_before_it_could_be_read_counts(
    tower: TextTower, said: tuple[str, ...], prompt: str, strength: float
) -> None:
    editing, pipe = Editing(Edit(), None, lambda prompt: None, lambda edit: None), Pipe(tower)
    for words in ("make it sepia", *said):
        editing.take(Edit(prompt=words))
    editing.begin(cast("Opened", pipe))
    assert [(edit.prompt, edit.strength) for edit in pipe.edits] == [(prompt, strength)]
    less = editing.take(Edit(prompt="half of that"))
    assert (less.prompt, less.strength) == (prompt, round(strength / 2, 2))
