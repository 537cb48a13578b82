"""The boxes of MP4 files that relens writes, and a reader of its own fragments. Knows bytes, not codecs or
files.

Layouts: ISO/IEC 14496-12 (the section is named at each box), 14496-15 for H.264, 23000-19 for CMAF. libav's
muxer is not used for what leaves: it rounds edit lists to its movie timescale, decides sample durations
itself and writes the table of frames behind the pictures; here each tick is ours.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpu.film.types import FilmError

MATRIX = struct.pack(">9i", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)  # the identity, §8.2.2
UNDETERMINED = 0x55C4  # language "und", three letters of five bits, §8.4.2
SYNC_SAMPLE = 0x0200_0000  # flags of a sample, §8.8.3.1: depends on no other
OTHER_SAMPLE = 0x0101_0000  # depends on others, is no sync sample


def box(kind: bytes, *parts: bytes) -> bytes:
    """§4.2."""
    size = 8 + sum(len(part) for part in parts)
    return b"".join((struct.pack(">I4s", size, kind), *parts))


def full_box(kind: bytes, version: int, flags: int, *parts: bytes) -> bytes:
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


@dataclass(frozen=True, slots=True)
class Track:
    """What a track's header boxes say. `duration` and `edits` in movie ticks, `media_duration` in the track's
    own timescale; `edits`: (duration, media time in the track's timescale or -1 for nothing)."""

    number: int
    timescale: int
    entry: bytes  # the sample entry, a whole box
    size: tuple[int, int] | None  # of pictures; None: sound
    duration: int = 0
    media_duration: int = 0
    edits: tuple[tuple[int, int], ...] = ()


def movie_header(timescale: int, duration: int, next_track: int) -> bytes:
    """§8.2.2. Creation times stay 0: the same film is the same file, whenever it is made."""
    body = struct.pack(">QQIQ", 0, 0, timescale, duration)
    body += struct.pack(">IH10x", 0x10000, 0x100) + MATRIX + bytes(24) + struct.pack(">I", next_track)
    return full_box(b"mvhd", 1, 0, body)


def track_box(track: Track, tables: bytes) -> bytes:
    """§8.3. `tables`: the boxes of `stbl` behind `stsd`."""
    width, height = track.size or (0, 0)
    volume = 0 if track.size else 0x100
    head = struct.pack(">QQI4xQ8x", 0, 0, track.number, track.duration)
    head += struct.pack(">hhH2x", 0, 0 if track.size else 1, volume) + MATRIX  # §8.3.2; sounds are one group
    head += struct.pack(">II", width << 16, height << 16)
    media_head = full_box(
        b"mdhd",
        1,
        0,
        struct.pack(">QQIQHH", 0, 0, track.timescale, track.media_duration, UNDETERMINED, 0),
    )
    kind, name = (b"vide", b"pictures\0") if track.size else (b"soun", b"sound\0")
    handler = full_box(b"hdlr", 0, 0, bytes(4), kind, bytes(12), name)
    about = full_box(b"vmhd", 0, 1, bytes(8)) if track.size else full_box(b"smhd", 0, 0, bytes(4))
    here = box(b"dinf", full_box(b"dref", 0, 0, struct.pack(">I", 1), full_box(b"url ", 0, 1)))
    samples = box(b"stbl", full_box(b"stsd", 0, 0, struct.pack(">I", 1), track.entry), tables)
    edits = b""
    if track.edits:
        rows = b"".join(struct.pack(">QqHH", length, at, 1, 0) for length, at in track.edits)
        edits = box(b"edts", full_box(b"elst", 1, 0, struct.pack(">I", len(track.edits)), rows))  # §8.6.6
    media = box(b"mdia", media_head, handler, box(b"minf", about, here, samples))
    return box(b"trak", full_box(b"tkhd", 1, 7, head), edits, media)


EMPTY_TABLES = (
    full_box(b"stts", 0, 0, bytes(4))
    + full_box(b"stsc", 0, 0, bytes(4))
    + full_box(b"stsz", 0, 0, bytes(8))
    + full_box(b"stco", 0, 0, bytes(4))
)


def init_of(track: Track) -> bytes:
    """The initialisation segment of one track in fragments: ftyp and moov, §8.8.1."""
    kinds = box(b"ftyp", b"iso6", struct.pack(">I", 0), b"iso6", b"cmfc", b"mp41")
    extends = box(b"mvex", full_box(b"trex", 0, 0, struct.pack(">5I", track.number, 1, 0, 0, 0)))
    return kinds + box(
        b"moov",
        movie_header(track.timescale, 0, track.number + 1),
        track_box(track, EMPTY_TABLES),
        extends,
    )


@dataclass(frozen=True, slots=True)
class Sample:
    """One access unit of a track; `duration` in the track's timescale."""

    data: bytes
    duration: int
    sync: bool = True


def fragment(number: int, track: int, start: int, samples: Sequence[Sample]) -> bytes:
    """moof and mdat. `number` counts from 1; `start`: decode time of the first sample, §8.8.12. Samples are
    shown when they are decoded: none has a composition offset."""
    rows = b"".join(
        struct.pack(">III", each.duration, len(each.data), SYNC_SAMPLE if each.sync else OTHER_SAMPLE)
        for each in samples
    )
    header = full_box(b"mfhd", 0, 0, struct.pack(">I", number))
    which = full_box(b"tfhd", 0, 0x020000, struct.pack(">I", track))  # offsets count from the moof
    when = full_box(b"tfdt", 1, 0, struct.pack(">Q", start))
    # mfhd, tfhd and tfdt are 16, 16 and 20 bytes; trun 20 and 12 a sample; each parent 8 more.
    to_data = 8 + len(header) + 8 + len(which) + len(when) + 20 + len(rows) + 8
    # 0x701: where the data is, and of each sample duration, size and flags, §8.8.8
    run = full_box(b"trun", 0, 0x000701, struct.pack(">Ii", len(samples), to_data), rows)
    moof = box(b"moof", header, box(b"traf", which, when, run))
    return moof + box(b"mdat", *(each.data for each in samples))


@dataclass(frozen=True, slots=True)
class Run:
    """What a fragment written by `fragment` says of its samples: durations, sizes and which are sync samples,
    and where in it the first byte of the first is."""

    start: int
    durations: tuple[int, ...]
    sizes: tuple[int, ...]
    syncs: tuple[bool, ...]
    data_at: int
    bytes: int


def read_run(head: bytes, size: int, name: str = "a segment") -> Run:
    """Read the moof at the beginning of `head`, of a fragment of `size` bytes. Raises FilmError for what
    `fragment` never writes, or a fragment that is cut off."""
    try:
        length, kind = struct.unpack_from(">I4s", head)
        if kind != b"moof" or length > len(head):
            raise ValueError("it begins with no whole moof")
        found = {}
        for at, end, name_of in children(head, 8, length):
            found[name_of] = (at, end)
            if name_of == b"traf":
                found |= {inner: (a, e) for a, e, inner in children(head, at, end)}
        (start,) = struct.unpack_from(">Q", head, found[b"tfdt"][0] + 4)
        at, end = found[b"trun"]
        flags, count, data_at = struct.unpack_from(">IIi", head, at)
        if flags != 0x701 or end - at != 12 + 12 * count or count == 0:
            raise ValueError("another kind of trun")
        rows = list(struct.iter_unpack(">III", head[at + 12 : end]))
        run = Run(
            start,
            tuple(row[0] for row in rows),
            tuple(row[1] for row in rows),
            tuple(row[2] == SYNC_SAMPLE for row in rows),
            data_at,
            size,
        )
        if data_at != length + 8 or run.data_at + sum(run.sizes) != size:
            raise ValueError(f"{size} bytes, {data_at + sum(run.sizes)} expected")
    except (struct.error, KeyError, ValueError) as error:
        raise FilmError(f"{name} is damaged ({error}): render it again") from error
    return run


def children(data: bytes, at: int, end: int) -> Iterator[tuple[int, int, bytes]]:
    """(where the content begins, where it ends, kind) of each box. Raises ValueError for boxes that
    overlap."""
    while at < end:
        size, kind = struct.unpack_from(">I4s", data, at)
        if size < 8 or at + size > end:
            raise ValueError(f"box {kind!r} of {size} bytes")
        yield at + 8, at + size, kind
        at += size
