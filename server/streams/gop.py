"""The encoded frames since the last keyframe, as long as they are few: for viewers who come late."""

from __future__ import annotations

from gpu.types import CLOCK_HZ, EncodedFrame

LONGEST_TICKS = CLOCK_HZ // 2  # a viewer catches half a second up; for more a new keyframe is cheaper
MOST_FRAMES = 64


class GopCache:
    """Holds the frames themselves, never copies."""

    def __init__(self) -> None:
        self._frames: list[EncodedFrame] = []

    def add(self, frame: EncodedFrame) -> None:
        if frame.is_keyframe:
            self._frames = [frame]
        elif self._frames:
            span = frame.pts - self._frames[0].pts
            if span > LONGEST_TICKS or len(self._frames) >= MOST_FRAMES:
                self._frames = []  # until the next keyframe
            else:
                self._frames.append(frame)

    def frames(self) -> tuple[EncodedFrame, ...]:
        """From a keyframe to the newest frame; () where that is too long ago."""
        return tuple(self._frames)

    def clear(self) -> None:
        """Frames were lost: what follows does not fit."""
        self._frames = []
