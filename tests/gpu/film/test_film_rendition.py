"""The sound beside the pictures in HLS, and playlists: what players are told, and then see and hear."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from gpu.film.playlist import master_playlist, playlist, sound_playlist
from gpu.film.rendition import Rendition, read_rendition, write_rendition
from gpu.film.segment import codec_string
from gpu.film.types import FilmError
from gpu.types import CLOCK_HZ
from tests.gpu.film.film_files import Recipe, make_film, payloads, watch
from tests.gpu.film.film_frames import tiled
from tests.gpu.film.film_render import Rendered, constant, render

PAL, NTSC = Fraction(25), Fraction(30000, 1001)
FILMS = {
    "ntsc.mp4": (constant(NTSC, 100), Recipe(bframes=2)),
    "opus.mkv": (constant(PAL, 75), Recipe("libopus")),
    "late.mp4": (constant(PAL, 75), Recipe(sound_from=0.5, flashes=(20, 40, 60))),
    "early.mp4": (constant(PAL, 75), Recipe(sound_from=-0.3)),
    "hole.mp4": (constant(PAL, 75), Recipe(hole=(1.4, 2.0))),
    "short.mp4": (constant(PAL, 75), Recipe(sound_to=1.5, flashes=(10, 30))),
}
QUICK = ("ntsc.mp4", "late.mp4")
NAMES = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in FILMS]


def publish(film: Rendered, folder: Path) -> Rendition | None:
    """As a server would: the files, and the playlists that name them."""
    folder.mkdir()
    (folder / "init.mp4").write_bytes(film.init)
    for span, segment in zip(film.spans, film.segments, strict=True):
        (folder / f"{span.index}.m4s").write_bytes(segment)
    made = write_rendition(film.source, film.spans, folder / "sound.mp4")
    (folder / "pictures.m3u8").write_text(playlist(film.spans, lambda index: f"{index}.m4s"))
    if made is not None:
        (folder / "sound.m3u8").write_text(sound_playlist(made, "sound.mp4"))
    text = master_playlist(film.info, codec_string(film.init), "pictures.m3u8", made, "sound.m3u8")
    (folder / "preview.m3u8").write_text(text)
    return made


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in FILMS]
)
def test_a_player_sees_and_hears_the_film(name: str, tmp_path: Path) -> None:
    film = render(tmp_path / name, *FILMS[name])
    rendition = publish(film, tmp_path / "hls")
    assert rendition is not None
    before, after = watch(film.source), watch(tmp_path / "hls" / "preview.m3u8")
    assert len(after.frames) == film.info.video.frames
    assert after.frames[0] == 0
    shown = [frame - before.frames[0] for frame in before.frames]
    assert list(after.frames) == pytest.approx(shown, abs=2e-5)
    assert after.offsets() == pytest.approx([0] * len(after.flashes), abs=2e-3)
    assert after.sound is not None
    assert after.sound[0] <= 0.1
    assert after.sound[1] >= film.info.video.duration / CLOCK_HZ - 1
    if shutil.which("ffprobe"):
        assert_ffmpeg_reads(tmp_path / "hls", film.info.video.frames)


def assert_ffmpeg_reads(folder: Path, frames: int) -> None:
    command = ["ffprobe", "-v", "warning", "-count_frames", "-select_streams", "v", "-show_entries"]
    command += ["stream=nb_read_frames", "-of", "csv=p=0", "preview.m3u8"]
    told = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    assert told.stderr == ""
    assert set(told.stdout.replace(",", " ").split()) == {str(frames)}


def test_aac_that_goes_on_is_copied(tmp_path: Path) -> None:
    times = [0, 90_000, 180_000, 270_000]
    film = make_film(tmp_path / "film.mp4", constant(PAL, 75), Recipe())
    made = write_rendition(film, tiled(times, 1), tmp_path / "sound.mp4")
    assert made is not None
    assert payloads(tmp_path / "sound.mp4") == payloads(film)[1:]  # but for what lies before the film
    assert made == read_rendition(tmp_path / "sound.mp4")
    assert (made.codec, made.rate, made.channels) == ("mp4a.40.2", 48_000, 2)


def test_pieces_follow_the_spans_and_each_other(tmp_path: Path) -> None:
    times = [0, 45_000, 180_000, 183_000, 270_000]
    film = make_film(tmp_path / "film.mkv", constant(PAL, 75), Recipe("pcm_s16le"))
    made = write_rendition(film, tiled(times, 1), tmp_path / "sound.mp4")
    assert made is not None
    data = (tmp_path / "sound.mp4").read_bytes()
    assert made.pieces[0].at == made.init_bytes
    assert made.pieces[-1].at + made.pieces[-1].bytes == len(data)
    end = 0
    for piece, start in zip(made.pieces, times, strict=False):
        assert piece.start == end
        assert 0 <= piece.start / 48_000 - start / CLOCK_HZ < 1024 / 48_000
        assert data[piece.at + 4 : piece.at + 8] == b"moof"
        end = piece.start + piece.duration


def test_the_same_bytes_again(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mkv", constant(PAL, 50), Recipe("libopus"))
    spans = tiled([0, 90_000, 180_000], 1)
    for name in ("a.mp4", "b.mp4"):
        write_rendition(film, spans, tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_without_sound_there_is_no_file(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", constant(PAL, 10), Recipe(""))
    assert write_rendition(film, tiled([0, 36_000], 1), tmp_path / "sound.mp4") is None
    assert [each.name for each in tmp_path.iterdir()] == ["film.mp4"]


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", constant(PAL, 50), Recipe())
    write_rendition(film, tiled([0, 180_000], 1), tmp_path / "sound.mp4")
    data = (tmp_path / "sound.mp4").read_bytes()
    for bad in (b"", data[:50], data[:650], data[:-1] + b"\xff" * 40, b"\xff" * 2000):
        (tmp_path / "bad.mp4").write_bytes(bad)
        with pytest.raises(FilmError, match=r"make it again|render it again"):
            read_rendition(tmp_path / "bad.mp4")
