"""Live sound from one codec to another: AAC as RTMP and SRT carry it, Opus as WebRTC does."""

from .aac_to_opus import AacToOpus
from .opus_to_aac import OpusToAac
from .types import AacFrame

__all__ = ["AacFrame", "AacToOpus", "OpusToAac"]
