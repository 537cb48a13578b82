"""What a decoder and an encoder are. Knows frames, not libraries, devices or threads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

from gpu.types import Codec, EncodedFrame, Frame

Profile = Literal["baseline", "main", "high"]
DECODES: tuple[Codec, ...] = ("h264", "vp8", "hevc", "av1", "vp9")  # on any CPU
ENCODES: tuple[Codec, ...] = ("h264", "vp8")  # on any CPU, in real time beside a model


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """How to encode one stream. Size and range come with the frames."""

    codec: Codec = "h264"
    bitrate_bps: int = 1_500_000
    min_bps: int = 150_000
    max_bps: int = 4_000_000
    profile: Profile = "baseline"  # H.264 only: the highest the peer accepts
    threads: int = 1

    def clamp(self, bps: int) -> int:
        """`bps` within the floor and the ceiling."""
        return max(self.min_bps, min(int(bps), self.max_bps))


class Decoder(Protocol):
    """Encoded frames to pictures, one stream, one thread at a time."""

    @property
    def waiting_for_keyframe(self) -> bool:
        """True when nothing can be shown until a keyframe comes."""
        ...

    def decode(self, encoded: EncodedFrame) -> list[Frame]:
        """Usually one picture; none while the decoder waits for a keyframe.

        Raises FrameError when the access unit is corrupt; the next keyframe is decoded again."""
        ...

    def close(self) -> None: ...


class Encoder(Protocol):
    """Pictures to encoded frames, one stream, one thread at a time. Takes any size at any frame."""

    @property
    def target_bps(self) -> int:
        """What it aims at."""
        ...

    def encode(self, frame: Frame, keyframe: bool = False) -> list[EncodedFrame]:
        """One encoded frame with the picture's pts and arrived_ns. `keyframe` forces one (IDR).

        Raises FrameError when the library refuses the picture."""
        ...

    def set_bitrate(self, bps: int) -> None:
        """Aim at `bps`, within the configured floor and ceiling, from the next picture on; no keyframe."""
        ...

    def close(self) -> None: ...
