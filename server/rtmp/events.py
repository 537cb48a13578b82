"""What a peer does, as the connection tells it. Data only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from server.rtmp.address import Address


@dataclass(frozen=True, slots=True)
class PublishAsked:
    """To be answered by Connection.accept or refuse before anything else is read."""

    address: Address


@dataclass(frozen=True, slots=True)
class PlayAsked:
    """As PublishAsked."""

    address: Address


@dataclass(frozen=True, slots=True)
class Media:
    """A message of the stream that is published; `timestamp` in milliseconds modulo 2^32."""

    kind: Literal["video", "audio"]
    timestamp: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class Described:
    """onMetaData: `software` is what the encoder calls itself, or ""."""

    software: str


@dataclass(frozen=True, slots=True)
class Ended:
    """It stops publishing or playing, and said so."""


Event: TypeAlias = PublishAsked | PlayAsked | Media | Described | Ended
