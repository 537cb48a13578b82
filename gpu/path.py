"""A stream's path: who decodes and who encodes, and where its pictures are between them. Knows no GPU.

Pipelines are handed one and ask nothing more: the one on a GPU is gpu/cuda/path.py, who chooses is
gpu/media.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gpu.codec import base, open_decoder, open_encoder
from gpu.codec.base import EncoderConfig
from gpu.errors import RelensError
from gpu.types import Codec, EncodedFrame, Picture


class Decoder(Protocol):
    """As gpu.codec.base.Decoder, of any kind of picture, with a name."""

    @property
    def name(self) -> str:
        """What decodes now: "libav" or "NVDEC"."""
        ...

    @property
    def waiting_for_keyframe(self) -> bool: ...
    def decode(self, encoded: EncodedFrame) -> Sequence[Picture]: ...
    def close(self) -> None: ...


class Encoder(Protocol):
    """As gpu.codec.base.Encoder, of any kind of picture, with a name."""

    @property
    def name(self) -> str:
        """What encodes now: "libx264", "libvpx" or "NVENC"."""
        ...

    @property
    def target_bps(self) -> int: ...
    def begin(self, frame: Any) -> None:
        """`encode` will get this picture soon: what can be done early may begin. Any thread, never waits.

        Raises DeviceError."""
        ...

    def encode(self, frame: Any, keyframe: bool = False) -> list[EncodedFrame]: ...
    def set_bitrate(self, bps: int) -> None: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class MediaPath:
    """One stream's. `words` for people: who does what, and why no GPU does. `failed` hears what ended the
    stream, before its owner does."""

    open_decoder: Callable[[Codec, tuple[int, int] | None], Decoder]
    open_encoder: Callable[[EncoderConfig], Encoder]
    words: str = ""
    failed: Callable[[RelensError], None] = lambda _: None


def host_path(words: str = "libav on the CPU") -> MediaPath:
    """All in host memory, by libav (and libvpx)."""
    return MediaPath(HostDecoder, HostEncoder, words)


class HostDecoder:
    """libav's, with its name."""

    name = "libav"

    def __init__(self, codec: Codec, max_size: tuple[int, int] | None) -> None:
        self._decoder = open_decoder(codec, max_size)
        self.decode = self._decoder.decode
        self.close = self._decoder.close

    @property
    def waiting_for_keyframe(self) -> bool:
        return self._decoder.waiting_for_keyframe


class HostEncoder:
    """The CPU's encoder of a codec, with its name."""

    def __init__(self, config: EncoderConfig) -> None:
        self.name = software(config.codec)
        self._encoder: base.Encoder = open_encoder(config)
        self.encode, self.set_bitrate = self._encoder.encode, self._encoder.set_bitrate
        self.close = self._encoder.close

    @property
    def target_bps(self) -> int:
        return self._encoder.target_bps

    def begin(self, frame: Any) -> None:
        """There is nothing to do before its turn."""


def software(codec: Codec) -> str:
    """What encodes a codec on the CPU."""
    return "libvpx" if codec == "vp8" else "libx264"
