"""Serving one film to the parent, in the child: answers its messages. Nothing is loaded after this module."""

from __future__ import annotations

import json
import os
import struct
import time
from dataclasses import asdict

from gpu.film import sandbox
from gpu.film.index import unpack_index
from gpu.film.pictures import Pictures
from gpu.film.probe import count, decode_first, describe
from gpu.film.ring import Ring
from gpu.film.shape import Shaper
from gpu.film.source import Opening, Source
from gpu.film.types import FilmError, FilmLimits
from gpu.film.wire import Ask, Gone, Mark, Message, Say, Wire

_ALIVE_S = 0.5
# What reading may take of the processor: never reached by a film that plays.
_OPEN_CPU_S = 120.0
_CPU_S_PER_BYTE = 1e-7
_CPU_S_PER_FRAME = 1.0


class Service:
    """One film: opened, then read again and again."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._queued: Message | None = None  # a READ that came while another was served

    def serve(self, order: Message) -> None:
        """`order`: OPEN. Raises Gone when the parent has ended it."""
        try:
            self._open(order)
            self._make_ring(self._wire.receive(None))
            while True:
                message = self._queued or self._wire.receive(None)
                self._queued = None
                if message.kind == Say.READ:
                    self._read(message)
        except FilmError as error:
            self._refuse(str(error))
        except MemoryError:
            self._refuse("the film needs more memory than is given to it: send it smaller")
        except Gone:
            raise
        except Exception as error:
            self._refuse(
                f"the film cannot be read ({type(error).__name__}: {error}): send it again or convert it"
            )
            raise

    def _open(self, message: Message) -> None:

        (size,) = struct.unpack_from("<I", message.body)
        order = json.loads(message.body[4 : 4 + size])
        table = message.body[4 + size :]
        limits = FilmLimits(**{**order["limits"], "containers": tuple(order["limits"]["containers"])})
        fd = self._wire.take_fd()
        sandbox.allow_cpu(_OPEN_CPU_S + _CPU_S_PER_BYTE * os.fstat(fd).st_size)
        opening = Opening(fd, order["demuxer"], limits)
        source = Source(opening)
        first = decode_first(source)
        if table:
            index = unpack_index(table)
        else:
            # Not by seeking: that goes to the first keyframe, past sound that begins before it.
            source.close()
            source = Source(opening)
            index, audio = count(source, first.pts, lambda: self._wire.send(Say.ALIVE))
            info = describe(source, order["container"], first, index, audio)
            said = asdict(info)
            said["video"]["fps"] = info.video.fps.as_integer_ratio()
            self._wire.send(Say.INDEX, body=index.pack())
            self._wire.send(Say.INFO, body=json.dumps(said).encode())
        self._index = index
        self._shape = first.shape
        self._shaper = Shaper(first.shape, first.size)
        self._pictures = Pictures(source, index)

    def _make_ring(self, message: Message) -> None:

        fd = self._wire.take_fd()
        self._ring = Ring(fd, self._shape.width, self._shape.height)
        os.close(fd)

    def _read(self, order: Message) -> None:
        (end,) = struct.unpack("<q", order.body)
        sandbox.allow_cpu(_OPEN_CPU_S + _CPU_S_PER_FRAME * (end - order.b))
        free, slot = self._ring.slots, 0
        said = time.monotonic()
        glimpses = order.flags & Ask.GLIMPSES
        for shown in self._pictures.glimpses() if glimpses else self._pictures.between(order.b, end):
            while (free == 0 and shown is not None) or self._wire.waiting():
                message = self._wire.receive(None)
                if message.kind == Say.READ:
                    self._queued = message
                    return
                free += message.kind == Say.FREE and message.a == order.a
            now = time.monotonic()
            if shown is None:
                if now - said > _ALIVE_S:
                    self._wire.send(Say.ALIVE)
                    said = now
                continue
            rescaled = self._shaper.write(shown.picture, self._ring.planes(slot))
            flags = Mark.REPEATED * shown.repeated | Mark.RESCALED * rescaled | Mark.DAMAGED * shown.damaged
            self._wire.send(Say.FRAME, flags=flags, slot=slot, a=order.a, b=shown.number)
            free, slot, said = free - 1, (slot + 1) % self._ring.slots, now
        self._wire.send(Say.END, a=order.a)

    def _refuse(self, text: str) -> None:
        self._wire.send(Say.REFUSED, body=text.encode()[:4000])
