"""The edits `nano` can do: names, words for people, groups. Order is the order of the conditioning vector.

Knows nothing of networks, text towers or teachers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Group = Literal["looks", "weather", "drawing"]


@dataclass(frozen=True, slots=True)
class EditInfo:
    """One edit: `name` in code and weights, `label` for people, `prompt` a sentence that asks for it."""

    name: str
    label: str
    group: Group
    prompt: str


EDITS: tuple[EditInfo, ...] = (
    EditInfo("night", "Night", "looks", "make it night"),
    EditInfo("golden_hour", "Golden hour", "looks", "golden hour light"),
    EditInfo("sepia", "Sepia", "looks", "sepia tones"),
    EditInfo("black_and_white", "Black and white", "looks", "black and white"),
    EditInfo("vintage_film", "Vintage film", "looks", "faded vintage film"),
    EditInfo("teal_and_orange", "Teal and orange", "looks", "teal and orange movie look"),
    EditInfo("infrared", "Infrared", "looks", "infrared photograph"),
    EditInfo("high_key", "High key", "looks", "bright high key photograph"),
    EditInfo("thermal", "Thermal camera", "looks", "thermal camera"),
    EditInfo("negative", "Negative", "looks", "photographic negative"),
    EditInfo("rain", "Rain", "weather", "make it rain"),
    EditInfo("snow", "Snow", "weather", "make it snow"),
    EditInfo("fog", "Fog", "weather", "add thick fog"),
    EditInfo("pencil", "Pencil sketch", "drawing", "as a pencil sketch"),
    EditInfo("ink", "Ink drawing", "drawing", "as an ink drawing"),
    EditInfo("cartoon", "Cartoon", "drawing", "turn it into a cartoon"),
    EditInfo("neon", "Neon", "drawing", "glowing neon outlines"),
    EditInfo("blueprint", "Blueprint", "drawing", "as a blueprint"),
    EditInfo("watercolour", "Watercolour", "drawing", "as a watercolour painting"),
    EditInfo("oil_painting", "Oil painting", "drawing", "as an oil painting"),
)

EDIT_NAMES: tuple[str, ...] = tuple(edit.name for edit in EDITS)
EDIT_BY_NAME: dict[str, EditInfo] = {edit.name: edit for edit in EDITS}
