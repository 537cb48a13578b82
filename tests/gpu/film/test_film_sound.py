from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from gpu.film.sound import SoundLost, even, take_sound
from gpu.film.sound_child import opus_samples
from gpu.film.types import FilmError, FilmLimits
from tests.gpu.film.film_files import Recipe, make_film, payloads
from tests.gpu.film.film_render import constant

PAL = Fraction(25)
MS, SAMPLE = Fraction(1, 1000), Fraction(1, 48_000)


def test_times_of_samples_stay_as_they_are() -> None:
    begins, lengths = even([-1024, 0, 1024, 2048], [1024] * 4, SAMPLE, Fraction(0), 48_000)
    assert (begins, list(lengths)) == (-1024, [1024] * 4)


def test_the_first_frames_time_is_what_sound_is_counted_from() -> None:
    begins, _ = even([0, 1024], [1024] * 2, SAMPLE, Fraction(1, 4), 48_000)
    assert begins == -12_000


def test_milliseconds_are_made_even() -> None:
    """A packet of 1024 samples lasts 21.333 ms: rounded times lie around the true ones."""
    true = [Fraction(5000 + 1024 * number, 48_000) for number in range(400)]
    begins, lengths = even([round(t * 1000) for t in true], [1024] * 400, MS, Fraction(0), 48_000)
    assert set(lengths) == {1024}
    assert abs(begins - 5000) <= 10  # of 48 samples a millisecond


def test_a_hole_makes_the_packet_before_it_longer() -> None:
    _, lengths = even([0, 1024, 50_000, 51_024], [1024] * 4, SAMPLE, Fraction(0), 48_000)
    assert list(lengths) == [1024, 48_976, 1024, 1024]


def test_an_overlap_makes_the_packet_before_it_shorter() -> None:
    _, lengths = even([0, 1024, 1536], [1024] * 3, SAMPLE, Fraction(0), 48_000)
    assert list(lengths) == [1024, 512, 1024]


def test_a_drift_is_followed() -> None:
    """A clock that is off by a thousandth: never further off than what is allowed."""
    times = [round(1025 * number) for number in range(5000)]
    _, lengths = even(times, [1024] * 5000, SAMPLE, Fraction(0), 48_000)
    position = 0
    for time, length in zip(times, lengths, strict=True):
        assert abs(position - time) <= 240
        position += length


def test_lengths_that_are_not_said_follow_from_the_times() -> None:
    _, lengths = even([0, 96, 192, 250], [0] * 4, MS, Fraction(0), 48_000)
    assert list(lengths) == [4608, 4608, 2784, 2784]


@pytest.mark.parametrize(
    ("data", "samples"),
    [
        (b"", 0),
        (bytes([1 << 3]), 960),  # SILK, 20 ms, one frame (RFC 6716 table 2)
        (bytes([12 << 3]), 480),  # hybrid, 10 ms
        (bytes([31 << 3]), 960),  # CELT, 20 ms
        (bytes([28 << 3 | 1]), 240),  # CELT, 2.5 ms, two frames
        (bytes([31 << 3 | 3, 3]), 2880),  # a number of frames
    ],
)
def test_opus_packets_say_how_long_they_are(data: bytes, samples: int) -> None:
    assert opus_samples(data) == samples


def test_packets_come_out_untouched(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", constant(PAL, 50), Recipe())
    sound = take_sound(film, ("aac",))
    assert sound is not None
    sound.data.seek(0)
    assert [sound.data.read(size) for size in sound.sizes] == payloads(film)
    assert (sound.codec, sound.rate, sound.channels, sound.skip, sound.note) == ("aac", 48_000, 2, 1024, "")
    assert sound.begins + sound.skip == 0
    sound.close()


def test_what_is_not_kept_becomes_aac_with_silence_where_asked(tmp_path: Path) -> None:
    film = make_film(
        tmp_path / "film.mkv", constant(PAL, 50), Recipe("pcm_s16le", sound_from=0.5, sound_to=1.5)
    )
    sound = take_sound(film, ("aac",), (0.0, 2.0))
    assert sound is not None
    assert (sound.codec, sound.begins, sound.skip) == ("aac", -1024, 1024)
    assert sound.total - sound.skip - sound.drop == 96_000
    assert "encoded anew" in sound.note
    sound.close()


def test_a_film_without_sound_has_none(tmp_path: Path) -> None:
    assert take_sound(make_film(tmp_path / "film.mp4", constant(PAL, 10), Recipe("")), ("aac",)) is None


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("#EXTM3U\nhttp://example.org/a.ts\n")
    with pytest.raises(FilmError, match="no film"):
        take_sound(tmp_path / "text.mp4", ("aac",))
    with pytest.raises(FilmError, match="cannot be opened"):
        take_sound(tmp_path / "nowhere.mp4", ("aac",))
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(FilmError, match="no file"):
        take_sound(tmp_path / "pipe.mp4", ("aac",))


def test_a_film_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", constant(PAL, 50), Recipe())
    film.write_bytes(film.read_bytes()[:-3000])
    with pytest.raises(FilmError, match="cut off"):
        take_sound(film, ("aac",))


def spoiled(film: Path) -> Path:
    """The same film, its sound named as one of a codec that is not taken."""
    data = film.read_bytes()
    assert data.count(b"A_PCM/INT/LIT") == 1
    film.write_bytes(data.replace(b"A_PCM/INT/LIT", b"A_REAL/COOK\0\0"))
    return film


def test_sound_in_a_codec_that_is_not_taken_is_lost_and_not_the_film(tmp_path: Path) -> None:
    film = spoiled(make_film(tmp_path / "film.mkv", constant(PAL, 25), Recipe("pcm_s16le")))
    for keep in (("aac",), ()):
        with pytest.raises(SoundLost, match="left out"):
            take_sound(film, keep)


def test_times_out_of_reach_are_refused() -> None:
    with pytest.raises(FilmError, match="out of reach"):
        even([1 << 62], [1024], SAMPLE, Fraction(0), 48_000)
    with pytest.raises(FilmError, match="hole of hours"):
        even([0, 1 << 40], [1024, 1024], SAMPLE, Fraction(0), 48_000)
    with pytest.raises(FilmError, match="hole of hours"):
        even([0, 1 << 40], [0, 0], SAMPLE, Fraction(0), 48_000)


@pytest.mark.parametrize("at", [0.3, 0.5, 0.7, 0.9])
def test_damage_ends_in_a_film_error_or_in_sound(tmp_path: Path, at: float) -> None:
    film = make_film(tmp_path / "film.mkv", constant(PAL, 50), Recipe("libopus"))
    data = bytearray(film.read_bytes())
    begin = int(len(data) * at)
    data[begin : begin + 300] = os.urandom(300)
    film.write_bytes(data)
    for keep in (("opus",), ()):
        try:
            sound = take_sound(film, keep, limits=FilmLimits(stall_s=10))
        except FilmError:
            continue
        if sound is not None:
            sound.close()
