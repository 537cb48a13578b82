"""From an instruction to what is in force: edits for two places, what is left out, seeds."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest

from gpu.models.nano import NanoModel
from gpu.nano.plan import Plan
from gpu.nano.stages import Pass
from gpu.types import Edit, Frame, Part
from tests.gpu.nano.conftest import clip, force, opened, picture, same

BOTH = "make me a cartoon and the room a mosaic"


@pytest.fixture
def person_on_the_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """The left half of every picture is the person."""

    def find(one: Pass, plans: Iterable[Plan]) -> None:
        mask = np.zeros_like(one.mask("everywhere"))
        mask[..., : mask.shape[-1] // 2] = 1
        one._masks |= {"person": mask, "background": 1 - mask}

    monkeypatch.setattr(Pass, "find_person", find)


@pytest.mark.usefixtures("person_on_the_left")
@pytest.mark.parametrize(("prompt", "me", "room"), [
    (BOTH, "cartoon", "mosaic"),
    ("paint me like Monet and make the room a woodcut", "impressionist", "woodcut"),
    ("me as a blueprint, the background as an ink drawing", "blueprint", "ink"),
])  # fmt: skip
def test_each_place_has_its_own_art(model: NanoModel, prompt: str, me: str, room: str) -> None:
    both = opened(model, 160, 112)
    reading = model.set_edit(both, Edit(1, prompt, transition_ms=0))
    assert reading.left_out == ()
    assert {(part.name, part.region) for part in reading.parts} == {(me, "person"), (room, "background")}
    one = force(model, opened(model, 160, 112), Part(me, 1.0, "person"))
    for frame in clip(160, 112, 3):
        made, alone = (model.step(state, [frame])[0] for state in (both, one))
        left, right = np.s_[:, :72], np.s_[:, 88:]  # but for where one gives way to the other
        assert np.abs(made.y[left].astype(int) - alone.y[left]).max() <= 1, "the room's art leaves me alone"
        assert same(crop(alone), crop(frame)), "an art of mine leaves the room alone"
        assert np.abs(made.y[right].astype(float) - frame.y[right]).mean() > 5, "the room has an art too"


def crop(frame: Frame) -> Frame:
    """Its right part."""
    return Frame(frame.y[:, 88:], frame.u[:, 44:], frame.v[:, 44:], frame.pts)


def test_what_a_plan_cannot_hold_is_said_and_not_run(model: NanoModel) -> None:
    reading = model.read("make me a cartoon, the room a mosaic and everything foggy")
    assert [(part.name, part.region) for part in reading.parts] == [
        ("cartoon", "person"), ("mosaic", "background"),
    ]  # fmt: skip
    assert reading.left_out == ("fog",)
    assert reading.label == "cartoon (person) + mosaic (background)"


def test_a_swap_of_colours_is_half_done_and_says_so(model: NanoModel) -> None:
    reading = model.read("make the red things blue and the blue things red")
    assert reading.parts == (Part("recolour", 1.0, "everywhere", ("red", "blue")),)
    assert reading.left_out == ("recolour (blue to red)",)


@pytest.mark.parametrize("seed", [-1, 2**32, 2**64 + 5, -(2**70)])
def test_any_whole_number_is_a_seed(model: NanoModel, seed: int) -> None:
    state, wrapped = (force(model, opened(model, 160, 112), "snow") for _ in range(2))
    model.set_edit(state, Edit(1, "make it snow", seed=seed, transition_ms=0))
    model.set_edit(wrapped, Edit(1, "make it snow", seed=seed % 2**32, transition_ms=0))
    frame = picture(160, 112)
    assert same(model.step(state, [frame])[0], model.step(wrapped, [frame])[0])


def test_what_is_not_understood_moves_no_flakes_and_is_not_in_force(model: NanoModel) -> None:
    state = opened(model, 160, 112)
    snow = Edit(1, "make it snow", seed=3, transition_ms=0)
    model.set_edit(state, snow)
    before = state.particles.cover(0, False, True)
    assert not model.set_edit(state, replace(snow, revision=2, prompt="qwxz bnm", seed=4)).understood
    assert np.array_equal(state.particles.cover(0, False, True), before)
    assert state.edit == snow
