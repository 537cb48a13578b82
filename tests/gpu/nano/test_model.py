"""The `nano` model with the weights in the package: what holds for every frame, whatever the edit."""

from __future__ import annotations

import gc
import json
import shutil
import threading
import weakref
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu.engine import open_engine
from gpu.errors import DeviceError, FrameError, ModelError
from gpu.models.nano import ENGINES_KEPT, SPEC, WEIGHT_FILES, WEIGHTS, NanoModel
from gpu.nano.distill.metadata import write_metadata
from gpu.nano.edits import EDIT_BY_NAME, OFFERS
from gpu.nano.particles import _tiles
from gpu.nano.plan import SOURCE, plan_of
from gpu.types import Edit, Frame, Part
from tests.gpu.nano.conftest import clip, distance, force, opened, picture, same, still_clip

SIZES = [(160, 112), (640, 360), (322, 242), (1280, 720), (720, 1280), (18, 34)]


def test_streaming_equals_offline(model: NanoModel) -> None:
    frames = clip(160, 112, 6)
    wanted = ("starry_night", "night", Part("snow", 0.7, "background"))
    offline = force(model, opened(model, 160, 112), *wanted, strength=0.9)
    streaming = force(model, opened(model, 160, 112), *wanted, strength=0.9)
    at_once = model.step(offline, frames)
    one_by_one: list[Frame] = []
    other = force(model, opened(model, 160, 112), "fauvist", Part("blur", 1.0, "person"))
    for frame in frames:
        model.step(other, [frame])  # another stream in between must leave no trace
        one_by_one += model.step(streaming, [frame])
    assert all(same(a, b) for a, b in zip(at_once, one_by_one, strict=True))
    assert [(f.pts, f.arrived_ns) for f in at_once] == [(f.pts, f.arrived_ns) for f in frames]


@pytest.mark.parametrize(
    "edit", [Edit(1, "", 1.0), Edit(1, "make it night", 0.0), Edit(1, "back to normal", 1.0)]
)
def test_nothing_asked_is_the_source_itself(model: NanoModel, edit: Edit) -> None:
    state = force(model, opened(model, 160, 112), "negative")
    model.step(state, [picture(160, 112)])
    model.set_edit(state, replace(edit, transition_ms=0))
    frame = picture(160, 112, 1)
    assert model.step(state, [frame])[0] is frame


def test_what_is_not_understood_leaves_the_picture_as_it_is(model: NanoModel) -> None:
    changed, kept = (force(model, opened(model, 160, 112), "sepia") for _ in range(2))
    for state in (changed, kept):
        model.step(state, [picture(160, 112, 0)])
    reading = model.set_edit(changed, Edit(2, "qwxz bnm", 1.0, 0))
    assert not reading.understood
    frame = picture(160, 112, 1)
    assert same(model.step(changed, [frame])[0], model.step(kept, [frame])[0])


@pytest.mark.parametrize("size", SIZES)
def test_every_size_is_edited_up_to_its_edges(model: NanoModel, size: tuple[int, int]) -> None:
    width, height = size
    state = force(model, opened(model, width, height), "negative")
    frame = picture(width, height)
    made = model.step(state, [frame])[0]
    assert (made.y.shape, made.u.shape) == ((height, width), (height // 2, width // 2))
    assert all(plane.flags.c_contiguous for plane in (made.y, made.u, made.v))
    for strip in (np.s_[:2], np.s_[-2:], np.s_[:, :2], np.s_[:, -2:]):
        # dark for light, no seam where the padding begins
        assert abs(float((made.y[strip].astype(float) + frame.y[strip]).mean()) - 251) < 30


@pytest.mark.parametrize("size", [(160, 112), (1280, 720)])
def test_engines_agree(model: NanoModel, size: tuple[int, int]) -> None:
    """OpenVINO and ONNX Runtime: after four frames of recurrence a byte in a thousand is two levels off."""
    other = NanoModel(WEIGHTS, threads=1, engine="onnxruntime")
    wanted = ("ink", "golden_hour", Part("blur", 1.0, "background"))
    states = [force(m, opened(m, *size), *wanted) for m in (model, other)]
    for frame in clip(*size, 4):
        a, b = (m.step(s, [frame])[0] for m, s in zip((model, other), states, strict=True))
    other.close()
    off = np.concatenate([np.abs(p.astype(int) - q).ravel() for p, q in ((a.y, b.y), (a.u, b.u), (a.v, b.v))])
    assert float((off > 1).mean()) < 1e-3


def test_a_new_edit_finds_the_cache_as_it_was(model: NanoModel) -> None:
    state = force(model, opened(model, 160, 112), "sepia")
    model.step(state, [picture(160, 112)])
    before = state.steadied
    model.set_edit(state, Edit(2, "make it night"))
    assert state.steadied is before
    assert state.cache_valid
    assert before.luma.any()


@pytest.mark.parametrize("edit", ["starry_night", "pencil", "vivid"])
def test_the_cache_earns_its_place(model: NanoModel, edit: str) -> None:
    """A still picture under noise flickers less than half as much as without it."""

    def flicker(frames: list[Frame]) -> float:
        return float(np.mean([distance(a, b) for a, b in pairwise(frames[4:])]))

    frames = still_clip(160, 112, 12, noise=2.0)
    with_cache, without = (force(model, opened(model, 160, 112), edit) for _ in range(2))
    kept = model.step(with_cache, frames)
    forgotten = []
    for frame in frames:
        without.forget()
        forgotten += model.step(without, [frame])
    assert flicker(kept) < 0.5 * flicker(forgotten)


def test_what_moves_leaves_no_trace(model: NanoModel) -> None:
    """A block that jumps is where it is, and nothing of it where it was."""
    ground = np.full((112, 160), 90, np.uint8)
    grey = np.full((56, 80), 128, np.uint8)
    state = force(model, opened(model, 160, 112), Part("brighten", 0.01))
    for t in range(8):
        y = ground.copy()
        y[40:72, 10 + 12 * t : 42 + 12 * t] = 150
        made = model.step(state, [Frame(y, grey, grey, 3000 * t)])[0]
    assert np.abs(made.y.astype(int) - y).max() <= 4


def test_transition_is_monotone_and_ends_at_the_edit(model: NanoModel) -> None:
    frame = picture(160, 112)
    state, there = opened(model, 160, 112), force(model, opened(model, 160, 112), "negative")
    model.step(state, [replace(frame, pts=0)])
    force(model, state, "negative", over_ms=400)
    goal = model.step(there, [frame])[0]
    distances = [distance(model.step(state, [replace(frame, pts=3000 * i)])[0], goal) for i in range(1, 16)]
    assert distances[0] < distance(frame, goal), "the first frame after the edit already shows it"
    assert all(b <= a + 0.05 for a, b in pairwise(distances))
    assert distances[11] < 1.0, "400 ms are twelve frames"


@pytest.mark.parametrize(
    ("old", "new"), [("night", "high_key"), ("starry_night", "mosaic"), ("ink", "sepia")]
)
def test_switching_does_not_flash(model: NanoModel, old: str, new: str) -> None:
    """From edit to edit every step is small, and none is brighter or darker than both ends."""
    frame = picture(160, 112)
    state = force(model, opened(model, 160, 112), old)
    shown = [model.step(state, [replace(frame, pts=3000 * i)])[0] for i in range(3)]
    force(model, state, new, over_ms=400)
    shown += [model.step(state, [replace(frame, pts=3000 * i)])[0] for i in range(3, 18)]
    whole = distance(shown[2], shown[-1])
    assert whole > 5
    assert max(distance(a, b) for a, b in pairwise(shown[2:])) < 0.2 * whole + 2
    light = [float(f.y.mean()) for f in shown]
    assert min(light[2], light[-1]) - 2 < min(light)
    assert max(light) < max(light[2], light[-1]) + 2


def test_asking_again_in_between_does_not_jump(model: NanoModel) -> None:
    frame = picture(160, 112)
    state = force(model, opened(model, 160, 112), "night")
    shown = [model.step(state, [replace(frame, pts=0)])[0]]
    time = 0
    for name, frames in (("high_key", 5), ("sepia", 3), ("night", 2), ("negative", 16)):
        force(model, state, name, over_ms=400)
        for _ in range(frames):
            time += 3000
            shown += model.step(state, [replace(frame, pts=time)])
            assert len(state.transition.now.plans) <= 2
    there = force(model, opened(model, 160, 112), "negative")
    goal = model.step(there, [frame])[0]
    assert distance(shown[-1], goal) < 1
    largest = max(distance(a, b) for a, b in pairwise(shown))
    assert largest < 0.25 * distance(shown[0], goal)


@pytest.mark.parametrize("size", [(160, 112), (640, 360)])
def test_a_painting_of_what_stands_still_stays_where_it_is(model: NanoModel, size: tuple[int, int]) -> None:
    """Strokes are carried along by a flow: at no size may it move what does not move."""
    state = force(model, opened(model, *size), "expressionist")
    shown = model.step(state, still_clip(*size, 8, noise=2.0))
    assert distance(shown[-1], shown[0]) < 3


def test_asking_again_elsewhere_does_not_jump(model: NanoModel) -> None:
    """From the whole picture to a part of it, and again before that was done; and out of falling snow."""
    frame = picture(160, 112)
    for names in (
        ("night", Part("negative", 1.0, "person"), Part("sepia", 1.0, "person")),
        (Part("snow", 1.0), "sepia", "warm"),
    ):
        state = force(model, opened(model, 160, 112), names[0])
        shown = [model.step(state, [replace(frame, pts=0)])[0]]
        time = 0
        for name, frames in zip(names[1:], (16, 40), strict=True):
            force(model, state, name, over_ms=1000)
            for _ in range(frames):
                time += 3000
                shown += model.step(state, [replace(frame, pts=time)])
        steps = [distance(a, b) for a, b in pairwise(shown)]
        assert max(steps) < 0.3 * distance(shown[0], shown[-1]), names


def test_a_clock_set_back_does_not_freeze_a_transition(model: NanoModel) -> None:
    state = force(model, opened(model, 160, 112), "night")
    model.step(state, [picture(160, 112, 0, pts=900_000_000)])
    force(model, state, "negative", over_ms=400)
    for index in range(16):
        model.step(state, [picture(160, 112, 0, pts=3000 * index)])
    assert len(state.transition.now.plans) == 1


def test_the_person_is_found_again_after_a_plan_for_everywhere(model: NanoModel) -> None:
    state = opened(model, 160, 112)
    plans = (
        (Part("blur", 1.0, "background"),),
        ("sepia",),
        (Part("watercolour", 1.0, "background"),),
    )
    for index in range(12):
        force(model, state, *plans[index % 3 if index > 5 else index // 2])
        model.step(state, [picture(160, 112, index)])


def test_a_known_size_opens_while_another_compiles(model: NanoModel, monkeypatch: pytest.MonkeyPatch) -> None:
    model.open_state(160, 112)
    go_on = threading.Event()

    def slow(*args: Any) -> Any:
        assert go_on.wait(20)
        return open_engine(*args)

    monkeypatch.setattr("gpu.nano.engines.open_engine", slow)
    other = threading.Thread(target=model.open_state, args=(208, 112), daemon=True)
    opener = threading.Thread(target=model.open_state, args=(160, 112), daemon=True)
    other.start()
    opener.start()
    opener.join(10)
    assert not opener.is_alive()
    assert other.is_alive()
    go_on.set()
    other.join(20)
    assert not other.is_alive()


def test_strength_lies_between_source_and_edit(model: NanoModel) -> None:
    frame = picture(160, 112)
    changes = []
    for strength in (0.25, 0.5, 1.0):
        state = force(model, opened(model, 160, 112), "negative", strength=strength)
        changes.append(distance(model.step(state, [frame])[0], frame))
    assert changes[0] == pytest.approx(changes[2] / 4, rel=0.05)
    assert changes[1] == pytest.approx(changes[2] / 2, rel=0.05)


@pytest.mark.parametrize("edit", ["vivid", "recolour"])
def test_camera_detail_comes_through_at_720p(model: NanoModel, edit: str) -> None:
    """One-pixel detail is far below the canvas; a look must carry it all the same."""
    smooth = picture(1280, 720)
    y = smooth.y.copy()
    y[::2, ::2] = np.clip(y[::2, ::2].astype(int) + 24, 16, 235)
    state = force(model, opened(model, 1280, 720), edit)
    made = model.step(state, [replace(smooth, y=y)])[0]
    fine_in = np.abs(np.diff(y.astype(float), axis=1)).mean()
    fine_out = np.abs(np.diff(made.y.astype(float), axis=1)).mean()
    assert fine_out > 0.7 * fine_in


def test_wrong_sizes_are_refused(model: NanoModel) -> None:
    state = force(model, opened(model, 160, 112), "sepia")
    with pytest.raises(FrameError, match="open a new state"):
        model.step(state, [picture(176, 112)])
    for width, height in ((161, 112), (1282, 720), (8, 8), (0, 0)):
        with pytest.raises(ModelError, match=r"even size.*1280x720, or 720x1280"):
            model.open_state(width, height)


def test_full_range_source_is_edited_as_limited(model: NanoModel) -> None:
    frame = replace(picture(160, 112), full_range=True)
    state = force(model, opened(model, 160, 112), "sepia")
    assert not model.step(state, [frame])[0].full_range


def test_seed_places_the_flakes(model: NanoModel) -> None:
    frame = picture(160, 112)
    shown = []
    for seed in (1, 1, 2):
        state = opened(model, 160, 112)
        model.set_edit(state, Edit(1, "", seed=seed))
        force(model, state, "snow")
        shown.append(model.step(state, [frame])[0])
    assert same(shown[0], shown[1])
    assert not same(shown[0], shown[2])


def test_weather_is_made_when_a_stream_opens(model: NanoModel) -> None:
    state = opened(model, 160, 112)
    made = _tiles.cache_info().misses
    for seed in (0, 3, 4):
        model.set_edit(state, Edit(1, "", seed=seed))
        force(model, state, "rain", "snow")
        model.step(state, [picture(160, 112)])
    assert _tiles.cache_info().misses == made


def test_a_compile_holds_up_no_stream_and_not_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    model = NanoModel.load(threads=1)
    state = force(model, opened(model, 160, 112), "sepia")
    for _ in range(2):  # from the second on it holds what it made before, by a graph of its own
        model.step(state, [picture(160, 112)])
    compiling, go_on = threading.Event(), threading.Event()
    waited: list[bool] = []

    def slow(*args: Any) -> Any:
        compiling.set()
        waited.append(go_on.wait(20))
        return open_engine(*args)

    monkeypatch.setattr("gpu.nano.engines.open_engine", slow)
    opening = threading.Thread(target=model.open_state, args=(176, 112), daemon=True)
    opening.start()
    assert compiling.wait(10)
    model.step(state, [picture(160, 112)])
    model.close()
    assert not waited, "neither the step nor the end waited for the compile"
    with pytest.raises(ModelError, match="closed"):
        model.step(state, [picture(160, 112)])
    go_on.set()
    opening.join(30)
    assert not opening.is_alive()


def test_the_end_does_not_wait_for_a_step_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gpu.models.nano.CLOSE_S", 0.01)
    model = NanoModel.load(threads=1)
    state = force(model, opened(model, 160, 112), "sepia")
    with model._lock:
        model.close()
    model.step(state, [picture(160, 112)])  # what it held is whole until it is done


def test_an_edit_is_ready_once_its_graphs_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    model = NanoModel.load(threads=1)
    state = opened(model, 176, 112)
    opened_graphs: list[str] = []
    go_on = threading.Event()

    def slow(path: Path, *args: Any) -> Any:
        opened_graphs.append(path.name)
        assert go_on.wait(20)
        return open_engine(path, *args)

    monkeypatch.setattr("gpu.nano.engines.open_engine", slow)
    assert model.ready_for(state, Edit(1, "qwxz bnm")), "what is not understood changes nothing"
    edit = Edit(2, "paint the background like Starry Night, but not me", transition_ms=0)
    assert not model.ready_for(state, edit)
    assert {"paint.onnx", "person.onnx"} <= set(opened_graphs)
    go_on.set()
    assert model.ready_for(state, edit, 30)
    before = len(opened_graphs)
    model.set_edit(state, edit)
    model.step(state, [picture(176, 112)])
    assert {"paint.onnx", "person.onnx"}.isdisjoint(opened_graphs[before:])
    model.close()


@pytest.mark.parametrize(
    "prompt",
    ["make it night", "make it rain behind me", "a cartoon with a blurred background", "blue things red", ""],
)
def test_no_step_of_an_edit_that_is_ready_compiles(monkeypatch: pytest.MonkeyPatch, prompt: str) -> None:
    fresh = NanoModel.load(threads=1)
    monkeypatch.setattr("gpu.nano.engines.Engines.go_on", lambda self: None)
    state, edit = opened(fresh, 176, 112), Edit(1, prompt, transition_ms=0)
    assert fresh.ready_for(state, edit, 60)
    monkeypatch.setattr("gpu.nano.engines.open_engine", None)  # whoever calls it fails
    fresh.set_edit(state, edit)
    for index in range(3):
        fresh.step(state, [picture(176, 112, index)])
    fresh.close()


def test_a_size_whose_graphs_could_not_be_compiled_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    model = NanoModel.load(threads=1)

    def none(*args: Any) -> Any:
        raise DeviceError("no engine today")

    with monkeypatch.context() as patch:
        patch.setattr("gpu.nano.engines.open_engine", none)
        with pytest.raises(DeviceError, match="today"):
            model.open_state(192, 112)
    state = force(model, opened(model, 192, 112), "sepia")
    model.step(state, [picture(192, 112)])
    model.close()


def test_a_stream_outlives_its_engines_place_among_the_kept(model: NanoModel) -> None:
    old = force(model, opened(model, 160, 112), "ink")
    for width in range(32, 32 + 16 * ENGINES_KEPT, 16):
        model.open_state(width, 32)
    fresh = force(model, opened(model, 160, 112), "ink")
    assert fresh.engines is not old.engines
    assert same(*(model.step(state, [picture(160, 112)])[0] for state in (old, fresh)))


def test_engines_that_lost_their_place_are_gone_with_their_last_stream(model: NanoModel) -> None:
    collected = gc.isenabled()
    gc.disable()  # it comes by too seldom for a hundred megabytes a size
    try:
        old = weakref.ref(opened(model, 176, 112).engines)
        for width in range(32, 32 + 16 * ENGINES_KEPT, 16):
            assert old() is not None
            model.open_state(width, 32)
        assert old() is None
    finally:
        if collected:
            gc.enable()


def test_presets_come_group_by_group_and_are_what_they_say(model: NanoModel) -> None:
    groups = [preset.group for preset in SPEC.presets]
    order = ["art", "drawing", "looks", "weather", "room", "colour"]
    assert [group for i, group in enumerate(groups) if i == 0 or groups[i - 1] != group] == order
    offers = {offer.name for offer in OFFERS}
    for preset in SPEC.presets:
        reading = model.read(preset.prompt)
        assert reading.parts, preset
        if preset.name not in offers:
            assert reading.parts[0].name == preset.name
            assert EDIT_BY_NAME[preset.name].group == preset.group


def test_two_arts_at_once_are_one_and_the_reading_says_so(
    model: NanoModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    reading = replace(
        model.read(""),
        parts=(Part("pencil", 1.0), Part("cubist", 0.9), Part("night", 0.8)),
        label="all three",
    )
    monkeypatch.setattr(model._tower, "read", lambda prompt: reading)
    read = model.read("a cubist pencil sketch at night")
    assert [part.name for part in read.parts] == ["pencil", "night"]
    assert (read.label, read.left_out) == ("pencil sketch + night", ("cubist",))


def test_a_plan_the_weights_cannot_run_is_refused_before_a_frame(
    model: NanoModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = opened(model, 160, 112)
    with pytest.raises(ModelError):
        model.aim(state, plan_of([Part("recolour", 1.0, "everywhere", ("plaid", "blue"))]))
    assert state.transition.target == SOURCE


def test_foreign_weights_are_refused(tmp_path: Path) -> None:
    for file in WEIGHT_FILES:
        shutil.copy(WEIGHTS / file, tmp_path)
    with pytest.raises(ModelError, match="cannot be read"):
        NanoModel(tmp_path)
    write_metadata(tmp_path, {"look": 1.04})
    write_metadata(tmp_path, {"draw": 2.0})
    about = json.loads((tmp_path / "nano.json").read_text())
    assert about["trained_minutes"] == {"draw": 2.0, "look": 1.0}
    assert about["sha256"] == json.loads((WEIGHTS / "nano.json").read_text())["sha256"]
    graph = tmp_path / "look.onnx"
    graph.write_bytes(graph.read_bytes() + b"\0")
    with pytest.raises(ModelError, match="do not belong"):
        NanoModel(tmp_path)
    graph.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        NanoModel(tmp_path)


def test_nobody_is_sent_to_an_edit_that_does_not_convince(model: NanoModel) -> None:
    offered = {preset.label for preset in SPEC.presets}
    for prompt in ("add a dog", "make me a robot", "paint me", "a superhero", "make it nice"):
        assert set(model.read(prompt).nearest) <= offered, prompt
