"""A film's sound as blocks of PCM from any time on, decoded by a child process. Loads no libav."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict
from fractions import Fraction

from gpu.film.child_reader import ChildReader
from gpu.film.pcm_wire import BLOCK_BYTES, RATE_HZ
from gpu.film.reader import LIMITS
from gpu.film.signature import read_signature
from gpu.film.sound import SoundLost
from gpu.film.sound_wire import LOST
from gpu.film.types import FilmError, FilmLimits
from gpu.film.wire import Late, Message, Say
from gpu.types import CLOCK_HZ

_LOOK_S = 0.1  # while the child says nothing: is the place still wanted?
_MOST_MESSAGE = 1 << 16


class PcmReader(ChildReader):
    """A film's first sound track. One thread; `close` from any."""

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
        signature = read_signature(fd)
        super().__init__(limits, "the film's sound")
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

    def _said(self, wanted: Callable[[], bool]) -> Message:
        """What the child says next; ALIVE, too, where it is not wanted any more."""
        waited_s = 0.0
        while True:
            try:
                return self._hear(_LOOK_S, _MOST_MESSAGE)
            except Late:
                waited_s += _LOOK_S
                if not wanted():
                    return Message(Say.ALIVE, 0, 0, 0, 0, b"")
                if waited_s > self._limits.stall_s:
                    stall = f"{self._limits.stall_s:.0f} s"
                    raise self._fail(f"the film's sound gave nothing for {stall}: convert it") from None

    def _refusal(self, message: Message) -> FilmError:
        said = super()._refusal(message)
        return SoundLost(str(said)) if message.flags & LOST else said
