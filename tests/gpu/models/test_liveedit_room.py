"""A model or a stream that does not fit is refused before anything is taken."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from gpu.errors import NoMemory
from gpu.models import liveedit_room
from gpu.models.liveedit import LiveEditModel
from gpu.models.settings import ModelSettings
from gpu.wan.config import LIVEEDIT_1_3B, StreamShape

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
