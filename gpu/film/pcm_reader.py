"""A film's sound as blocks of PCM from any time on, decoded by a child process. Loads no libav."""

from __future__ import annotations

import json
import weakref
from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction

from gpu.film.pcm_wire import BLOCK_BYTES, RATE_HZ
from gpu.film.reader import LIMITS
from gpu.film.signature import read_signature
from gpu.film.sound import SoundLost
from gpu.film.sound_wire import LOST
from gpu.film.spawn import take
from gpu.film.types import FilmError, FilmLimits
from gpu.film.wire import Gone, Late, Message, Say
from gpu.types import CLOCK_HZ

_LOOK_S = 0.1  # while the child says nothing: is the place still wanted?
_MOST_MESSAGE = 1 << 16


class PcmReader:
    """One film's first sound track, one child process. One thread; `close` from any."""

    def __init__(
        self,
        fd: int,
        zero: Fraction,
        duration: int,
        limits: FilmLimits = LIMITS,
        wanted: Callable[[], bool] = lambda: True,
    ) -> None:
        """`fd`: only used in here; `zero`: the first frame's time in the container's seconds; `duration`: of
        the film, 90 kHz; `wanted`: asked while it opens. Raises SoundLost where the sound cannot be decoded;
        FilmError."""
        self._limits = limits
        self._generation = 0
        self._closed = False
        signature = read_signature(fd)
        self._child = take(limits.memory_bytes)
        self._end = weakref.finalize(self, self._child.end)
        order = {
            "limits": asdict(limits),
            "demuxer": signature.demuxer,
            "zero": zero.as_integer_ratio(),
            "end": duration * RATE_HZ // CLOCK_HZ,
        }
        try:
            self._send(Say.LISTEN, body=json.dumps(order).encode(), fd=fd)
            while self._said(wanted).kind != Say.SOUND:
                if not wanted():
                    raise FilmError("the film was closed: open it again")
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """The child's."""
        return self._child.pid

    @property
    def barriers(self) -> tuple[str, ...]:
        """What the child is held by, in words."""
        return self._child.barriers

    def blocks(self, start: int, wanted: Callable[[], bool]) -> Iterator[tuple[int, bytes]]:
        """(the first sample's place, a block), one behind the other without a hole, from `start` on (ticks of
        90 kHz) to the film's end; silence where there is no sound. Ends early where `wanted` says so.

        Raises SoundLost where it turns out that nothing can be decoded; FilmError."""
        self._generation += 1
        generation = self._generation
        self._send(Say.PLAY, a=generation, b=start * RATE_HZ // CLOCK_HZ)
        while wanted():
            message = self._said(wanted)
            if message.a != generation:
                continue  # of a place before
            if message.kind == Say.END:
                return
            if message.kind == Say.PCM:
                if len(message.body) != BLOCK_BYTES:
                    raise self._fail(f"the reader gave {len(message.body)} bytes of sound: a defect; say so")
                yield message.b, message.body

    def close(self) -> None:
        """Idempotent."""
        self._closed = True
        self._end()

    def _said(self, wanted: Callable[[], bool]) -> Message:
        """What the child says next; ALIVE, too, where it is not wanted any more."""
        waited_s = 0.0
        while True:
            try:
                message = self._child.wire.receive(_LOOK_S, _MOST_MESSAGE)
            except Late:
                waited_s += _LOOK_S
                if not wanted():
                    return Message(Say.ALIVE, 0, 0, 0, 0, b"")
                if waited_s > self._limits.stall_s:
                    stall = f"{self._limits.stall_s:.0f} s"
                    raise self._fail(f"the film's sound gave nothing for {stall}: convert it") from None
                continue
            except Gone as error:
                raise self._fail(self._child.lost("the film's sound")) from error
            if message.kind == Say.REFUSED:
                raise self._fail(message.body.decode("utf-8", "replace"), message.flags & LOST)
            return message

    def _send(self, kind: Say, *, a: int = 0, b: int = 0, body: bytes = b"", fd: int | None = None) -> None:
        if self._closed:
            raise FilmError("the film was closed: open it again")
        try:
            self._child.wire.send(kind, a=a, b=b, body=body, fd=fd, timeout_s=self._limits.stall_s)
        except Gone:
            return  # what it said last is still to be received
        except Late as error:
            raise self._fail("the film's sound is not read any more: open the film again") from error

    def _fail(self, text: str, lost: int = 0) -> FilmError:
        """The child is of no more use."""
        self.close()
        return SoundLost(text) if lost else FilmError(text)
