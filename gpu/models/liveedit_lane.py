"""One CUDA stream for all of a model's GPU work, ours and torch's: in order by itself, and not waited for.

torch's allocator gives memory back in a stream's order, so what one edit frees and the next one takes cannot
meet. It is also the one thing that threads share, so they take turns.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from gpu.errors import DeviceError

if TYPE_CHECKING:
    from gpu.cuda.arrays import DeviceArray
    from gpu.cuda.driver import Device

TURN_S = 60.0  # an engine may record a graph for a new stream meanwhile


class HostLane:
    """Where torch computes on the CPU: turns, and nothing else."""

    stream: Any = None

    def __init__(self) -> None:
        self._turn = threading.RLock()

    @contextmanager
    def turn(self) -> Iterator[None]:
        """This thread's torch work goes to the lane until the end. Raises DeviceError where the lane stays
        taken."""
        if not self._turn.acquire(timeout=TURN_S):
            raise DeviceError(
                f"the model was busy with another stream for {TURN_S:.0f} s: open the session again"
            )
        try:
            with torch.inference_mode(), self._current():
                yield
        finally:
            self._turn.release()

    def tensor(self, array: DeviceArray) -> Any:
        """The same memory as a torch tensor, which keeps it alive."""
        raise DeviceError("pictures on a GPU for a model on the CPU: set media to cpu")

    def close(self) -> None:
        """Idempotent."""

    @contextmanager
    def _current(self) -> Iterator[None]:
        yield


class CudaLane(HostLane):
    """On a GPU. `stream` is what kernels of ours are handed to."""

    def __init__(self, device: Device, name: str) -> None:
        """`name`: torch's of the same GPU, "cuda:0". It takes `device` over."""
        super().__init__()
        torch.cuda.synchronize(name)  # weights were copied on another stream
        self._device, self._name = device, name
        self.stream = device.stream()
        self._torch_stream = torch.cuda.ExternalStream(self.stream.handle, device=name)

    @classmethod
    def open(cls, name: str) -> CudaLane:
        """For torch's GPU of that name. Raises DeviceError where the driver itself cannot be asked."""
        from gpu.cuda.driver import Device

        return cls(Device.open(torch.device(name).index or 0), name)

    def tensor(self, array: DeviceArray) -> Any:
        return torch.as_tensor(array, device=self._name)

    def close(self) -> None:
        self._device.close()

    @contextmanager
    def _current(self) -> Iterator[None]:
        with torch.cuda.stream(self._torch_stream):
            yield
