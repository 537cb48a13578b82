"""A film's sound decoded in its child: stereo at 48 kHz, in its time, whatever it was, and from any place."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from gpu.film.pcm import CONTIGUOUS_S, Pcm
from gpu.film.pcm_reader import PcmReader
from gpu.film.pcm_wire import BLOCK_BYTES, RATE_HZ, SAMPLES
from gpu.film.reader import LIMITS, open_file, open_film
from gpu.film.sandbox import FILTER
from gpu.film.sound import SoundLost
from gpu.film.source import Opening, Source
from gpu.film.types import FilmError
from gpu.types import CLOCK_HZ
from tests.gpu.film.flashing import Sound, make_flashes

SECONDS = 4.0
EXACT_S = 0.006  # what encoders begin a beep early by, and decoders round

KINDS = {
    "mp4 aac 44100 mono": ("a.mp4", Sound(rate=44_100, layout="mono")),
    "mp4 ac3 5.1": ("b.mp4", Sound("ac3", layout="5.1")),
    "mkv aac": ("c.mkv", Sound()),
    "mkv opus": ("d.mkv", Sound("libopus", form="flt")),
    "mkv pcm 8000 mono": ("e.mkv", Sound("pcm_s16le", 8_000, "mono", "s16")),
    "mkv flac 96000": ("f.mkv", Sound("flac", 96_000, form="s16")),
    "mov mp3 32000": ("g.mov", Sound("libmp3lame", 32_000, form="fltp")),
    "mkv mp2 22050 mono": ("h.mkv", Sound("mp2", 22_050, "mono", "s16")),
    "mov alac 4.0": ("i.mov", Sound("alac", layout="4.0", form="s16p")),
}


@contextlib.contextmanager
def listening(path: Path) -> Iterator[PcmReader]:
    with open_film(path) as film:
        zero, duration = film.zero, film.info.video.duration
    fd = open_file(path, LIMITS)
    try:
        reader = PcmReader(fd, zero, duration)
    finally:
        os.close(fd)
    try:
        yield reader
    finally:
        reader.close()


def heard(path: Path, *starts: float) -> list[list[tuple[int, bytes]]]:
    """The blocks from each place to the end, by one child."""
    with listening(path) as reader:
        assert FILTER in reader.barriers
        return [list(reader.blocks(round(start * CLOCK_HZ), lambda: True)) for start in starts]


def beeps(blocks: list[tuple[int, bytes]]) -> list[float]:
    """Seconds of the film at which it gets loud."""
    samples = np.frombuffer(b"".join(block for _, block in blocks), np.int16).reshape(-1, 2)
    loud = np.flatnonzero(np.abs(samples[:, 0].astype(int)) > 3000) + blocks[0][0]
    begins = loud[np.concatenate(([True], np.diff(loud) > RATE_HZ // 2))] if len(loud) else loud
    return [int(at) / RATE_HZ for at in begins]


def whole(blocks: list[tuple[int, bytes]], start: float, seconds: float = SECONDS) -> bool:
    """From there to the film's end, without a hole."""
    places = [at for at, _ in blocks]
    first = round(start * RATE_HZ)
    most = -(-round((seconds - start) * RATE_HZ) // SAMPLES)
    return places == [first + n * SAMPLES for n in range(most)] and {len(b) for _, b in blocks} == {
        BLOCK_BYTES
    }


@pytest.mark.parametrize("kind", KINDS)
def test_beeps_are_where_they_are_in_the_film(kind: str, tmp_path: Path) -> None:
    name, sound = KINDS[kind]
    film = make_flashes(tmp_path / name, SECONDS, sound)
    from_begin, from_middle, again = heard(film, 0.0, 2.5, 1.75)
    assert whole(from_begin, 0.0)
    assert whole(from_middle, 2.5)
    assert whole(again, 1.75)
    assert beeps(from_begin) == pytest.approx([0, 1, 2, 3], abs=EXACT_S)
    assert beeps(from_middle) == pytest.approx([3], abs=EXACT_S)
    assert beeps(again) == pytest.approx([2, 3], abs=EXACT_S)


@pytest.mark.parametrize("name", ["late.mp4", "late.mkv"])
def test_where_the_film_has_no_sound_there_is_silence(name: str, tmp_path: Path) -> None:
    film = make_flashes(tmp_path / name, SECONDS, Sound(begins=1.5, ends=2.5))
    from_begin, before, behind = heard(film, 0.0, 1.0, 3.2)
    assert whole(from_begin, 0.0)
    assert whole(before, 1.0)
    assert whole(behind, 3.2)
    assert beeps(from_begin) == pytest.approx([2], abs=EXACT_S)
    assert beeps(before) == pytest.approx([2], abs=EXACT_S)
    assert beeps(behind) == []


def spoil(film: Path, which: Callable[[float], bool], chance: random.Random | None = None) -> Path:
    """Overwrites the sound's packets at such times by bytes that mean nothing, or by any."""
    data = bytearray(film.read_bytes())
    with av.open(str(film)) as file:
        for packet in file.demux(audio=0):
            if packet.size and packet.pos and which(float((packet.pts or 0) * packet.time_base)):
                data[packet.pos : packet.pos + packet.size] = (
                    chance.randbytes(packet.size) if chance else b"\xff" * packet.size
                )
    film.write_bytes(data)
    return film


def test_what_is_damaged_is_silence_and_the_rest_is_in_its_time(tmp_path: Path) -> None:
    film = spoil(make_flashes(tmp_path / "film.mp4", SECONDS, Sound()), lambda at: 0.9 < at < 2.1)
    (blocks,) = heard(film, 0.0)
    assert whole(blocks, 0.0)
    assert beeps(blocks) == pytest.approx([0, 3], abs=EXACT_S)


def test_sound_that_is_slower_than_its_samples_stays_in_its_time(tmp_path: Path) -> None:
    film = make_flashes(tmp_path / "film.mkv", SECONDS, Sound("pcm_s16le", form="s16", ends=3.9, slow=1.02))
    with film.open("rb") as file:
        source = Source(Opening(file.fileno(), "matroska", LIMITS))
        pcm = Pcm(source, Fraction(0), round(SECONDS * RATE_HZ))
        blocks = [block for block in pcm.blocks(0) if block is not None]
        source.close()
    assert whole(blocks, 0.0)
    assert beeps(blocks) == pytest.approx([0, 1.02, 2.04, 3.06], abs=CONTIGUOUS_S + EXACT_S)


@pytest.mark.parametrize("codec", ["aac", "libopus", "libmp3lame"])
def test_whatever_bytes_it_has_it_has_its_blocks_or_a_word(codec: str, tmp_path: Path) -> None:
    form = "flt" if codec == "libopus" else "fltp"
    film = make_flashes(tmp_path / "film.mp4", SECONDS, Sound(codec, form=form))
    chance = random.Random(codec)
    for _ in range(2):
        spoil(film, lambda at: chance.random() < 0.3, chance)
        with contextlib.suppress(SoundLost):
            assert whole(heard(film, 0.0)[0], 0.0)


def test_of_sound_that_cannot_be_decoded_it_is_said(tmp_path: Path) -> None:
    film = spoil(make_flashes(tmp_path / "film.mp4", SECONDS, Sound()), lambda at: True)
    with pytest.raises(SoundLost, match=r"\(aac\) cannot be decoded"):
        heard(film, 0.0)


def test_codecs_that_are_not_taken_are_named(tmp_path: Path) -> None:
    film = make_flashes(tmp_path / "film.mkv", SECONDS, Sound("tta", 44_100, form="s16"))
    with pytest.raises(SoundLost, match="tta"):
        heard(film, 0.0)


def test_another_place_is_gone_to_at_once(tmp_path: Path) -> None:
    film = make_flashes(tmp_path / "film.mp4", 20.0, Sound())
    with listening(film) as reader:
        left = reader.blocks(0, lambda: True)
        assert next(left)[0] == 0
        assert next(reader.blocks(15 * CLOCK_HZ, lambda: True))[0] == 15 * RATE_HZ
        assert list(reader.blocks(0, lambda: False)) == []
        reader.close()
        with pytest.raises(FilmError):
            next(reader.blocks(0, lambda: True))
