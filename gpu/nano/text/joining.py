"""One reading of a prompt whose clauses were read one by one. Knows no network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from gpu.nano.text.labels import labels_of
from gpu.nano.text.places import Clause
from gpu.nano.text.reach import why_none
from gpu.types import Part, Reading

UNSURE = 0.7  # most confidence in a sentence only part of which can be done
_NEAREST = 3
_EDGES = " .,;:!?"


def joined(clauses: Sequence[Clause], readings: Sequence[Reading]) -> Reading | None:
    """The edits of all clauses, each in the place that its clause names; None where no clause has any.

    What is not understood of a place is left out, in the user's own words."""
    parts: list[Part] = []
    left_out: list[str] = []
    confidence = 1.0
    nearest: list[str] = []
    for clause, reading in zip(clauses, readings, strict=True):
        if reading.parts:
            confidence = min(confidence, reading.confidence)
        elif clause.region and not reading.understood:  # a clause without a place may be "please"
            left_out.append(f'"{clause.text.strip(_EDGES)}"')
        left_out += reading.left_out
        nearest += [label for label in reading.nearest if label not in nearest]
        parts += [part for one in reading.parts if (part := _placed(one, clause)) not in parts]
    if not parts:
        return None
    parts.sort(key=lambda part: -part.amount)
    if left_out:
        confidence = min(confidence, UNSURE)
    return Reading(
        tuple(parts), confidence, tuple(nearest[:_NEAREST]), True, labels_of(parts), tuple(left_out)
    )


def with_left_out(reading: Reading, pieces: Sequence[str]) -> Reading:
    """The reading of a prompt without these pieces, which are named in the user's own words.

    Where nothing else was said it is not understood."""
    if not reading.parts:
        return replace(reading, understood=False, note=why_none(pieces))
    quoted = tuple(f'"{piece}"' for piece in pieces)
    return replace(reading, confidence=min(reading.confidence, UNSURE), left_out=(*reading.left_out, *quoted))


def _placed(part: Part, clause: Clause) -> Part:
    """In its clause's place, unless its own words say where: "a spotlight on me" darkens what is behind."""
    if clause.region is None or part.region != "everywhere":
        return part
    return replace(part, region=clause.region)
