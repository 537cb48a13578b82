"""When a stream that was damaged is decoded again: as libav's decoder here does it. Knows no decoder."""

from __future__ import annotations

from gpu.codec.decoder import RECOVERY_TICKS
from gpu.cuda.cuvid import NAMES
from gpu.cuda.driver_errors import CudaError
from gpu.errors import DeviceError, FrameError
from gpu.types import EncodedFrame

_MOST_REFUSALS = 3  # keyframes in a row that the driver refuses; a fourth would be refused too


class Recovery:
    """After damage pictures are built on damage: wait for a keyframe, but not for ever, because some senders
    send none on request."""

    def __init__(self) -> None:
        self._since: int | None = None
        self._seen_keyframe = False
        self._refusals = 0

    @property
    def waiting(self) -> bool:
        """Nothing can be shown until a keyframe comes."""
        return not self._seen_keyframe or self._since is not None

    def admits(self, encoded: EncodedFrame) -> bool:
        """Whether the stream can go on with this access unit."""
        if encoded.is_keyframe:
            self._seen_keyframe = True
            self._since = None
        elif not self._seen_keyframe:
            return False
        elif self._since is not None:
            if abs(encoded.pts - self._since) < RECOVERY_TICKS:
                return False
            self._since = None
        return True

    def begin(self, encoded: EncodedFrame) -> None:
        """`encoded` was damaged."""
        self._since = encoded.pts

    def judge(self, encoded: EncodedFrame, error: FrameError) -> None:
        """Raises DeviceError when damage is not the stream's fault, time and again."""
        if not encoded.is_keyframe or not isinstance(error.__cause__, CudaError):
            return
        self._refusals += 1
        if self._refusals >= _MOST_REFUSALS:
            raise DeviceError(
                f"the GPU's decoder refused {self._refusals} keyframes in a row, the last with "
                f"{error.__cause__.name}: let libav decode this {NAMES[encoded.codec]} on the CPU"
            ) from error

    def decoded(self) -> None:
        """An access unit was decoded."""
        self._refusals = 0
