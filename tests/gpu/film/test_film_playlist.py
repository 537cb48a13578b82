from __future__ import annotations

import re
from fractions import Fraction

import pytest

from gpu.film.playlist import master_playlist, playlist, sound_playlist
from gpu.film.rendition import Piece, Rendition
from gpu.types import CLOCK_HZ
from tests.gpu.film.film_frames import info_of, ticks, tiled

SOUND = Rendition(48_000, 2, "mp4a.40.2", 640, (Piece(640, 100, 0, 48_128), Piece(740, 90, 48_128, 40_960)))


def lengths(text: str) -> list[float]:
    return [float(each) for each in re.findall(r"#EXTINF:([0-9.]+),", text)]


@pytest.mark.parametrize("fps", [Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25)])
def test_lengths_are_exact_and_never_add_up_to_something_else(fps: Fraction) -> None:
    times = ticks(fps, 5000)
    spans = tiled(times, 37)
    told = lengths(playlist(spans, lambda index: f"segments/{index}.m4s"))
    position = 0.0
    for length, span in zip(told, spans, strict=True):
        assert abs(length - span.seconds) <= 1e-6
        position += length
        assert abs(position - span.end / CLOCK_HZ) <= 2e-6


def test_the_list_is_whole_and_names_each_segment_once() -> None:
    text = playlist(tiled(ticks(Fraction(25), 100), 30), lambda index: f"segments/{index}.m4s", "init.mp4")
    lines = text.splitlines()
    assert lines[0] == "#EXTM3U"
    assert lines[-1] == "#EXT-X-ENDLIST"
    assert [each for each in lines if not each.startswith("#")] == [f"segments/{n}.m4s" for n in range(4)]
    assert '#EXT-X-MAP:URI="init.mp4"' in lines
    assert {"#EXT-X-VERSION:7", "#EXT-X-PLAYLIST-TYPE:VOD", "#EXT-X-INDEPENDENT-SEGMENTS"} <= set(lines)


@pytest.mark.parametrize(("ticks_long", "target"), [(540_000, 6), (540_001, 7), (100, 1)])
def test_no_segment_is_longer_than_said(ticks_long: int, target: int) -> None:
    text = playlist(tiled([0, ticks_long], 1), str)
    assert f"#EXT-X-TARGETDURATION:{target}\n" in text


def test_sound_is_in_ranges_of_one_file() -> None:
    text = sound_playlist(SOUND, "sound.mp4")
    assert '#EXT-X-MAP:URI="sound.mp4",BYTERANGE="640@0"' in text
    assert re.findall(r"BYTERANGE:(\S+)\n(\S+)", text) == [("100@640", "sound.mp4"), ("90@740", "sound.mp4")]
    assert lengths(text) == [1.002667, 0.853333]


def test_the_master_names_both() -> None:
    info = info_of(ticks(Fraction(30000, 1001), 100))
    text = master_playlist(info, "avc1.64000a", "pictures.m3u8", SOUND, "sound.m3u8")
    assert 'CODECS="avc1.64000a,mp4a.40.2",RESOLUTION=64x48,FRAME-RATE=29.970,AUDIO="sound"' in text
    assert 'URI="sound.m3u8"' in text
    assert text.endswith("pictures.m3u8\n")


def test_the_master_of_a_film_without_sound() -> None:
    text = master_playlist(info_of(ticks(Fraction(25), 10)), "avc1.64000a", "pictures.m3u8")
    assert "AUDIO" not in text
    assert 'CODECS="avc1.64000a"' in text
