"""Pictures in GPU memory onto a canvas and back: gpu/cuda's kernels around torch's tensors, on one stream.

The counterpart of liveedit_canvas.py, with the same methods, for DeviceFrames. No picture crosses the bus.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpu.cuda.convert import Converter
from gpu.cuda.frame import DeviceFrame, FramePool
from gpu.models.liveedit_lane import HostLane

_SPARE = 4  # frames beside those of a step and two chunks that wait: encoded now, and what an encoder keeps


class DeviceCanvas:
    """For pictures of one size on one GPU, in chunks of up to `chunk`. In the lane's turn only."""

    def __init__(self, first: DeviceFrame, canvas: tuple[int, int], chunk: int, lane: HostLane) -> None:
        """Raises CudaError where memory is full, DeviceLost."""
        device, (w, h) = first.luma.device, canvas
        self._lane, self._chunk = lane, chunk
        self._pool = FramePool(device, first.width, first.height, 3 * chunk + _SPARE)
        self._converter = Converter(device, lane.stream, first.width, first.height, canvas)
        # At the same addresses for ever, so that the kernels' graphs need not be recorded again.
        self._shown = device.array((chunk, 3, h, w), np.float16)
        self._edited = device.array((chunk, 3, h, w), np.float16)
        self._mask = device.array((chunk, h, w), np.float16)
        self._tensors = tuple(map(lane.tensor, (self._shown, self._edited, self._mask)))

    def onto(self, frames: Sequence[DeviceFrame]) -> Any:
        """As Canvas.onto: float32 [T, 3, h, w] in 0..1, of float16's precision."""
        for index, frame in enumerate(frames):
            self._converter.to_canvas(frame, self._shown[index])
        return self._tensors[0][: len(frames)].float()

    def over(
        self, frames: Sequence[DeviceFrame], edited: Any, shown: Any, mask: Any, strengths: Sequence[float]
    ) -> list[DeviceFrame]:
        """As Canvas.over; `shown` must be what the last `onto` gave. The frames are ready when their events
        are."""
        count = len(frames)
        self._tensors[1][:count].copy_(edited)
        self._tensors[2][:count].copy_(mask)
        return [
            self._converter.composite(
                frame,
                self._edited[i],
                self._mask[i],
                strength,
                self._pool.take(self._lane.stream),
                self._shown[i],
            )
            for i, (frame, strength) in enumerate(zip(frames, strengths, strict=True))
        ]

    def close(self) -> None:
        """Frames alive keep theirs. Idempotent."""
        self._converter.close()
        self._pool.close()
        self._tensors = ()
