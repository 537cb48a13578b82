"""A film's sound as HLS wants it: AAC in CMAF fragments, one a span, all in one file that players fetch by
byte ranges. Knows a Sound and spans.

One file beside the pictures' segments: it is made once, in the time that reading the film takes, long before
the last span is rendered, and no segment of pictures has to wait for it or be written again. AAC because
every player of HLS has it: the source's own where it is AAC and goes on through the whole film, else made
anew with silence where the film has none, as players lose their place where a rendition has holes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import IO

from gpu.film.boxes import Sample, Track, children, fragment, init_of, read_run
from gpu.film.entries import sound_entry
from gpu.film.reader import LIMITS
from gpu.film.sound import HOLE_S, Sound, SoundLost, take_sound
from gpu.film.types import FilmError, FilmLimits, Span
from gpu.types import CLOCK_HZ

_TRACK = 1
_MOST_HEAD = 4 << 20
_KINDS = (2, 5, 29)  # audio object types of ISO/IEC 14496-3: LC, and the two of HE
_LATE_S, _EARLY_S = 0.1, 1.0  # what is missing at the begin and the end without a player minding


@dataclass(frozen=True, slots=True)
class Piece:
    """One fragment of the file: `start` and `duration` in samples from the first frame."""

    at: int  # byte
    bytes: int
    start: int
    duration: int


@dataclass(frozen=True, slots=True)
class Rendition:
    """What is in the file; `init` is its first bytes."""

    rate: int
    channels: int
    codec: str  # for a playlist: "mp4a.40.2"
    init_bytes: int
    pieces: tuple[Piece, ...]


def write_rendition(
    source: Path,
    spans: Sequence[Span],
    out: Path,
    *,
    limits: FilmLimits = LIMITS,
    alive: Callable[[], None] = lambda: None,
) -> Rendition | None:
    """Write the sound of a film to `out`, whole or not at all; None, and no file, where it has none that can
    be decoded.

    Raises FilmError for a sound that cannot be read, and a disk that is full."""
    folder, fill = out.parent, (0.0, spans[-1].end / CLOCK_HZ)
    try:
        sound = take_sound(source, ("aac",), fill, folder=folder, limits=limits, alive=alive)
        if sound is not None and not sound.note and not _serves(sound, spans):
            sound.close()
            sound = take_sound(source, (), fill, folder=folder, limits=limits, alive=alive)
    except SoundLost:  # the film at the end says so
        return None
    if sound is None:
        return None
    temporary = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=folder)
        temporary = Path(name)
        with os.fdopen(handle, "wb") as file:
            file.write(_init(sound))
            for number, start, samples in _pieces(sound, spans):
                file.write(fragment(number, _TRACK, start, samples))
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(out)
        temporary = None
    except OSError as error:
        raise FilmError(f"{out} cannot be written ({error.strerror}): free space for it") from error
    finally:
        sound.close()
        if temporary is not None:
            with suppress(OSError):
                temporary.unlink()
    return read_rendition(out)


def read_rendition(path: Path) -> Rendition:
    """Raises FilmError for a file that `write_rendition` did not write."""
    try:
        with path.open("rb") as file:
            return _read(file, path.stat().st_size)
    except (OSError, ValueError, IndexError, StopIteration) as error:
        raise FilmError(f"the sound of the film's preview is damaged ({error}): make it again") from error


def _read(file: IO[bytes], size: int) -> Rendition:
    init = file.read(8)
    init += file.read(int.from_bytes(init[:4], "big") - 8 + 8)
    moov = int.from_bytes(init[-8:-4], "big")
    if moov > _MOST_HEAD:
        raise ValueError("its head is too long")
    init += file.read(moov - 8)
    at = init.index(b"mp4a") + 4
    channels, rate = int.from_bytes(init[at + 16 : at + 18], "big"), _timescale(init)
    config = init[init.index(b"\x05\x80\x80\x80", at) + 5 :]
    kind = config[0] >> 3
    pieces, at = [], len(init)
    while at < size:
        file.seek(at)
        head = file.read(8)
        length = int.from_bytes(head[:4], "big")
        if length > _MOST_HEAD:
            raise ValueError("a fragment's head is too long")
        head += file.read(length - 8 + 8)
        body = int.from_bytes(head[length : length + 4], "big")
        run = read_run(head[:length], length + body, "a fragment")
        pieces.append(Piece(at, length + body, run.start, sum(run.durations)))
        at += length + body
    return Rendition(rate, channels, f"mp4a.40.{kind}", len(init), tuple(pieces))


def _timescale(init: bytes) -> int:
    at, end = 0, len(init)
    for kind in (b"moov", b"trak", b"mdia", b"mdhd"):
        at, end = next((a, e) for a, e, found in children(init, at, end) if found == kind)
    return int.from_bytes(init[at + 20 : at + 24], "big")  # version 1


def _init(sound: Sound) -> bytes:
    entry = sound_entry(sound.codec, sound.rate, sound.channels, sound.extradata, b"")
    return init_of(Track(_TRACK, sound.rate, entry, None))


def _serves(sound: Sound, spans: Sequence[Span]) -> bool:
    """Whether the source's AAC can be given as it is: of a kind that browsers play, and without holes."""
    if not sound.extradata or sound.extradata[0] >> 3 not in _KINDS:
        return False
    usual = max(sound.durations[:2]) + HOLE_S * sound.rate
    begin = float(sound.begins + sound.skip) / sound.rate
    end = float(sound.begins + sound.total) / sound.rate
    whole = all(length <= usual for length in sound.durations)
    return whole and begin <= _LATE_S and end >= spans[-1].end / CLOCK_HZ - _EARLY_S


def _pieces(sound: Sound, spans: Sequence[Span]) -> Iterator[tuple[int, int, list[Sample]]]:
    """(number from 1, when it starts, packets) of each fragment. A packet belongs to the span it begins in;
    one that begins before the film does is left out, as HLS has no time before 0: it is there for the
    decoder, or sounds while nothing is seen."""
    data = sound.data
    data.seek(0)
    position = round(sound.begins)
    number, ends = 0, [Fraction(span.end * sound.rate, CLOCK_HZ) for span in spans]
    ends[-1] = max(ends[-1], Fraction(position + sound.total + 1))
    start, samples = position, list[Sample]()
    for size, length in zip(sound.sizes, sound.durations, strict=True):
        packet = data.read(size)
        if position >= 0:
            while position >= ends[number]:
                if samples:
                    yield number + 1, start, samples
                number, samples = number + 1, []
            if not samples:
                start = position
            samples.append(Sample(packet, length))
        position += length
    if samples:
        yield number + 1, start, samples
