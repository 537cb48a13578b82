"""An edit model with all of nano's presets and a reader that follows rules; pictures stay as they are.

For tests of the page: what it shows is known beforehand, and nothing is computed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from gpu.models.base import EditState
from gpu.models.passthrough import SPEC as BARE
from gpu.models.passthrough import PassthroughModel
from gpu.nano.edits import COLOURS, EDITS, OFFERS
from gpu.types import Change, Edit, Frame, ModelSpec, Part, Preset, Reading

# The catalogue of nano under its name, so that the rendered tiles are found.
SPEC = replace(
    BARE,
    name="nano",
    title="Made for tests",
    presets=tuple(Preset(p.name, p.label, p.prompt, p.group) for p in (*EDITS, *OFFERS)),
)
NEAREST = ("Rain", "Snow", "Fog")
UNSURE = "something wintry perhaps"
UNDO, UNDO_THAT, HALF = "back to normal", "undo that", "half of that"
MIXED = "snow, and me in fog"
TWO_STYLES = "a pencil sketch and a starry night"


def read(prompt: str) -> Reading:
    """Edits whose label is in the prompt; "slightly" halves; what the prompt says at its end is where."""
    text = prompt.strip().lower()
    if not text:
        return Reading((), 1.0)
    if text == UNSURE:
        return Reading((Part("winter", 1.0),), 0.4, ("Winter", "Snow", "Fog"), True, "winter")
    if text == UNDO_THAT:
        return Reading((), 0.95, label="the edit before", steps_back=True)
    if text == HALF:
        return Reading((), 0.0, understood=False, note="nothing is in force", change=Change(0.5))
    if text == UNDO:
        return Reading((), 0.95, (), True, "original")
    if text == MIXED:
        parts = (Part("snow", 1.0), Part("fog", 1.0, "person"))
        return Reading(parts, 0.93, (), True, "snow + fog")
    if text == TWO_STYLES:
        part = Part("pencil", 1.0)
        return Reading((part,), 0.93, (), True, "pencil sketch", ("starry night",))
    region = "person" if re.search(r"\bme$", text) else "background" if "background" in text else "everywhere"
    amount = 0.5 if "slightly" in text else 1.0
    colours = tuple(word for word in re.findall(r"[a-z]+", text) if word in COLOURS)
    asked = {preset.prompt: preset.name for preset in EDITS}
    names = [asked[prompt]] if prompt in asked else [e.name for e in EDITS if e.label.lower() in text]
    parts = tuple(Part(name, amount, region, colours if "colour" in name else ()) for name in names)  # type: ignore[arg-type]
    if not parts:
        return Reading((), 0.1, NEAREST, False)
    return Reading(parts, 0.93, NEAREST, True, " + ".join(names))


class MadeModel:
    def __init__(self) -> None:
        self._bare = PassthroughModel()

    @property
    def spec(self) -> ModelSpec:
        return SPEC

    @property
    def device(self) -> str:
        return "no device"

    def admit(self) -> None:
        self._bare.admit()

    def open_state(self, width: int, height: int) -> EditState:
        return self._bare.open_state(width, height)

    def read(self, prompt: str) -> Reading:
        return read(prompt)

    def set_edit(self, state: EditState, edit: Edit) -> Reading:
        self._bare.set_edit(state, edit)
        return read(edit.prompt)

    def ready_for(self, state: EditState, edit: Edit, wait_s: float = 0.0) -> bool:
        return True

    def step(self, state: EditState, chunk: Sequence[Frame]) -> list[Frame]:
        return self._bare.step(state, chunk)

    def close(self) -> None:
        self._bare.close()
