"""Decoders and encoders of one stream, chosen by codec."""

from __future__ import annotations

from gpu.codec.base import DECODES, ENCODES, Decoder, Encoder, EncoderConfig, Profile
from gpu.errors import DeviceError
from gpu.types import Codec

__all__ = [
    "DECODES",
    "ENCODES",
    "Decoder",
    "Encoder",
    "EncoderConfig",
    "Profile",
    "open_decoder",
    "open_encoder",
]


def open_decoder(codec: Codec, max_size: tuple[int, int] | None = None) -> Decoder:
    """A low-delay decoder for `codec` first and for what the stream goes over to at a keyframe.

    Pictures beyond `max_size`, either way up, are scaled down."""
    from gpu.codec.decoder import LibavDecoder

    return LibavDecoder(codec, max_size)


def open_encoder(config: EncoderConfig) -> Encoder:
    """A zero-latency encoder for frames of any size.

    Raises DeviceError for a codec not in ENCODES; `encode` does where the library is missing."""
    from gpu.codec import libvpx
    from gpu.codec.encoder import LibavEncoder

    if config.codec not in ENCODES:
        raise DeviceError(
            f"{config.codec} is not encoded without a GPU that does: ask for {' or '.join(ENCODES)}"
        )
    if config.codec == "vp8" and libvpx.usable():
        return libvpx.LibvpxEncoder(config)
    return LibavEncoder(config)
