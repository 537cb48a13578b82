"""A reading is told in full, and alike in an answer and in a receipt."""

from __future__ import annotations

from gpu.types import Edit, Part, Reading
from server import protocol
from server.api import reading_info
from server.reading import received, wire_parts

READING = Reading(
    (Part("snow", 0.5), Part("recolour", 1.0, "person", ("red", "blue"))),
    0.8,
    ("Rain", "Fog"),
    True,
    "x",
    ("ink",),
)


def test_parts_keep_where_and_with_which_colours() -> None:
    assert wire_parts(READING) == [
        protocol.Part(name="snow", amount=0.5, region="everywhere", colours=[]),
        protocol.Part(name="recolour", amount=1.0, region="person", colours=["red", "blue"]),
    ]


def test_the_answer_and_the_receipt_say_the_same() -> None:
    told, receipt = reading_info(READING), received(Edit(7, "snow", 0.4, seed=3), READING)
    assert (receipt.revision, receipt.prompt, receipt.strength, receipt.seed) == (7, "snow", 0.4, 3)
    for name in ("label", "parts", "confidence", "understood", "nearest", "left_out"):
        assert getattr(told, name) == getattr(receipt, name), name
