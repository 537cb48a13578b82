"""Where latents lie, in numbers; and that a stream over the ring is one over a list of everything."""

from __future__ import annotations

import pytest

from gpu.errors import ModelError
from gpu.wan.config import StreamShape
from gpu.wan.ring import EMPTY, Ring

SHAPES = [
    StreamShape(48, 32, block, sink, window)
    for block, sink, window in ((1, 0, 1), (1, 1, 3), (1, 3, 9), (3, 0, 9), (3, 3, 9), (3, 6, 3))
]


def test_the_long_video_script_of_liveedit() -> None:
    """Three latents stay, nine roll, three are made at a time; a latent has 1560 tokens."""
    ring = Ring(StreamShape(832, 480, 3, 3, 9))
    first = ring.place(0)
    assert (first.write_index, first.slots) == (0, (0, 1, 2))
    assert first.positions == first.latents == (0, 1, 2, *[EMPTY] * 9)
    assert not first.full
    assert ring.place(3).full
    assert ring.place(3).positions == ring.place(3).latents == tuple(range(12))
    rolled = ring.place(4)  # latents 12, 13 and 14 in place of 3, 4 and 5
    assert (rolled.write_index, rolled.slots) == (3 * 1560, (3, 4, 5))
    assert rolled.latents == (0, 1, 2, 12, 13, 14, 6, 7, 8, 9, 10, 11)
    assert rolled.positions == (0, 1, 2, 9, 10, 11, 3, 4, 5, 6, 7, 8)
    assert rolled.query_positions == (9, 10, 11)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_places_follow_from_the_sink_and_the_age(shape: StreamShape) -> None:
    ring = Ring(shape)
    inside: dict[int, int] = {}  # slot: latent, as writing block after block leaves them
    for block in range(40):
        place = ring.place(block)
        made = range(block * shape.block, (block + 1) * shape.block)
        inside.update(zip(place.slots, made, strict=True))
        assert place.slots == tuple(range(place.slots[0], place.slots[0] + shape.block))
        assert place.write_index == place.slots[0] * shape.latent_tokens
        assert place.latents == tuple(inside.get(slot, EMPTY) for slot in range(shape.ring))
        held = sorted(inside.values())
        end = made[-1] + 1
        assert held == [n for n in range(end) if n < shape.sink or n >= end - shape.window]
        ages = {latent: index for index, latent in enumerate(held)}
        assert place.positions == tuple(ages.get(latent, EMPTY) for latent in place.latents)
        assert place.full == (len(held) == shape.ring)


def test_blocks_are_counted_from_0() -> None:
    with pytest.raises(ModelError, match="block -1"):
        Ring(StreamShape()).place(-1)
