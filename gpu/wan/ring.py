"""Where a stream's latents lie in its ring, and at which positions they are rotated: bookkeeping, no tensors.

The first `sink` latents stay for good, in the first slots; the rest go round in the window's slots, so that
nothing is ever moved. Positions are those of the window, not of the stream: the sink 0 .. sink-1, then the
recent latents by age. They never exceed the ring, so a stream may run for days, and as rotary attention sees
only differences, it sees the recent ones as it would with positions counted from the start.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpu.errors import ModelError
from gpu.wan.config import StreamShape

EMPTY = -1  # in place of a latent or a position: nothing in that slot yet


@dataclass(frozen=True, slots=True)
class RingPlace:
    """The ring as one block's passes find it, that block included.

    write_index: the token of the ring at which the block begins; slots: those the block is written to, one
    after the other; positions, latents: for every slot of the ring, the position its keys are rotated to and
    the stream's latent in it (EMPTY: nothing yet, it is not attended to)."""

    write_index: int
    slots: tuple[int, ...]
    positions: tuple[int, ...]
    latents: tuple[int, ...]

    @property
    def query_positions(self) -> tuple[int, ...]:
        """Position of each of the block's latents."""
        return tuple(self.positions[slot] for slot in self.slots)

    @property
    def full(self) -> bool:
        """Every slot holds a latent: nothing is left to mask."""
        return EMPTY not in self.latents


class Ring:
    """Places of a stream's blocks. A function of the shape alone: the same for every stream of that shape."""

    def __init__(self, shape: StreamShape) -> None:
        self.shape = shape

    def slot(self, latent: int) -> int:
        """The slot of the stream's latent `latent`, counted from 0."""
        sink, window = self.shape.sink, self.shape.window
        return latent if latent < sink else sink + (latent - sink) % window

    def place(self, block_index: int) -> RingPlace:
        """Where block `block_index`, counted from 0, is made. Raises ModelError for a negative one."""
        if block_index < 0:
            raise ModelError(f"block {block_index}: blocks are counted from 0")
        shape = self.shape
        first = block_index * shape.block
        end = first + shape.block
        recent = range(max(shape.sink, end - shape.window), end)
        latents = [EMPTY] * shape.ring
        positions = [EMPTY] * shape.ring
        for latent in range(min(shape.sink, end)):
            latents[latent] = positions[latent] = latent
        for age, latent in enumerate(recent):
            slot = self.slot(latent)
            latents[slot], positions[slot] = latent, shape.sink + age
        slots = tuple(self.slot(latent) for latent in range(first, end))
        return RingPlace(slots[0] * shape.latent_tokens, slots, tuple(positions), tuple(latents))
