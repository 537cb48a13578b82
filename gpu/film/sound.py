"""Takes a film's sound out, through a child process: its packets, untouched where they can be kept. Knows
times and packets; not what is made of them. Never loads libav.

Times in samples of the sound, counted from the film's first frame; below 0 where it begins before.
"""

from __future__ import annotations

import json
import os
import stat
import tempfile
from array import array
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import IO

from gpu.film.reader import LIMITS
from gpu.film.signature import read_signature
from gpu.film.sound_wire import LOST, RECORD
from gpu.film.spawn import Child
from gpu.film.types import FilmError, FilmLimits
from gpu.film.wire import Gone, Late, Message, Say

ENTRY = "gpu.film.sound_child"
# Times that are off by less than this are a container's rounding (Matroska's are milliseconds) and are made
# even.
HOLE_S = 0.005
_MOST_MESSAGE = 64 << 20
_FURTHEST_S = 24 * 3600  # of its begin from the first frame
_HOLE = "the film's sound has a hole of hours: it is damaged; convert it first"
_MOST_PACKETS = 10_000_000
_FIRST_PACKETS = 256  # their times together say when the sound begins, finer than one of them


class SoundLost(FilmError):
    """A film has sound that nothing here can decode. The film itself can go on without it."""


@dataclass(slots=True)
class Sound:
    """A sound track. `data` holds the packets one behind the other; close it. `skip` samples at its begin and
    `drop` at its end are only there for the decoder; `begins` is when the first packet's first sample would
    be heard."""

    codec: str
    rate: int
    channels: int
    extradata: bytes
    note: str
    data: IO[bytes]
    sizes: array[int] = field(default_factory=lambda: array("I"))
    durations: array[int] = field(default_factory=lambda: array("I"))  # samples
    begins: Fraction = Fraction(0)
    skip: int = 0
    drop: int = 0

    @property
    def total(self) -> int:
        """Samples from the first packet's begin to the last one's end."""
        return sum(self.durations)

    def close(self) -> None:
        self.data.close()


def take_sound(
    source: Path,
    keep: Sequence[str],
    fill: tuple[float, float] | None = None,
    *,
    folder: Path | None = None,
    limits: FilmLimits = LIMITS,
    alive: Callable[[], None] = lambda: None,
) -> Sound | None:
    """The first sound track of a film; None where it has none, or one without packets.

    `keep`: codecs (libav's names) whose packets are given untouched; all others become AAC. `fill`: seconds
    from the first frame; sound that is made AAC begins and ends there, in silence where the film has none.
    `folder`: where the packets are put for the time being. `alive`: called now and then.

    Raises SoundLost where there is sound that cannot be decoded; FilmError for a film that cannot be read, or
    a full disk."""
    fd = _open(source)
    data: IO[bytes] | None = None
    child: Child | None = None
    try:
        signature = read_signature(fd)
        data = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115  # goes to the Sound
        child = Child(limits.memory_bytes, ENTRY)
        order = {
            "limits": asdict(limits),
            "demuxer": signature.demuxer,
            "keep": list(keep),
            "fill": fill,
        }
        child.wire.send(Say.OPEN, body=json.dumps(order).encode(), fd=fd, timeout_s=limits.stall_s)
        sound = _Taken(child, limits, alive).into(data)
        if sound is not None:
            data = None
        return sound
    except OSError as error:
        raise FilmError(
            f"the film's sound cannot be put aside ({error.strerror}): free space for it"
        ) from error
    except (Gone, Late) as error:
        raise FilmError("the process that reads the film's sound ended: try again") from error
    finally:
        os.close(fd)
        if data is not None:
            data.close()
        if child is not None:
            child.end()


class _Taken:
    """What the child says, put together."""

    def __init__(self, child: Child, limits: FilmLimits, alive: Callable[[], None]) -> None:
        self._child, self._limits, self._alive = child, limits, alive
        self._times, self._samples = array("q"), array("q")
        self._skip = 0
        self._hidden = 0  # packets at the begin that are only for the decoder
        self._drop = 0

    def into(self, data: IO[bytes]) -> Sound | None:
        head = json.loads(self._next((Say.SOUND,)).body)
        if not head["codec"]:
            return None
        sound = Sound(
            head["codec"],
            int(head["rate"]),
            int(head["channels"]),
            bytes.fromhex(head["extradata"]),
            head["note"],
            data,
        )
        while (message := self._next((Say.PACKETS, Say.END))).kind == Say.PACKETS:
            self._add(message.body, sound)
            self._alive()
        data.flush()
        if not sound.sizes:
            return None
        unit, zero = Fraction(*head["unit"]), Fraction(*head["zero"])
        sound.begins, sound.durations = even(self._times, self._samples, unit, zero, sound.rate)
        self._trim(sound)
        return sound

    def _next(self, kinds: tuple[Say, ...]) -> Message:
        stall_s = self._limits.stall_s
        try:
            while (message := self._child.wire.receive(stall_s, _MOST_MESSAGE)).kind not in kinds:
                if message.kind == Say.REFUSED:
                    kind = SoundLost if message.flags & LOST else FilmError
                    raise kind(message.body.decode("utf-8", "replace"))
                self._alive()
            return message
        except Late as error:
            raise FilmError(f"the film's sound gave nothing for {stall_s:.0f} s: convert it first") from error
        except Gone as error:
            raise FilmError(self._child.lost("the film's sound")) from error

    def _add(self, body: bytes, sound: Sound) -> None:
        at = 0
        while at < len(body):
            pts, samples, skip, drop, size, hidden = RECORD.unpack_from(body, at)
            at += RECORD.size
            if len(self._times) >= _MOST_PACKETS or at + size > len(body):
                raise FilmError("the film's sound has more packets than are taken: convert it first")
            if hidden and self._hidden == len(self._times):
                self._hidden += 1
            elif hidden:  # behind the end of what is played
                at += size
                continue
            elif skip and len(self._times) <= self._hidden:
                self._skip += skip
            sound.data.write(body[at : at + size])
            sound.sizes.append(size)
            self._times.append(pts)
            self._samples.append(samples)
            self._drop = drop
            at += size

    def _trim(self, sound: Sound) -> None:
        hidden = min(self._hidden, len(sound.sizes))
        sound.skip = sum(sound.durations[:hidden]) + self._skip
        total = sound.total
        sound.skip = min(sound.skip, total - 1)
        sound.drop = min(self._drop, total - 1 - sound.skip)


def even(
    times: Sequence[int], samples: Sequence[int], unit: Fraction, zero: Fraction, rate: int
) -> tuple[Fraction, array[int]]:
    """(when the first packet begins in samples from the first frame, how many samples each packet lasts).

    `times`: of packets, in `unit` seconds; `samples`: how many each has, 0 where not known; `zero`: the first
    frame's time in seconds. Packets follow each other without a gap as long as their times allow it within
    their rounding; a hole makes the packet before it longer, an overlap shorter."""
    to_samples = unit * rate
    at = [float(each * to_samples - zero * rate) for each in times[:_FIRST_PACKETS]]
    rough = float(to_samples)
    begins = Fraction(times[0]) * to_samples - zero * rate
    if to_samples > 1 and all(samples[: len(at)]):
        # Each time, less what lies before it, says within half a unit when the first packet begins.
        least, most, before = at[0] - rough / 2, at[0] + rough / 2, 0
        for time, count in zip(at, samples, strict=False):
            low, high = max(least, time - before - rough / 2), min(most, time - before + rough / 2)
            if low > high:
                break
            least, most, before = low, high, before + count
        begins = Fraction(round((least + most) / 2))
    if abs(begins) > _FURTHEST_S * rate:
        raise FilmError("the times of the film's sound are out of reach: it is damaged; convert it first")
    allowed = max(rough, HOLE_S * rate)
    first = float(begins)
    scale, shift = rough, float(zero * rate)
    lengths = array("I")
    position = 0  # samples behind `begins`
    for number, count in enumerate(samples):
        off = times[number] * scale - shift - first - position
        if number and abs(off) > allowed:
            changed = max(1, lengths[-1] + round(off))
            if changed >= 1 << 31:
                raise FilmError(_HOLE)
            position += changed - lengths[-1]
            lengths[-1] = changed
        if not count:
            following = times[number + 1] if number + 1 < len(times) else None
            count = 1 if following is None else round(following * scale - shift - first) - position
            if following is None and lengths:
                count = lengths[-1]
            count = max(1, count)
        if count >= 1 << 31:
            raise FilmError(_HOLE)
        lengths.append(count)
        position += count
    return begins, lengths


def _open(source: Path) -> int:
    try:
        fd = os.open(source, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except OSError as error:
        raise FilmError(f"{source} cannot be opened ({error.strerror}): name a film") from error
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise FilmError(f"{source} is no file: name a film")
    return fd
