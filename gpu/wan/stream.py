"""One stream through the full-size model: blocks of source latents in, as many edited ones out.

Holds what lasts from block to block: the ring (in the pass's tensors), the last clean latents, the
instruction in force, the choice of the mask cache, the drift guard. Knows no pictures, texts or receipts. One
thread at a time. Blocks are edited in order, each from its own source and what came before it, never from
what follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gpu.errors import DeviceError, ModelError
from gpu.wan.bindings import kept_tokens
from gpu.wan.config import StreamShape
from gpu.wan.drift import DriftGuard
from gpu.wan.engines.base import PassEngine
from gpu.wan.importance import importance, kept
from gpu.wan.recache import History, replay
from gpu.wan.sampler import Sampler, Sampling
from gpu.wan.transition import Cross, Transition


@dataclass(frozen=True, slots=True)
class InForce:
    """The newest instruction of which a block was made."""

    number: int  # what `condition` returned
    since: int  # the first block it had a share in
    share: float  # in the last block: below 1 while a transition runs
    alone_since: int | None  # the first block made under it alone


class EditStream:
    """A stream of its own pass, ring and history on an engine that others use too.

    Switching: with transition_blocks 0 or 1 the next block is made under the new instruction alone, and the
    ring is re-cached before it. With n, the next n blocks blend, the last of them is new alone, and the ring
    is re-cached once, before that one: until then the past was made under much the same blend as the present.
    A block whose instruction differs from its predecessor's is computed in full: what its predecessor changed
    says nothing of it."""

    def __init__(self, engine: PassEngine, shape: StreamShape, sampling: Sampling | None = None) -> None:
        """Opens a pass. Raises ModelError for a shape the engine was not built for, DeviceError when memory
        is short."""
        self.shape = shape
        self.sampling = sampling or Sampling()
        self._config, self._device = engine.config, engine.device
        self._pass = engine.open(shape, mask_cache=self.sampling.mask_cache)
        self._tensors = self._pass.tensors
        self._asked = 0
        self._closed = False
        try:
            with _device_errors():
                self._history = History(self._tensors["noisy"], shape)
                self._begin()
        except BaseException:
            self._pass.close()
            raise

    def _begin(self) -> None:
        self._sampler = Sampler(self._pass, self.sampling)
        self._transition = Transition(self._tensors, self._config.layers)
        self._history.clear()
        self.drift: DriftGuard | None = None
        if self.sampling.drift_guard:
            self.drift = DriftGuard(self.shape, self._config.latent_channels, self._device)
        self._block = self._ring_block = 0
        self._chosen = False  # `kept` holds a choice for the next block
        self._waiting: tuple[Cross, int, int] | None = None  # one place, the newest wins
        self._in_force: InForce | None = None

    @property
    def block(self) -> int:
        """Blocks edited so far; the number of the next one."""
        return self._block

    @property
    def ring_blocks(self) -> int:
        """Blocks in the ring's count since it was last started: those of the sink, and all after it."""
        return self._ring_block

    @property
    def in_force(self) -> InForce | None:
        """Changes in `edit` only: a receipt's "applied" is when `number` changes."""
        return self._in_force

    def condition(self, cross: Cross, transition_blocks: int = 0) -> int:
        """An instruction for the blocks from the next on; returns its number, counted from 1.

        cross: for each layer keys and values, [1, heads, text_len, head_dim], of the network's `condition`;
        they must stay as they are. transition_blocks: blocks over which it takes over; the first instruction
        of a stream takes force at once. Asked again before the next block, the newest wins and the number of
        the other never comes into force. Raises ModelError for conditioning of another network."""
        self._check_open()
        if transition_blocks < 0:
            raise ModelError(f"a transition over {transition_blocks} blocks: 0 or more")
        self._transition.check(cross)
        self._asked += 1
        self._waiting = (cross, transition_blocks, self._asked)
        return self._asked

    @torch.inference_mode()
    def edit(self, source: Tensor) -> Tensor:
        """Edit the next block. source: [1, C, block, h, w] float32, normalised as the network wants it, on
        any device -> the same, on the engine's, a new tensor. A cell that is not a number is taken as 0 in
        the source, and as the source in what comes out: it would stay in the ring.

        On CUDA it queues and does not wait. Raises ModelError for another shape, without an instruction, or
        once closed: the stream goes on as if not called. DeviceError from the engine: close the stream."""
        self._check_open()
        noisy = self._tensors["noisy"]
        if source.shape != noisy.shape:
            raise ModelError(f"a block of source latents is {tuple(noisy.shape)}, not {tuple(source.shape)}")
        with _device_errors():
            return self._edit(source)

    def _edit(self, source: Tensor) -> Tensor:
        noisy = self._tensors["noisy"]
        source = source.to(noisy.device, torch.float32, non_blocking=True).nan_to_num(0.0, 0.0, 0.0)
        if self._take_instruction():
            self._chosen = False
        self._sampler.place(self._ring_block, source)
        clean = self._sampler.sample(self._block, pruned=self._chosen)
        clean = torch.where(clean.isfinite(), clean, source)
        if self.drift is not None:
            clean = self.drift.correct(clean, source)
        self._sampler.commit(clean)
        self._history.push(clean, source)
        if self.sampling.mask_cache:
            self._tensors["kept"].copy_(kept(importance(clean, source), kept_tokens(self.shape)))
            self._chosen = True
        self._block += 1
        self._ring_block += 1
        return clean

    @torch.inference_mode()
    def recache(self) -> None:
        """Write the window's keys and values anew under what is in force: a pass for each block in it. Done
        by `edit` when an instruction has taken over."""
        self._check_open()
        with _device_errors():
            self._ring_block = replay(self._sampler, self._history, self._ring_block)

    @torch.inference_mode()
    def restart(self, seed: int | None = None) -> None:
        """Begin anew in the same tensors, as a stream just opened does, and far cheaper: nothing is
        allocated, compiled or recorded again. For after a long pause, a jump in time, or another seed. The
        next block needs an instruction; numbers of `condition` go on."""
        self._check_open()
        for name, tensor in self._tensors.items():
            if name.startswith(("ring_", "delta.")):
                tensor.zero_()  # what is masked must still be a number
        if seed is not None:
            self.sampling = replace(self.sampling, seed=seed)
        self._begin()

    def close(self) -> None:
        """Let the pass go, and everything on the device. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self._waiting = self.drift = None
        self._pass.close()
        del self._pass, self._tensors, self._history, self._sampler, self._transition  # all hold its tensors

    def _take_instruction(self) -> bool:
        """Write the conditioning of the block about to be made. True if it differs from the last block's."""
        if self._waiting is not None:
            cross, blocks, number = self._waiting
            self._waiting = None
            self._transition.begin(cross, blocks if self._in_force is not None else 0)
            self._in_force = InForce(number, self._block, 0.0, None)
            if self.drift is not None:
                self.drift.restart()
        if self._in_force is None:
            raise ModelError("no instruction yet: call condition() before the first block")
        if not self._transition.running:
            return False
        arrived = self._transition.step()
        now = self._in_force
        alone = self._block if arrived else None
        self._in_force = InForce(now.number, now.since, self._transition.share, alone)
        if arrived and self._block:
            self.recache()
            if self.drift is not None:
                self.drift.restart()
        return True

    def _check_open(self) -> None:
        if self._closed:
            raise ModelError("this stream is closed: open another")


@contextmanager
def _device_errors() -> Iterator[None]:
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceError(f"no memory left on the device for this stream: {error}") from error
    except torch.AcceleratorError as error:
        raise DeviceError(f"the device failed in this stream: {error}") from error
