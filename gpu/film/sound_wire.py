"""How the child says packets of sound to its parent, many in one message. Knows no codec."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterator
from typing import Any

from gpu.film.wire import Say, Wire

# pts in the head's unit; samples (0: not known), samples not to be played at its begin and end, bytes,
# whether it is only there for the decoder
RECORD = struct.Struct("<qIIII?")
LOST = 1  # flag of REFUSED: the sound alone is lost, the film is not
_BATCH_BYTES = 1 << 18
_ALIVE_S = 0.5


class Silent(Exception):
    """There is a sound track, and nothing of it can be decoded."""


class Out:
    """Sends packets in batches."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._batch = bytearray()
        self._said = time.monotonic()

    def head(self, **said: Any) -> None:
        self._wire.send(Say.SOUND, body=json.dumps(said).encode())

    def packet(self, pts: int, samples: int, skip: int, drop: int, hidden: bool, data: bytes) -> None:
        self._batch += RECORD.pack(pts, samples, skip, drop, len(data), hidden)
        self._batch += data
        if len(self._batch) >= _BATCH_BYTES:
            self.flush()

    def alive(self) -> None:
        if time.monotonic() - self._said > _ALIVE_S:
            self._wire.send(Say.ALIVE)
            self._said = time.monotonic()

    def flush(self) -> None:
        if self._batch:
            self._wire.send(Say.PACKETS, body=bytes(self._batch))
            self._batch.clear()
            self._said = time.monotonic()


def sound_packets(source: Any, out: Out) -> Iterator[Any]:
    """Of the sound track; the parent hears that work goes on while pictures are passed over."""
    for packet in source.packets(sound=True):
        out.alive()
        if packet.stream_index == source.audio.index:
            yield packet
