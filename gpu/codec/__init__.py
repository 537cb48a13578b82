"""Decoders and encoders of one stream, chosen by codec."""

from __future__ import annotations

from gpu.codec.base import Decoder, Encoder, EncoderConfig, Profile
from gpu.types import Codec

__all__ = ["Decoder", "Encoder", "EncoderConfig", "Profile", "open_decoder", "open_encoder"]


def open_decoder(codec: Codec, max_size: tuple[int, int] | None = None) -> Decoder:
    """A low-delay decoder; pictures beyond `max_size`, either way up, are scaled down."""
    from gpu.codec.decoder import LibavDecoder

    return LibavDecoder(codec, max_size)


def open_encoder(config: EncoderConfig) -> Encoder:
    """A zero-latency encoder for frames of any size. `encode` raises DeviceError where it cannot be had."""
    from gpu.codec import libvpx
    from gpu.codec.encoder import LibavEncoder

    if config.codec == "vp8" and libvpx.usable():
        return libvpx.LibvpxEncoder(config)
    return LibavEncoder(config)
