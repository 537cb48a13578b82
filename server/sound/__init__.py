"""Live sound from one codec to another: AAC as RTMP and SRT carry it, Opus as WebRTC does, a film's PCM."""

from .aac_to_opus import AacToOpus
from .opus_to_aac import OpusToAac
from .pcm_to_opus import PcmToOpus
from .types import AacFrame

__all__ = ["AacFrame", "AacToOpus", "OpusToAac", "PcmToOpus"]
