"""What was understood, in words for people: "night + blur (background)"."""

from __future__ import annotations

from collections.abc import Iterable

from gpu.nano.edits import EDIT_BY_NAME
from gpu.types import Part


def label_of(part: Part) -> str:
    """One edit with its colours and its place: "recolour (red to blue, person)"; at nothing, "fog (off)"."""
    label = EDIT_BY_NAME[part.name].label.lower()
    notes = [" to ".join(part.colours)] if part.colours else []
    if part.region != "everywhere" and part.name != "backdrop":
        notes.append(part.region)
    if part.amount <= 0:  # the picture shows none of it
        notes.append("off")
    return f"{label} ({', '.join(notes)})" if notes else label


def labels_of(parts: Iterable[Part]) -> str:
    return " + ".join(map(label_of, parts))
