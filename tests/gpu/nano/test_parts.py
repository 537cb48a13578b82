"""The parts of `nano` that need no network: sizes, textures, plans, transitions, colour."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpu.nano.colour import planes_to_rgb, rgb_to_planes
from gpu.nano.edits import EDIT_NAMES, EDITS, REGIONS, Region
from gpu.nano.geometry import (
    MOST_PIXELS,
    MULTIPLE,
    coordinates,
    is_halved,
    padded_size,
    textures,
    working_size,
)
from gpu.nano.plan import MOST_MS, MOST_STAGES, PERSON_MS, SOURCE, Plan, plan_of
from gpu.nano.transition import REST_MS, Transition
from gpu.types import CLOCK_HZ, Part

SECOND = CLOCK_HZ


@given(st.integers(8, 640), st.integers(8, 360))
def test_a_canvas_covers_every_source(half_width: int, half_height: int) -> None:
    width, height = 2 * half_width, 2 * half_height
    w, h = working_size(width, height)
    assert w % MULTIPLE == 0 == h % MULTIPLE
    assert min(w, h) >= MULTIPLE
    assert w * h <= MOST_PIXELS * 1.1
    scale = 4 if is_halved(width, height) else 2
    assert padded_size(width, height) == (scale * w, scale * h)
    assert 0 <= scale * w - width < scale * MULTIPLE
    assert 0 <= scale * h - height < scale * MULTIPLE


def test_a_640x480_camera_is_its_own_canvas() -> None:
    assert working_size(640, 480) == (320, 240)
    assert working_size(640, 360) == (320, 180)
    assert working_size(1280, 720) == (320, 180)
    assert padded_size(1280, 720) == (1280, 720)


def test_textures_are_one_endless_sheet() -> None:
    whole = textures(64, 48)
    assert whole.shape == (2, 96, 128)
    assert np.array_equal(textures(64, 48, 512, 1024), whole)
    assert np.array_equal(textures(16, 8, 20, 10), whole[:, 10:26, 20:52])
    assert np.abs(whole).max() <= 1
    assert whole.std(axis=(1, 2)).min() > 0.2


def test_coordinates_have_their_centre_in_the_middle() -> None:
    radius, height = coordinates(64, 48)
    assert radius.shape == (24, 32)
    assert radius.argmin() in {11 * 32 + 15, 11 * 32 + 16, 12 * 32 + 15, 12 * 32 + 16}
    assert np.all(np.diff(height[:, 0]) > 0)


PARTS = st.lists(
    st.builds(
        Part,
        st.sampled_from(EDIT_NAMES),
        st.floats(-0.5, 1.5),
        st.sampled_from(REGIONS),
    ),
    max_size=9,
)


@given(PARTS, st.floats(-1, 2))
def test_plans_are_bounded_and_ordered(parts: list[Part], strength: float) -> None:
    plan = plan_of(parts, strength)
    kinds = [stage.kind for stage in plan.stages]
    assert len(kinds) <= MOST_STAGES
    assert plan.cost_ms <= MOST_MS
    places = [stage.region for stage in plan.stages if stage.kind in ("paint", "draw")]
    assert len(places) <= 1 or set(places) == {"person", "background"}
    assert all(kind not in ("paint", "draw") for kind in kinds[len(places) :]), "an art comes first"
    assert [stage.rank for stage in plan.stages] == sorted(stage.rank for stage in plan.stages)
    assert all(0 < stage.amount <= 1 for stage in plan.stages)
    assert 0 <= plan.strength <= 1
    wanted = [part for part in parts if part.amount > 0]
    assert len(plan.stages) + len(plan.left_out) == len(wanted), "nothing is left out in silence"
    assert {stage.name for stage in plan.stages} | {part.name for part in plan.left_out} == {
        part.name for part in wanted
    }


def test_light_comes_before_weather_and_blur_last() -> None:
    parts = [Part(name, 1.0) for name in ("blur", "snow", "night", "pencil")]
    assert [stage.name for stage in plan_of(parts).stages] == ["pencil", "night", "snow", "blur"]
    assert plan_of(parts).falling() == (0, 1)


def test_of_two_arts_the_stronger_stays() -> None:
    plan = plan_of([Part("cubist", 0.9), Part("pencil", 0.6), Part("night", 0.5)])
    assert [stage.name for stage in plan.stages] == ["cubist", "night"]
    assert plan.left_out == (Part("pencil", 0.6),)
    assert plan.detail == pytest.approx(0.1)


def test_each_place_has_an_art_of_its_own() -> None:
    me, room = Part("cartoon", 1.0, "person"), Part("mosaic", 1.0, "background")
    plan = plan_of([me, room])
    assert [(stage.name, stage.region) for stage in plan.stages] == [
        ("cartoon", "person"), ("mosaic", "background"),
    ]  # fmt: skip
    assert plan.left_out == ()
    for third in (Part("cubist", 0.5, "person"), Part("ink", 0.5, "background"), Part("woodcut", 0.5)):
        assert plan_of([me, room, third]).left_out == (third,)
    assert plan_of([me, Part("mosaic", 1.0)]).left_out == (Part("mosaic", 1.0),)


def test_what_the_machine_could_not_carry_is_left_out() -> None:
    arts = [Part("ink", 1.0, "person"), Part("mosaic", 1.0, "background")]
    night, blur = Part("night", 0.8), Part("blur", 0.8, "background")
    assert plan_of([*arts, night]).left_out == (night,)
    assert plan_of([*arts, night, blur]).left_out == (night,), "a cheaper one may still fit"
    assert plan_of([arts[0], night, Part("fog", 0.5), Part("sepia", 0.5)]).left_out == ()


def test_finding_the_person_costs_the_same_whatever_is_done_there() -> None:
    for name in ("night", "cubist"):
        beside = plan_of([Part(name, 1.0, "person")]).cost_ms - plan_of([Part(name, 1.0)]).cost_ms
        assert beside == pytest.approx(PERSON_MS)


def recoloured(*pairs: str, region: Region = "everywhere") -> list[Part]:
    return [Part("recolour", 1.0, region, tuple(pair.split(">"))) for pair in pairs]


@pytest.mark.parametrize(("said", "run", "left_out"), [
    (["red>blue", "green>yellow"], ["red>blue", "green>yellow"], []),
    (["red>blue", "blue>green"], ["blue>green", "red>blue"], []),
    (["blue>green", "red>blue"], ["blue>green", "red>blue"], []),
    (["red>brown", "orange>blue"], ["orange>blue", "red>brown"], []),
    (["red>blue", "blue>red"], ["red>blue"], ["blue>red"]),
    (["red>blue", "red>green"], ["red>blue"], ["red>green"]),
    (["red>blue", "blue>green", "green>red"], ["blue>green", "red>blue"], ["green>red"]),
    (["red>red"], [], ["red>red"]),
])  # fmt: skip
def test_nothing_is_recoloured_twice(said: list[str], run: list[str], left_out: list[str]) -> None:
    plan = plan_of([*recoloured(*said), Part("night", 1.0)])
    assert [">".join(stage.colours) for stage in plan.stages] == [*run, ""]
    assert [">".join(part.colours) for part in plan.left_out] == left_out


def test_in_two_places_colours_may_be_swapped() -> None:
    parts = [*recoloured("red>blue", region="person"), *recoloured("blue>red", region="background")]
    assert plan_of(parts).left_out == ()


def test_a_plan_reaches_as_far_as_its_stages() -> None:
    behind, before = Part("blur", 1.0, "background"), Part("pencil", 1.0, "person")
    assert plan_of([behind]).reach == "background"
    assert plan_of([behind, before]).reach == "everywhere"
    assert plan_of([Part("snow", 1.0, "background"), before]).falls_in == "background"
    assert plan_of([Part("recolour", 1.0)]).is_local
    assert not plan_of([Part("recolour", 1.0), Part("night", 1.0)]).is_local


def test_every_look_has_its_place() -> None:
    ranks = {edit.name: plan_of([Part(edit.name, 1.0)]).stages[0].rank for edit in EDITS}
    last = max(ranks.values())
    assert {name for name, rank in ranks.items() if rank == last} == {"blur", "backdrop"}


def plan(name: str, strength: float = 1.0, amount: float = 1.0) -> Plan:
    return plan_of([Part(name, amount)], strength)


def test_transition_from_the_source_fades_strength() -> None:
    moving = Transition()
    assert moving.at(0).is_source
    moving.begin(plan("night", 0.8), 1000)
    mixes = [moving.at(pts) for pts in range(3000, 120_000, 3000)]
    strengths = [mix.strength for mix in mixes]
    assert all(len(mix.plans) == 1 for mix in mixes)
    assert strengths[0] > 0
    assert strengths == sorted(strengths)
    assert strengths[-1] == 0.8
    moving.begin(SOURCE, 1000)
    assert 0 < moving.at(203_000).strength < 0.8
    assert moving.at(400_000).is_source


def test_transition_before_the_first_frame_holds_at_once() -> None:
    moving = Transition()
    moving.begin(plan("night"), 5000)
    assert moving.at(0).strength == 1.0


def test_another_amount_of_the_same_is_no_second_plan() -> None:
    moving = Transition()
    moving.begin(plan("night", 1.0, 0.2), 0)
    moving.at(0)
    moving.begin(plan("night", 0.5, 0.8), 1000)
    (half, weight), *others = moving.at(SECOND // 2).plans
    assert not others
    assert (weight, half.strength) == (1.0, pytest.approx(0.75))
    assert half.stages[0].amount == pytest.approx(0.5)


def test_progress_never_falls() -> None:
    moving = Transition()
    moving.at(90_000)
    moving.begin(plan("night"), 1000)
    strengths = [moving.at(pts).strength for pts in (120_000, 100_000, 0, 150_000, 10, 180_000, 0)]
    assert strengths == sorted(strengths)
    assert strengths[-1] == 1.0


def test_two_plans_cross_over() -> None:
    moving = Transition()
    moving.begin(plan("night"), 0)
    moving.at(0)
    assert moving.begin(plan("sepia"), 1000) is None
    mix = moving.at(SECOND // 4)
    assert [(p.stages[0].name, weight) for p, weight in mix.plans] == [("night", 0.75), ("sepia", 0.25)]
    assert len(moving.at(SECOND).plans) == 1


def test_who_asks_again_starts_from_the_heavier_plan_and_lets_the_rest_go() -> None:
    moving = Transition()
    moving.begin(plan("night"), 0)
    moving.at(0)
    moving.begin(plan("sepia", 0.5), 1000)
    moving.at(SECOND // 4)
    assert moving.begin(plan("fog"), 1000) == 0
    first = moving.at(SECOND // 4 + 900)
    assert [p.stages[0].name for p, _ in first.plans] == ["night", "fog"]
    assert first.plans[0][0].strength == pytest.approx(0.875), "as strong as what was shown"
    assert 0.9 < first.rest < 1
    rests = [moving.at(SECOND // 4 + pts).rest for pts in range(0, SECOND, 3000)]
    assert rests == sorted(rests, reverse=True)
    assert moving.at(SECOND // 4 + REST_MS * CLOCK_HZ // 1000).rest == 0


@given(st.lists(st.tuples(st.sampled_from(("night", "sepia", "fog", "")), st.integers(0, 40)), max_size=12))
def test_there_are_never_more_than_two_plans(wishes: list[tuple[str, int]]) -> None:
    moving, pts = Transition(), 0
    for name, frames in wishes:
        before = moving.at(pts).strength
        moving.begin(plan(name) if name else SOURCE, 400)
        for _ in range(frames):
            pts += 3000
            mix = moving.at(pts)
            assert len(mix.plans) <= 2
            assert sum(weight for _, weight in mix.plans) == pytest.approx(1)
            assert abs(mix.strength - before) < 0.1, "no jump"
            before = mix.strength


def test_colour_round_trip() -> None:
    rng = np.random.default_rng(0)
    small = rng.uniform(0, 1, (12, 16, 3)).astype(np.float32)
    image = np.repeat(np.repeat(small, 2, 0), 2, 1)
    luma, chroma = rgb_to_planes(image)
    assert luma.min() >= 16 / 255 - 1e-6
    assert luma.max() <= 235 / 255 + 1e-6
    assert np.abs(planes_to_rgb(luma, chroma) - image).max() < 1e-4
