"""Nothing anybody sends harms more than the child that reads it: a clear word, soon, and nothing left."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from gpu.film.reader import open_film
from gpu.film.types import FilmError, FilmLimits
from tests.gpu.film import hostile
from tests.gpu.film.varied import Kind, make

_MEMORY = 1 << 30  # of the child
_PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"
_SDP = b"v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 5004 RTP/AVP 96\r\n"

REFUSED: dict[str, tuple[Callable[[Path], Path], str]] = {
    "playlist": (hostile.text(_PLAYLIST), "no film"),
    "playlist_behind_ftyp": (hostile.text(hostile.FTYP + _PLAYLIST), "cut off|moov"),
    "concat": (hostile.text(b"ffconcat version 1.0\nfile '/etc/passwd'\n"), "no film"),
    "sdp": (hostile.text(_SDP), "no film"),
    "html": (hostile.text(b"<!doctype html><script>alert(1)</script>" * 50), "no film"),
    "dash": (hostile.text(b"<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011'/>"), "no film"),
    "text": (hostile.text(b"Dear Sir or Madam,\n" * 99), "no film"),
    "empty": (hostile.text(b""), "empty"),
    "one_byte": (hostile.text(b"\0"), "no film"),
    "avi": (hostile.text(b"RIFF\0\1\0\0AVI LIST" + bytes(999)), "no film"),
    "random_ftyp": (hostile.text(hostile.FTYP + random.Random(3).randbytes(50_000)), "cut off|damaged|moov"),
    "random_ebml": (
        hostile.text(hostile.EBML_MKV + random.Random(3).randbytes(50_000)),
        "opened|no pictures",
    ),
    "other_ebml": (hostile.text(bytes.fromhex("1a45dfa3 87 4282 84") + b"evil" + bytes(99)), "EBML"),
    "ftyp_only": (hostile.text(hostile.FTYP), "moov"),
    "no_moov": (hostile.film(lambda data: data[: data.index(b"moov") - 4]), "moov"),
    "moov_cut": (hostile.film(lambda data: data[: data.index(b"moov") + 300]), "cut off"),
    "mdat_cut": (
        hostile.film(lambda data: data[:-700], Kind(muxer={"movflags": "faststart"})),
        "cut off",
    ),
    "mkv_cut": (hostile.film(lambda data: data[:-700], Kind(name="film.mkv")), "cut off"),
    "huge_moov": (hostile.text(hostile.FTYP + hostile.box(b"moov", b"\0" * 64, 1 << 31)), "cut off"),
    "huge_moov_64": (
        hostile.text(hostile.FTYP + hostile.box(b"moov", b"\x7f" + b"\xff" * 7 + bytes(64), 1)),
        "cut off",
    ),
    "empty_moov": (
        hostile.text(hostile.FTYP + hostile.box(b"moov") + hostile.box(b"mdat")),
        "pictures|opened",
    ),
    "many_samples": (hostile.film(hostile.put(b"stsz", 8, ">I", 0x7FFFFFFF)), "."),
    "large_frame": (hostile.large_frame, "decoded|larger"),
    "bomb": (hostile.bomb, "decoded|larger"),
    "million_fps": (hostile.film(hostile.put(b"mdhd", 12, ">I", 500_000_000)), "frames a second"),
    "zero_timescale": (hostile.film(hostile.put(b"mdhd", 12, ">I", 0)), "."),
    "tracks": (hostile.many_tracks, "tracks"),
    "only_sound": (hostile.only_sound, "no pictures"),
    "only_words": (hostile.only_words, "no pictures"),
    "garbage": (hostile.film(hostile.garbage(1.0)), "decoded"),
    "outside": (hostile.outside, "decoded"),
    "encrypted": (hostile.encrypted, "encrypted"),
    "fifo": (hostile.fifo, "no file"),
    "directory": (hostile.directory, "no file"),
    "dangling": (hostile.dangling, "cannot be opened"),
    "device": (hostile.device, "no file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_file_is_refused_in_words(tmp_path: Path, name: str) -> None:
    write, said = REFUSED[name]
    path = write(tmp_path)
    us = psutil.Process()
    before = us.num_fds(), _children()
    with pytest.raises(FilmError, match=said) as caught:
        open_film(path, FilmLimits(memory_bytes=_MEMORY, stall_s=20))
    assert "Traceback" not in str(caught.value)
    assert "defect" not in str(caught.value)
    assert (us.num_fds(), _children()) == before


def _children() -> set[int]:
    """Other tests' servers may be among them."""
    return {child.pid for child in psutil.Process().children(recursive=True)}


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (FilmLimits(most_frames=50), "more than 50 frames"),
        (FilmLimits(longest_s=2), "longer than 2 s"),
        (FilmLimits(most_fps=20), "frames a second"),
        (FilmLimits(most_bytes=1000), "bytes: at most 1000"),
        (FilmLimits(most_pixels=1000), "1000 pixels"),
        (FilmLimits(most_streams=0), "tracks: at most 0"),
        (FilmLimits(containers=("matroska,webm",)), "."),
        (FilmLimits(memory_bytes=64 << 20), "."),
    ],
)
def test_a_film_beyond_a_limit_is_refused(tmp_path: Path, limits: FilmLimits, said: str) -> None:
    before = _children()
    with pytest.raises(FilmError, match=said):
        open_film(make(tmp_path, Kind()), limits)
    assert _children() == before


def test_a_file_that_may_not_be_read_is_refused(tmp_path: Path) -> None:
    path = make(tmp_path, Kind())
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(FilmError, match="cannot be opened"):
        open_film(path)


def test_a_link_to_a_film_is_the_film(tmp_path: Path) -> None:
    make(tmp_path, Kind())
    (tmp_path / "link.mp4").symlink_to(tmp_path / "film.mp4")
    with open_film(tmp_path / "link.mp4") as reader:
        assert reader.info.video.frames == 60


def test_a_broken_payload_goes_on_and_is_counted(tmp_path: Path) -> None:
    """Every frame comes, at its time; what could not be decoded is shown as the one before."""
    path = hostile.film(hostile.garbage(0.4))(tmp_path)
    runs = []
    for _ in range(2):
        with open_film(path) as reader:
            frames = list(reader.frames())
            assert [frame.pts for frame in frames] == [3600 * number for number in range(60)]
            assert reader.stats.repeated + reader.stats.damaged > 0
            glimpsed = [frame.y.tobytes() for _, frame in reader.glimpses()]
            assert len(glimpsed) > 5
            runs.append([frame.y.tobytes() for frame in frames] + glimpsed)
    assert runs[0] == runs[1]


def test_clusters_without_an_end_end(tmp_path: Path) -> None:
    """Times that come back are one frame each."""
    with open_film(hostile.endless(tmp_path)) as reader:
        assert reader.info.video.frames == 10
        assert len(list(reader.frames())) == 10


def test_a_file_that_shrinks_while_it_is_read_is_an_error(tmp_path: Path) -> None:
    path = make(tmp_path, Kind(size=(320, 240), times=tuple(range(0, 8000, 40)), options={"g": "12"}))
    with open_film(path) as reader:
        frames = reader.frames()
        next(frames)
        os.truncate(path, path.stat().st_size // 2)
        with pytest.raises(FilmError, match="changed"):
            list(frames)
