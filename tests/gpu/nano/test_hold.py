"""Holding: what an edit drew before is kept where it fits, moved along; and only by edits that ask for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from gpu.engine import Tensor, open_engine
from gpu.models.nano import WEIGHTS, NanoModel, _graphs_of
from gpu.nano.edits import EDITS, Region, hold_of
from gpu.nano.engines import shapes_of
from gpu.nano.plan import plan_of
from gpu.nano.stages import scalar
from gpu.types import Edit, Frame, Part

W, H = 160, 112
SIZED = ("luma", "chroma", "mask", "cache_luma", "cache_chroma", "flow", "share")


def flow_of(shift: float) -> Tensor:
    """[1,2,H/8,W/8] everything was `shift` pixels farther left, in blocks of 8 pixels."""
    flow = np.zeros((1, 2, H // 8, W // 8), np.float32)
    flow[:, 0] = -shift / 8
    return flow


def held(
    hold: float, share: float, shift: int, weights: Path = WEIGHTS, place: float = 1.0
) -> tuple[Tensor, Tensor, Tensor]:
    """(luma before, luma now, luma given)."""
    shapes = shapes_of(W, H)
    engine = open_engine(weights / "hold.onnx", threads=1, shapes={name: shapes[name] for name in SIZED})
    rng = np.random.default_rng(1)
    # nowhere so unlike that it would count as uncovered
    inputs = {name: 0.5 + 0.08 * rng.random(shapes[name], np.float32) for name in SIZED}
    inputs["flow"] = flow_of(shift)
    inputs["share"] = np.full(shapes["share"], share, np.float32)
    inputs["mask"] = np.ones(shapes["mask"], np.float32)
    inputs["mask"][..., : H // 2, :] = place
    out = engine.run({**inputs, "hold": scalar(hold), "most": scalar(1.0)})
    return inputs["cache_luma"], inputs["luma"], out["held_luma"]


@pytest.mark.parametrize(("hold", "share"), [(0.0, 0.9), (1.0, 0.0)])
def test_without_hold_or_fit_nothing_is_kept(hold: float, share: float) -> None:
    _, now, given = held(hold, share, 3)
    assert np.array_equal(now, given)


def test_what_fits_is_kept_where_it_moved_to() -> None:
    before, now, given = held(0.8, 0.5, 3)
    wanted = now[..., 3:] + np.float32(0.4) * (before[..., :-3] - now[..., 3:])
    assert np.abs(given[..., 3:] - wanted).max() < 2e-3


def test_what_was_uncovered_leaves_no_ghost() -> None:
    shapes = shapes_of(W, H)
    engine = open_engine(WEIGHTS / "hold.onnx", threads=1, shapes={name: shapes[name] for name in SIZED})
    inputs = {name: np.full(shapes[name], 0.3, np.float32) for name in SIZED}
    inputs |= {"cache_luma": inputs["luma"].copy(), "cache_chroma": inputs["chroma"].copy()}
    inputs["cache_luma"][..., :40] = 0.6  # somebody was there
    inputs |= {"flow": flow_of(0), "share": np.ones(shapes["share"], np.float32)}
    inputs["mask"] = np.ones(shapes["mask"], np.float32)
    given = engine.run({**inputs, "hold": scalar(1.0), "most": scalar(1.0)})["held_luma"]
    assert np.abs(given[..., :36] - 0.3).max() < 1e-6


def test_a_line_that_was_carried_beside_its_place_is_not_drawn_twice() -> None:
    shapes = shapes_of(W, H)
    engine = open_engine(WEIGHTS / "hold.onnx", threads=1, shapes={name: shapes[name] for name in SIZED})
    inputs = {name: np.full(shapes[name], 0.7, np.float32) for name in SIZED}
    inputs["luma"][..., 78:82] -= 0.1
    inputs["cache_luma"][..., 80:84] -= 0.1  # the flow missed by two pixels
    inputs["cache_luma"][..., 40] -= 0.01  # and here something shimmered
    inputs |= {"flow": flow_of(0), "share": np.ones(shapes["share"], np.float32)}
    inputs["mask"] = np.ones(shapes["mask"], np.float32)

    def off(most: float) -> Tensor:
        held = engine.run({**inputs, "hold": scalar(0.8), "most": scalar(most)})["held_luma"]
        return np.asarray(np.abs(held - inputs["luma"])[0, 0, H // 2])

    assert off(1.0)[78:84].max() > 0.07
    assert off(0.005)[78:84].mean() < 0.6 * off(1.0)[78:84].mean()
    assert np.array_equal(off(0.005)[:70], off(1.0)[:70])
    assert off(0.005)[40] > 0.007


def test_where_the_edit_is_not_nothing_is_kept() -> None:
    _, now, given = held(0.8, 0.5, 3, place=0.0)
    upper = np.s_[..., : H // 2 - 4, :]
    assert np.array_equal(now[upper], given[upper])
    assert not np.array_equal(now, given)


def parts(*names: str, region: Region = "everywhere") -> list[Part]:
    return [Part(name, 1.0, region) for name in names]


def test_a_plan_holds_each_place_once_and_no_paper() -> None:
    def holds(asked: list[Part]) -> dict[str, float]:
        plan = plan_of(asked)
        return {stage.name: hold for stage, hold in zip(plan.stages, plan.holds, strict=True)}

    assert holds(parts("cartoon"))["cartoon"] == hold_of("cartoon")
    looks = holds(parts("golden_hour", "noir"))
    assert looks == {"golden_hour": 0.0, "noir": max(hold_of("golden_hour"), hold_of("noir"))}
    assert set(holds(parts("pencil", "night")).values()) == {0.0}
    both = parts("cartoon", region="person") + parts("night", region="background")
    assert holds(both) == {"cartoon": hold_of("cartoon"), "night": hold_of("night")}


def test_the_graph_in_the_package_is_what_the_code_exports(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from gpu.nano.distill import hold

    hold.export(tmp_path)
    assert np.array_equal(held(0.7, 0.6, 1, tmp_path)[2], held(0.7, 0.6, 1)[2])


def clip(count: int, noise: float) -> list[Frame]:
    """A panned picture of soft shapes and one edge, with a camera's noise."""
    rng = np.random.default_rng(2)
    rows, cols = np.mgrid[:H, :W].astype(np.float32)
    frames = []
    for n in range(count):
        x = cols - n
        y = 110 + 40 * np.sin(x / 7) * np.cos(rows / 9) + 60 * (np.abs(x - 60) < 20)
        y = (y + rng.normal(0, noise, y.shape)).clip(16, 235).astype(np.uint8)
        grey = np.full((H // 2, W // 2), 128, np.uint8)
        frames.append(Frame(y, grey, grey, n * 3750))
    return frames


def edited(model: NanoModel, prompt: str, frames: Sequence[Frame]) -> list[Frame]:
    state = model.open_state(W, H)
    model.set_edit(state, Edit(1, prompt, transition_ms=0))
    return [model.step(state, [frame])[0] for frame in frames]


def test_a_cartoon_keeps_its_lines_and_a_pencil_does_not_smear_its_paper(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    holds = {edit.name: edit.hold for edit in EDITS}
    assert holds["cartoon"] > 0.5
    assert holds["pencil"] == 0
    assert all(holds[edit.name] == 0 for edit in EDITS if edit.kind == "paint"), "they hold by themselves"
    assert holds["recolour"] == 0, "what is not touched is the camera's"
    model = NanoModel(WEIGHTS, threads=1)
    try:
        frames = clip(6, 3.0)
        calm = edited(model, "turn it into a cartoon", frames)
        again = edited(model, "turn it into a cartoon", frames)
        assert all(np.array_equal(a.y, b.y) for a, b in zip(calm, again, strict=True))
        monkeypatch.setattr("gpu.nano.plan.hold_of", lambda name: 0.0)
        wild = edited(model, "turn it into a cartoon", frames)
    finally:
        model.close()

    def change(made: Sequence[Frame]) -> float:
        inside = np.s_[8:-8, 16:-8]
        pairs = itertools.pairwise(made[2:])
        return float(
            np.mean([np.abs(np.roll(a.y.astype(float), 1, 1) - b.y)[inside].mean() for a, b in pairs])
        )

    assert change(calm) < 0.8 * change(wild)


def test_a_plan_asks_for_the_graphs_it_runs_and_no_others() -> None:
    assert _graphs_of(plan_of([])) == set(), "back to the source waits for no compile"
    assert _graphs_of(plan_of(parts("mosaic"))) == {"paint", "follow"}
    assert _graphs_of(plan_of(parts("pencil"))) == {"draw", "regain", "sheet"}
    assert _graphs_of(plan_of(parts("neon"))) == {"draw", "hold", "regain"}
    assert _graphs_of(plan_of(parts("noir", region="background"))) == {"look", "person", "hold"}
