"""What a model took an instruction for, as it goes over the wire: the same of an answer and of a receipt."""

from __future__ import annotations

from gpu.types import Edit, Reading
from server import protocol


def wire_parts(reading: Reading) -> list[protocol.Part]:
    """The parts of a reading, strongest first."""
    return [
        protocol.Part(name=part.name, amount=part.amount, region=part.region, colours=list(part.colours))
        for part in reading.parts
    ]


def received(edit: Edit, reading: Reading) -> protocol.Received:
    """The receipt of an edit."""
    return protocol.Received(
        revision=edit.revision,
        prompt=edit.prompt,
        strength=edit.strength,
        seed=edit.seed,
        label=reading.label,
        parts=wire_parts(reading),
        confidence=reading.confidence,
        understood=reading.understood,
        nearest=list(reading.nearest),
        left_out=list(reading.left_out),
        note=reading.note,
    )


def why_not(reading: Reading) -> str:
    """What there is to say after "it cannot do that": why, and what is near."""
    nearest = f"; the nearest it can do: {', '.join(reading.nearest)}" if reading.nearest else ""
    return (f": {reading.note}" if reading.note else "") + nearest
