from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from fractions import Fraction
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from gpu.film.boxes import children, read_run
from gpu.film.segment import OutputSettings, codec_string, init_segment, write_segment
from gpu.film.types import FilmError, FilmInfo
from gpu.types import Frame
from tests.gpu.film.film_frames import frames_of, info_of, picture, ticks, tiled

SETTINGS = OutputSettings()
NTSC, FILM, PAL = Fraction(30000, 1001), Fraction(24000, 1001), Fraction(25)
UNEVEN = [0, 3000, 4500, 9000, 12003, 12004, 90_000, 93_003]


def rendered(times: list[int], count: int = 20, info: FilmInfo | None = None) -> tuple[bytes, list[bytes]]:
    info = info or info_of(times)
    spans = tiled(times, count)
    made = [write_segment(iter(frames_of(span, times)), span, info, SETTINGS) for span in spans]
    return init_segment(info, SETTINGS), made


def decoded(init: bytes, segments: list[bytes]) -> list[Any]:
    with av.open(BytesIO(init + b"".join(segments))) as file:
        return list(file.decode(video=0))


@pytest.mark.parametrize("times", [ticks(NTSC, 50), ticks(FILM, 50), ticks(PAL, 41), UNEVEN], ids=str)
def test_every_frame_is_shown_at_its_tick(times: list[int]) -> None:
    init, segments = rendered(times)
    frames = decoded(init, segments)
    assert [frame.pts for frame in frames] == times[:-1]
    assert {frame.time_base for frame in frames} == {Fraction(1, 90_000)}


def test_a_segment_says_exactly_how_long_each_frame_lasts() -> None:
    times = [*ticks(NTSC, 20), *(each + 100 for each in UNEVEN if each > 60_060)]
    for segment, span in zip(rendered(times, 7)[1], tiled(times, 7), strict=True):
        run = read_run(segment[: segment.index(b"mdat") + 4], len(segment))
        part = [*times[span.first_frame : span.first_frame + span.frames], span.end]
        assert run.start == span.start
        assert list(run.durations) == [b - a for a, b in pairwise(part)]
        assert run.syncs[0]


def test_a_segment_is_one_moof_and_one_mdat() -> None:
    for segment in rendered(ticks(PAL, 30), 10)[1]:
        assert [kind for _, _, kind in children(segment, 0, len(segment))] == [b"moof", b"mdat"]


def test_each_segment_plays_by_itself_behind_the_init() -> None:
    times = ticks(NTSC, 45)
    init, segments = rendered(times, 15)
    for number, segment in enumerate(segments):
        frames = decoded(init, [segment])
        assert [frame.pts for frame in frames] == times[number * 15 : number * 15 + 15]
        assert frames[0].key_frame


def test_the_same_frames_give_the_same_bytes() -> None:
    times = ticks(FILM, 40)
    assert rendered(times) == rendered(times)


def test_one_init_for_all_segments_whatever_they_show() -> None:
    """The parameter sets do not follow the pictures: flat ones and noise decode behind the same init."""
    times = ticks(PAL, 20)
    info, (one, other) = info_of(times), tiled(times, 10)
    noise = np.random.default_rng(3)

    def loud(frame: Frame) -> Frame:
        return replace(frame, y=noise.integers(16, 235, frame.y.shape, np.uint8))

    def flat(frame: Frame) -> Frame:
        return replace(frame, y=np.full_like(frame.y, 99))

    made = [
        write_segment(map(loud, frames_of(one, times)), one, info, SETTINGS),
        write_segment(map(flat, frames_of(other, times)), other, info, SETTINGS),
    ]
    assert len(decoded(init_segment(info, SETTINGS), made)) == 20


def test_pictures_are_hard_to_tell_from_the_source() -> None:
    times = ticks(PAL, 25)
    for number, frame in enumerate(decoded(*rendered(times, 25))):
        error = frame.to_ndarray()[:48].astype(float) - picture(number, 0).y
        assert 10 * np.log10(255**2 / np.mean(error**2)) > 38  # dB


@pytest.mark.parametrize(("bt709", "primaries"), [(False, 6), (True, 1)])
def test_colours_are_said(bt709: bool, primaries: int) -> None:
    """The matrix is BT.601's, as a reader gives frames; primaries and transfer are the source's."""
    times = ticks(PAL, 5)
    info = info_of(times)
    info = replace(info, video=replace(info.video, bt709=bt709))
    init, segments = rendered(times, info=info)
    frame = decoded(init, segments)[0]
    assert (int(frame.colorspace), int(frame.color_primaries), int(frame.color_trc)) == (
        6,
        primaries,
        primaries,
    )
    assert int(frame.color_range) == 1
    at = init.index(b"nclx") + 4
    assert init[at : at + 7] == bytes((0, primaries, 0, primaries, 0, 6, 0))


def test_a_film_of_one_frame() -> None:
    init, segments = rendered([0, 3003])
    assert [frame.pts for frame in decoded(init, segments)] == [0]


def test_the_codec_is_said_for_a_playlist() -> None:
    assert codec_string(init_segment(info_of(ticks(PAL, 10)), SETTINGS)).startswith("avc1.6400")


def test_long_spans_have_keyframes_within() -> None:
    times = ticks(PAL, 250)
    run = read_run((segment := rendered(times, 250)[1][0])[: segment.index(b"mdat") + 4], len(segment))
    assert [number for number, sync in enumerate(run.syncs) if sync] == [0, 100, 200]


def wrong_frames(kind: str) -> list[Frame]:
    times = ticks(PAL, 20)
    frames = frames_of(tiled(times, 10)[1], times)
    return {
        "few": frames[:-1],
        "many": [*frames, frames[-1]],
        "another span's": frames_of(tiled(times, 10)[0], times),
        "turned round": [*frames[:4], frames[5], frames[4], *frames[6:]],
        "of another size": [picture(0, each.pts, size=(32, 48)) for each in frames],
        "of full range": [replace(each, full_range=True) for each in frames],
        "none": [],
    }[kind]


@pytest.mark.parametrize(
    "kind", ["few", "many", "another span's", "turned round", "of another size", "of full range", "none"]
)
def test_frames_that_are_not_the_spans_are_refused(kind: str) -> None:
    times = ticks(PAL, 20)
    with pytest.raises(FilmError, match="span 1"):
        write_segment(wrong_frames(kind), tiled(times, 10)[1], info_of(times), SETTINGS)


@pytest.mark.parametrize("settings", [{"crf": 60}, {"threads": 0}, {"keyframe_s": 0.0}])
def test_settings_out_of_range_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(FilmError, match="crf is 0 to 51"):
        OutputSettings(**settings)


def test_a_damaged_segment_is_told() -> None:
    segment = rendered(ticks(PAL, 10))[1][0]
    head = segment[: segment.index(b"mdat") + 4]
    for bad, size in ((head, len(segment) - 1), (head[:40], len(segment)), (b"\0" * 100, 100)):
        with pytest.raises(FilmError, match="render it again"):
            read_run(bad, size)


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="needs FFmpeg's command line")
def test_ffprobe_agrees(tmp_path: Path) -> None:
    times = ticks(NTSC, 60)
    init, segments = rendered(times, 25)
    (tmp_path / "film.mp4").write_bytes(init + b"".join(segments))
    command = [
        "ffprobe",
        "-v",
        "warning",
        "-show_entries",
        "frame=pts,duration",
        "-of",
        "csv=p=0",
        "film.mp4",
    ]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True)
    assert told.stderr == ""
    assert [int(line.split(",")[0]) for line in told.stdout.split()] == times[:-1]
