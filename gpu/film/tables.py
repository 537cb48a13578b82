"""The sample tables of a track in an MP4 without fragments: ISO/IEC 14496-12 §8.6 and §8.7."""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterable, Sequence
from itertools import groupby

from gpu.film.boxes import full_box


def sample_tables(
    durations: Sequence[int],
    sizes: array[int],
    syncs: Sequence[int],
    chunks: Sequence[tuple[int, int]],
    large: bool,
) -> bytes:
    """stts, stss, stsc, stsz and stco or co64.

    `durations`: of each sample, in the track's timescale; `syncs`: numbers from 1 of samples that can be
    begun with, empty: all; `chunks`: (byte in the file, samples) of each; `large`: bytes beyond 32 bits."""
    times = _runs(durations)
    stts = full_box(b"stts", 0, 0, _table([(count, length) for length, count in times]))
    stss = full_box(b"stss", 0, 0, _table([(number,) for number in syncs])) if syncs else b""
    rows, number = [], 1
    for samples, count in _runs([samples for _, samples in chunks]):
        rows.append((number, samples, 1))
        number += count
    stsc = full_box(b"stsc", 0, 0, _table(rows))
    stsz = full_box(b"stsz", 0, 0, struct.pack(">II", 0, len(sizes)), _big_endian(sizes))
    offsets = array("Q" if large else "I", (at for at, _ in chunks))
    stco = full_box(
        b"co64" if large else b"stco", 0, 0, struct.pack(">I", len(offsets)), _big_endian(offsets)
    )
    return stts + stss + stsc + stsz + stco


def _runs(values: Iterable[int]) -> list[tuple[int, int]]:
    """(value, how often it follows itself)."""
    return [(value, sum(1 for _ in group)) for value, group in groupby(values)]


def _table(rows: Sequence[tuple[int, ...]]) -> bytes:
    flat = array("I", (value for row in rows for value in row))
    return struct.pack(">I", len(rows)) + _big_endian(flat)


def _big_endian(values: array[int]) -> bytes:
    if sys.byteorder == "little":
        values = values[:]
        values.byteswap()
    return values.tobytes()
