"""Puts rendered segments and the film's own sound into one MP4 that plays while it is fetched. Knows bytes
and times; decodes and encodes nothing. The sound's packets come out of a child process (sound.py).

Sound and pictures keep the source's offset to a tick of 90 kHz: what begins later begins with an empty edit,
and samples that are only there for the decoder lie before the sound's edit, as in the source. Nothing is cut
off: where sound begins before the first frame, the pictures wait.
"""

from __future__ import annotations

import errno
import os
import struct
import tempfile
from array import array
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from itertools import accumulate
from pathlib import Path
from typing import IO

from gpu.film.boxes import Run, Track, box, children, movie_header, read_run, track_box
from gpu.film.chunks import SOUND_TRACK, Chunk, chunks_of
from gpu.film.entries import COPIED, sound_entry
from gpu.film.reader import LIMITS
from gpu.film.segment import VIDEO_TRACK
from gpu.film.sound import Sound, SoundLost, take_sound
from gpu.film.tables import sample_tables
from gpu.film.types import FilmError, FilmLimits, Span
from gpu.types import CLOCK_HZ

Progress = Callable[[int, int], None]  # bytes written, of how many

_PIECE_BYTES = 1 << 20
_MOST_HEAD = 16 << 20  # of a segment: its moof


@dataclass(frozen=True, slots=True)
class _Plan:
    head: bytes  # all before the samples
    chunks: tuple[Chunk, ...]
    bytes: int


def assemble(
    init: bytes,
    segments: Sequence[Path | bytes],
    source: Path,
    spans: Sequence[Span],
    out: Path,
    *,
    progress: Progress = lambda done, of: None,
    limits: FilmLimits = LIMITS,
) -> tuple[str, ...]:
    """Write `out`: under its name there is a whole film or nothing new, whatever happens.
    Returns what was done to the sound beside copying it, in words.

    `init`, `segments`: what segment.py made, one for each span, in order. Raises FilmError for a segment that
    is not its span's, a sound that cannot be read, and a disk that is full or cannot be written."""
    if not spans or len(segments) != len(spans):
        raise FilmError(f"{len(segments)} segments for {len(spans)} spans: render the missing ones")
    temporary: Path | None = None
    with ExitStack() as stack:
        try:
            runs = [_read_run(each, span) for each, span in zip(segments, spans, strict=True)]
            sound, note = _take(source, out.parent, limits, lambda: progress(0, 1))
            if sound is not None:
                stack.callback(sound.close)
            plan = _plan(init, runs, sound, spans[-1].end)
            handle, name = tempfile.mkstemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent)
            temporary = Path(name)
            with os.fdopen(handle, "wb") as file:
                _write(file, plan, segments, sound, progress)
                file.flush()
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(out)
            temporary = None
            _sync_folder(out.parent)
        except OSError as error:
            remedy = "free space for it" if error.errno == errno.ENOSPC else "name another place"
            raise FilmError(f"{out} cannot be written ({error.strerror}): {remedy}") from error
        finally:
            if temporary is not None:
                with suppress(OSError):
                    temporary.unlink()
    return (note,) if note else ()


def _take(
    source: Path, folder: Path, limits: FilmLimits, alive: Callable[[], None]
) -> tuple[Sound | None, str]:
    """(the sound, what was done to it in words). As AAC where its own packets have no place in an MP4."""
    try:
        sound = take_sound(source, COPIED, folder=folder, limits=limits, alive=alive)
        if sound is not None and not sound.note:
            try:
                _sound_entry(sound)
            except FilmError:
                sound.close()
                sound = take_sound(source, (), folder=folder, limits=limits, alive=alive)
    except SoundLost as error:
        return None, str(error)
    return sound, "" if sound is None else sound.note


def _sound_entry(sound: Sound) -> bytes:
    sound.data.seek(0)
    first = sound.data.read(sound.sizes[0])
    return sound_entry(sound.codec, sound.rate, sound.channels, sound.extradata, first)


def _read_run(segment: Path | bytes, span: Span) -> Run:
    name = f"segment {span.index}"
    with _opened(segment, name) as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        head = file.read(8)
        length = int.from_bytes(head[:4], "big")
        if length > _MOST_HEAD:
            raise FilmError(f"{name} is damaged (a head of {length} bytes): render it again")
        run = read_run(head + file.read(max(0, length - 8)), size, name)
    found = (run.start, run.start + sum(run.durations), len(run.sizes), run.syncs[0])
    if found != (span.start, span.end, span.frames, True):
        raise FilmError(
            f"{name} has {found[2]} frames from {found[0]} to {found[1]}, its span {span.frames} from "
            f"{span.start} to {span.end}: render it again"
        )
    return run


def _opened(segment: Path | bytes, name: str) -> IO[bytes]:
    if isinstance(segment, bytes):
        return BytesIO(segment)
    try:
        return segment.open("rb")
    except OSError as error:
        raise FilmError(f"{name} cannot be read ({error.strerror}): render it again") from error


def _plan(init: bytes, runs: Sequence[Run], sound: Sound | None, duration: int) -> _Plan:
    """`duration`: of the pictures, ticks."""
    entry, size = _video_entry(init)
    first = Fraction(0) if sound is None else (sound.begins + sound.skip) * CLOCK_HZ / sound.rate
    shift = max(0, round(-first))  # by which the pictures wait
    video = Track(
        VIDEO_TRACK,
        CLOCK_HZ,
        entry,
        size,
        duration=shift + duration,
        media_duration=duration,
        edits=((shift, -1), (duration, 0)) if shift else (),
    )
    chunks = tuple(chunks_of(runs, sound))
    durations = array("I", (length for run in runs for length in run.durations))
    sizes = array("I", (count for run in runs for count in run.sizes))
    keys = [number for number, sync in enumerate((s for run in runs for s in run.syncs), 1) if sync]
    tracks = [(video, durations, sizes, keys)]
    if sound is not None:
        tracks.append((_sound_track(sound, round(first) + shift), sound.durations, sound.sizes, []))
    total = sum(chunk.bytes for chunk in chunks)
    large = total > (1 << 32) - (64 << 20)  # tables never reach 64 MiB
    kinds = box(b"ftyp", b"isom", struct.pack(">I", 0x200), b"isom", b"iso4", b"avc1", b"mp41")
    mdat = struct.pack(">I4sQ", 1, b"mdat", 16 + total) if large else struct.pack(">I4s", 8 + total, b"mdat")

    def head(base: int) -> bytes:
        at = [base, *(base + each for each in accumulate(chunk.bytes for chunk in chunks))]
        boxes = []
        for track, lengths, counts, sync in tracks:
            own = [
                (where, c.samples) for where, c in zip(at, chunks, strict=False) if c.track == track.number
            ]
            boxes.append(track_box(track, sample_tables(lengths, counts, sync, own, large)))
        longest = max(track.duration for track, *_ in tracks)
        moov = box(b"moov", movie_header(CLOCK_HZ, longest, len(tracks) + 1), *boxes)
        return kinds + moov + mdat

    made = head(len(head(0)))  # its length does not depend on the offsets in it
    return _Plan(made, chunks, len(made) + total)


def _video_entry(init: bytes) -> tuple[bytes, tuple[int, int]]:
    """The sample entry of an initialisation segment made by segment.py, and the size of its pictures."""
    try:
        at, end = 0, len(init)
        for kind in (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd"):
            at, end = next((a, e) for a, e, found in children(init, at, end) if found == kind)
        (size,) = struct.unpack_from(">I", init, at + 8)
        entry = init[at + 8 : at + 8 + size]
        width, height = struct.unpack_from(">HH", entry, 8 + 24)
    except (StopIteration, ValueError, struct.error) as error:
        raise FilmError("the initialisation segment is damaged: render the film again") from error
    return entry, (width, height)


def _sound_track(sound: Sound, delay: int) -> Track:
    """`delay`: ticks until it is heard."""
    entry = _sound_entry(sound)
    heard = sound.total - sound.skip - sound.drop
    length = -(-heard * CLOCK_HZ // sound.rate)
    edits = ((delay, -1),) if delay else ()
    return Track(
        SOUND_TRACK,
        sound.rate,
        entry,
        None,
        duration=delay + length,
        media_duration=sound.total,
        edits=(*edits, (length, sound.skip)),
    )


def _write(
    file: IO[bytes], plan: _Plan, segments: Sequence[Path | bytes], sound: Sound | None, progress: Progress
) -> None:
    file.write(plan.head)
    done = len(plan.head)
    with ExitStack() as stack:
        current, opened = -1, None
        for chunk in plan.chunks:
            if chunk.segment != current and chunk.segment >= 0:
                stack.close()
                current = chunk.segment
                opened = stack.enter_context(_opened(segments[current], f"segment {current}"))
            data = opened if chunk.segment >= 0 or sound is None else sound.data
            if data is None or not _copy(data, chunk, file):
                raise FilmError(f"segment {current} became shorter while it was read: render it again")
            done += chunk.bytes
            progress(done, plan.bytes)


def _copy(source: IO[bytes], chunk: Chunk, file: IO[bytes]) -> bool:
    """Whether all of the chunk was there."""
    source.seek(chunk.at)
    left = chunk.bytes
    while left and (piece := source.read(min(left, _PIECE_BYTES))):
        file.write(piece)
        left -= len(piece)
    return left == 0


def _sync_folder(folder: Path) -> None:
    with suppress(OSError):  # not every file system can
        fd = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
