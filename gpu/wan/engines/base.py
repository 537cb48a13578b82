"""What an engine of the causal network is. Knows the named tensors of a pass, not what they mean.

An engine holds the weights once. Each stream opens a `Pass` of its own: its tensors, allocated once, its ring
among them, and what the engine records for them (a CUDA graph, an I/O binding, an execution context).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from gpu.wan.config import StreamShape, WanConfig


class Pass(Protocol):
    """One stream's tensors and the way to run a pass on them. One thread at a time."""

    @property
    def shape(self) -> StreamShape: ...

    @property
    def batch(self) -> int: ...

    @property
    def tensors(self) -> Mapping[str, Any]:
        """torch tensors by the names of bindings.py, on the engine's device; they never move. The owner
        writes inputs into them (`copy_`), and reads `flow` after `run`."""
        ...

    def run(self, pruned: bool = False) -> None:
        """One pass over what the tensors hold: `flow` and the ring (and the deltas) are written in place.

        `pruned` needs a pass opened with `mask_cache`. On CUDA it queues on the current stream, and does not
        wait.
        Raises ModelError once closed, DeviceError when the device fails or has no memory left."""
        ...

    def close(self) -> None:
        """Let the tensors go. Idempotent."""
        ...


class PassEngine(Protocol):
    """A network's weights, ready to run. `open` from any thread."""

    @property
    def name(self) -> str:
        """For people: "TensorRT 11.4, FP8, SM90"."""
        ...

    @property
    def config(self) -> WanConfig: ...

    @property
    def device(self) -> str:
        """torch's name of where the tensors are: "cpu", "cuda:0"."""
        ...

    @property
    def dtype(self) -> Any:
        """torch's float type of the tensors of kind "model"."""
        ...

    def open(self, shape: StreamShape, batch: int = 1, mask_cache: bool = False) -> Pass:
        """Tensors for a stream, zeroed, and a pass that is ready to run: compiling or recording is done here.

        Raises ModelError for a shape the engine was not built for, DeviceError when memory is short."""
        ...

    def close(self) -> None:
        """Let the weights go. Idempotent."""
        ...
