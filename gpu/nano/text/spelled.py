"""Readings written out in full and read back exactly: "rain 60% + blur 85% (background)". Knows no network.

What is in force after "a bit less rain" has no words of the user's own. It is written down in these, on the
page and in recorded timelines, and means the same whatever was in force before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from gpu.nano.edits import COLOURS, EDITS, HUES, REGIONS
from gpu.nano.text.labels import label_of, labels_of
from gpu.types import Part, Reading

MOST_CHARS = 400
_PIECE = re.compile(r"(?P<label>[a-z][a-z -]{1,30}) (?P<percent>\d{1,3})%(?: \((?P<notes>[a-z, ]{1,40})\))?")
_NAMES = {edit.label.lower(): edit.name for edit in EDITS}
# How many colours an edit has, and of which each is.
_COLOURS = {"recolour": (HUES, COLOURS), "colour_pop": (HUES,), "backdrop": (COLOURS,)}


def spelled(parts: Iterable[Part]) -> str:
    """The words for parts, strongest first, amounts to a hundredth; "" for none."""
    ordered = sorted(parts, key=lambda part: -part.amount)
    return " + ".join(_spelled(part) for part in ordered if round(part.amount, 2) > 0)


def read_spelled(prompt: str) -> Reading | None:
    """What `spelled` wrote; None for any other words."""
    if "%" not in prompt or len(prompt) > MOST_CHARS:
        return None
    parts: list[Part] = []
    for piece in prompt.strip().lower().split(" + "):
        part = _part(piece)
        if part is None:
            return None
        parts.append(part)
    parts.sort(key=lambda part: -part.amount)
    return Reading(tuple(parts), 1.0, (), True, labels_of(parts))


def _spelled(part: Part) -> str:
    label, _, notes = label_of(replace(part, amount=1.0)).partition(" (")
    return f"{label} {round(100 * part.amount)}%" + (f" ({notes}" if notes else "")


def _part(piece: str) -> Part | None:
    found = _PIECE.fullmatch(piece)
    name = _NAMES.get(found["label"]) if found else None
    if found is None or name is None or not 0 < int(found["percent"]) <= 100:
        return None
    notes = found["notes"].split(", ") if found["notes"] else []
    wanted = _COLOURS.get(name, ())
    colours = tuple(notes.pop(0).split(" to ")) if wanted and notes else ()
    region = next((region for region in REGIONS if [region] == notes), None) if notes else REGIONS[0]
    if len(colours) != len(wanted) or region is None:
        return None
    if any(colour not in those for colour, those in zip(colours, wanted, strict=True)):
        return None
    return Part(name, int(found["percent"]) / 100, "background" if name == "backdrop" else region, colours)
