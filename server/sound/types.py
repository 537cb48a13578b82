"""What crosses the border of live sound, and its units. Data only."""

from __future__ import annotations

from dataclasses import dataclass

from server.peer.types import AUDIO_HZ

RATE_HZ = AUDIO_HZ  # what all sound is made to have here


def not_taken(codec: str) -> str:
    """How the facts of a publisher name sound that comes and is left out."""
    return f"{codec.lower()} (not taken)"


@dataclass(frozen=True, slots=True)
class AacFrame:
    """One raw AAC access unit, without ADTS; `pts_48k`: when its first sample is heard, in 48 kHz ticks."""

    data: bytes
    pts_48k: int
    arrived_ns: int = 0
