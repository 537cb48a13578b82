"""What is said of a film. Data only; times in ticks of 90 kHz counted from the first shown frame.

A film's first frame has time 0. Where its sound begins is `AudioInfo.start`, which may be below 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from gpu.errors import RelensError
from gpu.types import CLOCK_HZ


class FilmError(RelensError):
    """A file cannot be taken, or a film not be read or written. The message is for whoever sent it."""


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """The film's picture track, as it is shown (turned upright, square pixels)."""

    codec: str  # libav's name: "h264"
    width: int  # even
    height: int
    frames: int  # counted, packet by packet
    fps: Fraction  # mean
    duration: int  # ticks from the first frame to the end of the last
    turned: int = 0  # degrees clockwise by which the stored picture was turned to be shown
    full_range: bool = False
    bt709: bool = False


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """The film's first sound track."""

    codec: str
    rate_hz: int
    channels: int
    start: int  # ticks, against the first frame
    duration: int  # ticks


@dataclass(frozen=True, slots=True)
class FilmInfo:
    """What probing found. `container` is libav's short name: "mp4", "matroska"."""

    container: str
    video: VideoInfo
    audio: AudioInfo | None
    bytes: int


@dataclass(frozen=True, slots=True)
class FilmLimits:
    """What is taken of somebody else's file, and what reading it may use."""

    containers: tuple[str, ...] = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
    most_bytes: int = 20 << 30
    most_pixels: int = 3840 * 2160
    most_frames: int = 2_000_000
    most_streams: int = 16
    longest_s: float = 6 * 3600.0
    most_fps: float = 240.0
    memory_bytes: int = 2 << 30  # address space of the child that reads it
    stall_s: float = 20.0  # without a frame: given up
    most_threads: int = 8  # of the decoder: sooner, but with one the same work takes a fifth less


@dataclass(frozen=True, slots=True)
class Span:
    """Frames that are rendered together: a segment. `scene`: it begins with another scene, so nothing before
    it needs to be seen to edit it."""

    index: int
    first_frame: int
    frames: int
    start: int  # ticks of its first frame
    end: int  # ticks where the next begins, or the film ends
    scene: bool

    @property
    def seconds(self) -> float:
        return (self.end - self.start) / CLOCK_HZ
