"""When a stream that was damaged is decoded again: as libav's decoder here does it. Knows no decoder."""

from __future__ import annotations

from gpu.codec.decoder import RECOVERY_TICKS
from gpu.types import EncodedFrame


class Recovery:
    """After damage pictures are built on damage: wait for a keyframe, but not for ever, because some senders
    send none on request."""

    def __init__(self) -> None:
        self._since: int | None = None
        self._seen_keyframe = False

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
