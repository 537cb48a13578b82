"""The choice between nano's sizes: a rule on times, and a measurement that ends whatever it meets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import cast

import pytest

from gpu.errors import DeviceError
from gpu.models import choice
from gpu.models.base import EditModel, EditState
from gpu.models.choice import FEW, HOPELESS, LARGE, MANY, PROMPTS, SMALL, Choice, choose, judge
from gpu.models.nano import NanoModel
from gpu.models.passthrough import PassthroughModel
from gpu.types import Edit, Frame, Reading

PICTURE_MS = 1e3 / choice.FPS


@pytest.mark.parametrize(
    ("share", "few", "many"),
    [(0.1, "holds", "holds"), (0.55, "open", "holds"), (0.65, "open", "fails"), (0.8, "fails", "fails")],
)
def test_what_lies_in_between_is_measured_for_longer(share: float, few: str, many: str) -> None:
    assert judge([share * PICTURE_MS] * FEW) == few
    assert judge([share * PICTURE_MS] * MANY) == many


def test_one_slow_step_does_not_decide_and_two_hopeless_ones_do() -> None:
    quick, slow = 0.2 * PICTURE_MS, 9 * PICTURE_MS
    assert judge([slow]) == "open"
    assert judge([slow, quick]) == "open"
    assert judge([quick] * (FEW - 1) + [slow]) == "holds"
    assert judge([1.01 * HOPELESS * PICTURE_MS] * 2) == "fails"
    assert judge([quick] * (FEW - 1)) == "open", "few are too few for good news"


class Clock:
    """Time that passes only when a step says so."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class Timed(PassthroughModel):
    """Every step takes what it is told for the edit in force."""

    def __init__(self, clock: Clock, step_ms: Callable[[str], float]) -> None:
        super().__init__()
        self._clock, self._step_ms = clock, step_ms
        self._prompt = ""
        self.steps: dict[str, int] = {}
        self.closed = threading.Event()

    def set_edit(self, state: EditState, edit: Edit) -> Reading:
        self._prompt = edit.prompt
        return super().set_edit(state, edit)

    def step(self, state: EditState, chunk: Sequence[Frame]) -> list[Frame]:
        self._clock.now_s += self._step_ms(self._prompt) / 1e3
        self.steps[self._prompt] = self.steps.get(self._prompt, 0) + 1
        return list(chunk)

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(choice.time, "monotonic", made)
    monkeypatch.setattr(choice.time, "perf_counter", made)
    return made


def chosen(monkeypatch: pytest.MonkeyPatch, model: Timed) -> Choice:
    monkeypatch.setattr(choice, "load_model", lambda name, threads: {LARGE: cast(EditModel, model)}[name])
    return choose(2)


def test_a_quick_machine_gets_the_large_one_loaded(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    model = Timed(clock, lambda prompt: {PROMPTS[1]: 18.0}.get(prompt, 12.0))
    made = chosen(monkeypatch, model)
    assert (made.name, made.model) == (LARGE, model)
    assert "18 ms" in made.why
    assert PROMPTS[1] in made.why
    assert "25 ms" in made.why, "what it was held to"
    assert not model.closed.is_set()
    assert model.steps == dict.fromkeys(PROMPTS, 1 + FEW)


def test_the_dearest_edit_decides(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    model = Timed(clock, lambda prompt: 10.0 if prompt != PROMPTS[2] else 28.0)
    made = chosen(monkeypatch, model)
    assert (made.name, made.model) == (SMALL, None)
    assert "28 ms" in made.why
    assert model.closed.is_set()
    assert model.steps[PROMPTS[2]] == 1 + MANY, "it was left open at first"


def test_a_slow_machine_is_known_after_two_steps(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    model = Timed(clock, lambda prompt: 80.0)
    made = chosen(monkeypatch, model)
    assert made.name == SMALL
    assert model.steps == {PROMPTS[0]: 3}
    assert "80 ms" in made.why


def test_a_measurement_that_takes_too_long_speaks_for_the_small_one(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    steps = iter((4000.0, 20.0, 26.0))  # it compiles for long; then there is no time to find out
    slow = Timed(clock, lambda prompt: next(steps))
    made = chosen(monkeypatch, slow)
    assert made.name == SMALL
    assert sum(slow.steps.values()) == 3
    assert "23 ms" in made.why


def test_what_goes_wrong_speaks_for_the_small_one(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    def breaks(prompt: str) -> float:
        raise DeviceError("no engine takes this")

    model = Timed(clock, breaks)
    made = chosen(monkeypatch, model)
    assert made.name == SMALL
    assert "no engine takes this" in made.why
    assert model.closed.is_set()

    def none(name: str, threads: int) -> EditModel:
        raise DeviceError("not here")

    monkeypatch.setattr(choice, "load_model", none)
    assert choose().name == SMALL
    assert "not here" in choose().why


def test_every_prompt_of_the_measurement_is_understood_as_another_kind() -> None:
    model, kinds = NanoModel.load(threads=1), []
    for prompt in PROMPTS:
        reading = model.read(prompt)
        assert reading.understood
        kinds.append(reading.parts[0].name)
    model.close()
    assert kinds == ["starry_night", "pencil", "recolour"]
