"""Serving one film's sound to the parent, in the child: answers its messages. Nothing is loaded later."""

from __future__ import annotations

import json
import os
import time
from fractions import Fraction

import av

from gpu.film import sandbox
from gpu.film.pcm import Pcm
from gpu.film.pcm_wire import RATE_HZ
from gpu.film.sound_wire import LOST, Silent
from gpu.film.source import SOUNDS, Opening, Source
from gpu.film.types import FilmError, FilmLimits
from gpu.film.wire import Gone, Message, Say, Wire

_ALIVE_S = 0.5
# What it may take of the processor: never reached by a film that plays.
_OPEN_CPU_S, _CPU_S_PER_BYTE, _CPU_S_PER_S = 60.0, 1e-7, 1.0


class PcmService:
    """One sound track: opened, then decoded again and again. It writes no faster than the parent reads: the
    socket is the queue."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire

    def serve(self, order: Message) -> None:
        """`order`: LISTEN. Raises Gone when the parent has ended it."""
        try:
            self._open(order)
            self._wire.send(Say.SOUND)
            while True:
                message = self._wire.receive(None)
                if message.kind == Say.PLAY:
                    self._play(message)
        except Silent as error:
            self._refuse(str(error), LOST)
        except FilmError as error:
            self._refuse(str(error))
        except MemoryError:
            self._refuse("the film's sound needs more memory than is given to it: convert it first")
        except Gone:
            raise
        except (av.FFmpegError, ValueError, OSError) as error:
            self._refuse(f"the film's sound cannot be read ({error}): convert it to AAC first")

    def _open(self, message: Message) -> None:
        order = json.loads(message.body)
        limits = FilmLimits(**{**order["limits"], "containers": tuple(order["limits"]["containers"])})
        fd = self._wire.take_fd()
        self._bytes = os.fstat(fd).st_size
        self._allow(0.0)
        source = Source(Opening(fd, order["demuxer"], limits))
        context = source.audio.codec_context if source.audio is not None else None
        if context is None or context.codec.name not in SOUNDS.split(","):
            name = (source.audio is not None and source.audio.name) or "in a codec that is not known here"
            raise Silent(f"the film's sound ({name}) cannot be decoded")
        context.thread_count = 1
        self._end = int(order["end"])
        self._pcm = Pcm(source, Fraction(*order["zero"]), self._end)

    def _play(self, order: Message) -> None:
        self._allow((self._end - order.b) / RATE_HZ)
        said = time.monotonic()
        for block in self._pcm.blocks(order.b):
            if self._wire.waiting():
                return  # another place is wanted
            if block is not None:
                self._wire.send(Say.PCM, a=order.a, b=block[0], body=block[1])
                said = time.monotonic()
            elif time.monotonic() - said > _ALIVE_S:
                self._wire.send(Say.ALIVE)
                said = time.monotonic()
        self._wire.send(Say.END, a=order.a)

    def _allow(self, seconds: float) -> None:
        sandbox.allow_cpu(_OPEN_CPU_S + _CPU_S_PER_BYTE * self._bytes + _CPU_S_PER_S * max(0.0, seconds))

    def _refuse(self, text: str, flags: int = 0) -> None:
        self._wire.send(Say.REFUSED, flags=flags, body=text.encode()[:4000])
