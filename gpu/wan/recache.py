"""The last clean latents with their source, and how they are written into the ring again.

Under a new instruction the keys and values of the past still speak of the old one. They are made anew from
the clean latents in the window, the oldest first, each block by one pass at timestep 0 (after LongLive, which
replays clean latents at a change of prompt; an editor needs their source beside them).

The ring is *started again* for it: the replayed blocks become its first after the sink. Every slot of the
window is written or masked then, and the masks and positions are those of a fresh stream that was fed the
sink and these latents: nothing newer than a block is seen by it, and no mask has to be made up.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from gpu.wan.config import StreamShape
from gpu.wan.sampler import Sampler


class History:
    """Clean latents and their source of the last blocks, as many as the window holds; older ones are
    overwritten. In the network's own float type: as the clean pass saw them, so a replay is exact."""

    def __init__(self, like: Tensor, shape: StreamShape) -> None:
        """like: a block's latents, [1, C, block, h, w], for size, type and device."""
        self.capacity = shape.window // shape.block
        self._kept = torch.zeros((self.capacity, 2, *like.shape), dtype=like.dtype, device=like.device)
        self._pushed = 0

    def __len__(self) -> int:
        return min(self._pushed, self.capacity)

    @property
    def bytes(self) -> int:
        return self._kept.numel() * self._kept.element_size()

    def clear(self) -> None:
        self._pushed = 0

    def push(self, clean: Tensor, source: Tensor) -> None:
        """Keep a block's latents, [1, C, block, h, w] each."""
        place = self._kept[self._pushed % self.capacity]
        place[0].copy_(clean)
        place[1].copy_(source)
        self._pushed += 1

    def last(self, count: int) -> Iterator[tuple[Tensor, Tensor]]:
        """(clean, source) of the last `count` blocks, at most those kept, the oldest first. Views: a later
        push overwrites them."""
        count = min(count, len(self))
        for index in range(self._pushed - count, self._pushed):
            clean, source = self._kept[index % self.capacity]
            yield clean, source


def replay(sampler: Sampler, history: History, ring_block: int) -> int:
    """Write the ring anew under the conditioning that is in the pass's tensors.

    ring_block: blocks in the ring since its last start. Returns the same after the replay. The sink's slots
    are not written, unless `renew_sink`: the ring then begins anew with what is replayed. What is not
    replayed (`replayed`) is forgotten. Costs a pass a block, at most a window of them; nothing is done while
    all that was made lies in the sink."""
    shape, sampling = sampler.ring.shape, sampler.sampling
    sink = 0 if sampling.renew_sink else shape.sink // shape.block
    if ring_block <= sink:
        return ring_block
    wanted = shape.window if sampling.replayed is None else sampling.replayed
    count = min(len(history), ring_block - sink, wanted // shape.block)
    for index, (clean, source) in enumerate(history.last(count)):
        sampler.place(sink + index, source)
        sampler.commit(clean)
    return sink + count
