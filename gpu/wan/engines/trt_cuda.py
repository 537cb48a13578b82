"""What an engine of TensorRT needs of CUDA, through torch: streams, recording, waiting with an end to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import torch

from gpu.errors import DeviceError

Work = Callable[[], None]  # queues work on the current stream and does not wait
FIRST_RUN_S = 300.0  # TensorRT-RTX compiles its kernels for the GPU in an engine's first run
_POLL_S = 0.002


class Cuda(Protocol):
    """One device. The tests' stand-in runs at once, on the CPU."""

    def stream(self) -> int:
        """Handle of the calling thread's current stream."""
        ...

    def record(self, work: Work, capture: bool) -> Work:
        """Run `work` once on a stream of its own and wait for it; then, with `capture`, record it as a CUDA
        graph. What is returned queues it on the current stream."""
        ...

    def mark(self) -> Work:
        """What is queued on the current stream by now; calling it waits for that, at most 10 s.

        Raises DeviceError when it takes longer."""
        ...


class TorchCuda:
    """A GPU."""

    def __init__(self, device: str) -> None:
        self._device = torch.device(device)

    def stream(self) -> int:
        return torch.cuda.current_stream(self._device).cuda_stream

    def record(self, work: Work, capture: bool) -> Work:
        outer, own = torch.cuda.current_stream(self._device), torch.cuda.Stream(self._device)
        own.wait_stream(outer)
        with torch.cuda.stream(own):
            work()  # the first run may allocate and compile, which cannot be recorded
            _wait(own.record_event(), FIRST_RUN_S)
            if not capture:
                return work
            graph = torch.cuda.CUDAGraph()
            # Only this thread is held to what can be recorded: other streams' threads go on allocating.
            graph.capture_begin(capture_error_mode="thread_local")
            try:
                work()
            finally:
                graph.capture_end()
        return graph.replay

    def mark(self) -> Work:
        event = torch.cuda.current_stream(self._device).record_event()
        return lambda: _wait(event, 10.0)


def _wait(event: torch.cuda.Event, timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not event.query():
        if time.monotonic() >= deadline:
            raise DeviceError(
                f"the GPU did not finish in {timeout_s:.0f} s: see nvidia-smi, and dmesg for Xid errors"
            )
        time.sleep(_POLL_S)
