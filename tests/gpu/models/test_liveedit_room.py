"""A model or a stream that does not fit is refused before anything is taken."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from gpu.errors import NoMemory
from gpu.models import liveedit_room
from gpu.models.liveedit import LiveEditModel
from gpu.models.liveedit_engine import engine_bytes
from gpu.models.settings import ModelSettings
from gpu.wan.config import LIVEEDIT_1_3B, StreamShape
from gpu.wan.cost import parameters

RANDOM = ModelSettings(random_weights=True)


def free(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(liveedit_room, "free_bytes", lambda device: count)


def test_weights_that_do_not_fit_are_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 2 * 2**30)

    def never(*of: object) -> None:
        raise AssertionError("weights were made all the same")

    monkeypatch.setattr("gpu.models.liveedit.random_parts", never)
    with pytest.raises(NoMemory, match=r"liveedit-1\.3b with one stream at 832x480.*2\.0 GiB are free.*nano"):
        LiveEditModel.load("liveedit-1.3b", RANDOM)


def test_a_stream_more_is_refused_at_the_door_and_again_where_it_would_be_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = LiveEditModel.load("liveedit-toy", RANDOM)
    first = model.open_state(128, 80)
    model.admit()
    free(monkeypatch, 1000)
    with pytest.raises(NoMemory, match="no smaller choice fits"):
        model.admit()
    with pytest.raises(NoMemory):
        model.open_state(128, 80)
    monkeypatch.undo()
    model.open_state(128, 80)
    assert first.edit.prompt == ""
    model.close()


def test_what_is_asked_for_the_full_model_is_what_a_small_gpu_has_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """8 GiB hold weights and no ring at 832x480; 16 GiB hold both."""
    shape = StreamShape()
    free(monkeypatch, 7 * 2**30)
    with pytest.raises(NoMemory):
        liveedit_room.check_load(LIVEEDIT_1_3B, shape, "bfloat16", "cuda:0")
    free(monkeypatch, 15 * 2**30)
    liveedit_room.check_load(LIVEEDIT_1_3B, shape, "bfloat16", "cuda:0")


def test_engines_of_tensorrt_hold_weights_of_their_own_each(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four canvases: 2.6 GiB for each, 1.4 in FP8, and as much again for the pruned passes."""
    name, shape = LIVEEDIT_1_3B.name, StreamShape()
    assert engine_bytes(name, ModelSettings()) == 0
    plain = engine_bytes(name, ModelSettings(engine="tensorrt"))
    assert plain == 4 * 2 * parameters(LIVEEDIT_1_3B)
    assert engine_bytes(name, ModelSettings(engine="tensorrt", mask_cache=True)) == 2 * plain
    assert 0.5 < engine_bytes(name, ModelSettings(engine="tensorrt", fp8=True)) / plain < 0.6
    free(monkeypatch, 15 * 2**30)
    with pytest.raises(NoMemory, match=r"TensorRT's engines.*10\.6.*: pass_engine auto, .* would fit"):
        liveedit_room.check_load(LIVEEDIT_1_3B, shape, "bfloat16", "cuda:0", False, plain)
    free(monkeypatch, 24 * 2**30)
    liveedit_room.check_load(LIVEEDIT_1_3B, shape, "bfloat16", "cuda:0", False, plain)


def test_the_engine_asked_for_is_counted_before_weights_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    free(monkeypatch, 15 * 2**30)
    monkeypatch.setattr("gpu.models.liveedit.best_device", lambda: "cuda:0")
    monkeypatch.setattr("gpu.models.liveedit.check_engine", lambda *of: None)
    with pytest.raises(NoMemory, match="TensorRT's engines"):
        LiveEditModel.load(LIVEEDIT_1_3B.name, ModelSettings(random_weights=True, engine="tensorrt"))
