"""Every edit of `nano` on one picture: it does something, its own thing, by degrees, and only where asked."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from gpu.models.nano import NanoModel
from gpu.nano.edits import EDIT_NAMES, EDITS, EditInfo
from gpu.nano.stages import Memory, Pass
from gpu.types import Part
from tests.gpu.nano.conftest import distance, force, opened, picture, same
from tests.gpu.nano.golden import GOLDEN, edited, means, part_of, source

LOCAL = ("recolour", "colour_pop")  # change what has the colour, and there is little red on a cat


@pytest.mark.parametrize("edit", EDITS, ids=EDIT_NAMES)
def test_edit_makes_the_picture_it_made(model: NanoModel, edit: EditInfo) -> None:
    """As when these weights were made, within what machines differ; and not the picture as it was."""
    with np.load(GOLDEN) as stored:
        wanted = stored[edit.name].astype(float)
    made = edited(model, source(), part_of(edit))
    assert np.abs(means(made) - wanted).mean() < 0.6
    if edit.name not in LOCAL:
        assert distance(made, source()) > 1.0


def test_edits_are_told_apart() -> None:
    with np.load(GOLDEN) as stored:
        pictures = {name: stored[name].astype(float) for name in EDIT_NAMES}
    for name, one in pictures.items():
        nearest = min(float(np.abs(one - other).mean()) for n, other in pictures.items() if n != name)
        assert nearest > 0.3, name


@pytest.mark.parametrize("name", ["starry_night", "neon", "night", "blur", "snow", "backdrop"])
def test_amount_is_continuous(model: NanoModel, name: str) -> None:
    frame = picture(160, 112)
    amounts = np.linspace(0.01, 1.0, 9)
    made = [edited(model, frame, Part(name, float(amount))) for amount in amounts]
    changes = [distance(frame, picture_) for picture_ in made]
    assert changes[0] < 0.15 * changes[-1] + 1.0, "a hundredth is next to nothing"
    assert changes == sorted(changes) or max(changes) - changes[-1] < 0.1 * changes[-1]
    steps = [distance(a, b) for a, b in pairwise(made)]
    assert max(steps) < 0.5 * distance(made[0], made[-1])


@pytest.mark.parametrize("name", ["starry_night", "neon", "night", "blur", "snow", "backdrop"])
@pytest.mark.parametrize("size", [(160, 112), (1280, 720)])
def test_a_region_leaves_the_rest_byte_for_byte(
    model: NanoModel, monkeypatch: pytest.MonkeyPatch, name: str, size: tuple[int, int]
) -> None:
    """The left half is the person, however the network sees it."""

    def half(self: Pass, plans: object) -> None:
        mask = np.zeros_like(self._engines.everywhere)
        mask[..., : mask.shape[-1] // 2] = 1
        self._masks |= {"person": mask, "background": 1 - mask}

    monkeypatch.setattr(Pass, "find_person", half)
    frame = picture(*size)
    state = force(model, opened(model, *size), Part(name, 1.0, "background"))
    made = model.step(state, [frame])[0]
    middle = size[0] // 2
    assert np.array_equal(made.y[:, :middle], frame.y[:, :middle])
    for p, q in ((made.u, frame.u), (made.v, frame.v)):
        assert np.array_equal(p[:, : middle // 2], q[:, : middle // 2])
    assert np.abs(made.y[:, middle:].astype(float) - frame.y[:, middle:]).mean() > 1


def test_local_colour_leaves_other_colours_byte_for_byte(model: NanoModel) -> None:
    frame = picture(160, 112)
    frame.u[:, :40], frame.v[:, :40] = 90, 210  # red on the left
    frame.u[:, 40:], frame.v[:, 40:] = 108, 96  # green on the right
    state = force(model, opened(model, 160, 112), Part("recolour", 1.0, "everywhere", ("red", "blue")))
    made = model.step(state, [frame])[0]
    assert float((made.y[:, 88:] == frame.y[:, 88:]).mean()) > 0.9
    assert float((made.u[:, 44:] == frame.u[:, 44:]).mean()) > 0.9
    assert float(made.u[:, :38].mean()) > 128, "red has become blue"


def test_the_person_is_looked_for_only_when_asked_for(model: NanoModel) -> None:
    state = force(model, opened(model, 160, 112), "night")
    model.step(state, [picture(160, 112)])
    assert not state.memory.person
    force(model, state, Part("night", 1.0, "background"))
    model.step(state, [picture(160, 112, 1)])
    assert state.memory.person


def test_memory_is_bounded(model: NanoModel) -> None:
    state = opened(model, 160, 112)
    for i in range(12):
        force(model, state, ("starry_night", "mosaic", "cubist")[i % 3], over_ms=400)
        model.step(state, [picture(160, 112, i)])
        assert len(state.memory.painted) <= 2
    assert isinstance(state.memory, Memory)


def test_undo_is_exact(model: NanoModel) -> None:
    state = force(model, opened(model, 160, 112), "cubist", "night")
    model.step(state, [picture(160, 112)])
    force(model, state, over_ms=400)
    for i in range(1, 20):
        made = model.step(state, [picture(160, 112, i)])[0]
    assert same(made, picture(160, 112, 19))
