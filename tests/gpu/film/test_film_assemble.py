from __future__ import annotations

import errno
import os
import pickle
import shutil
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import av
import pytest

from gpu.film.assemble import assemble
from gpu.film.boxes import children
from gpu.film.types import FilmError
from gpu.types import CLOCK_HZ
from tests.gpu.film.film_files import Recipe, payloads, watch
from tests.gpu.film.film_render import Rendered, constant, render, uneven

PAL, NTSC, FILM = (Fraction(25), Fraction(30000, 1001), Fraction(24000, 1001))
# name: (times of frames, recipe, whether the sound is copied)
FILMS = {
    "pal.mp4": (constant(PAL, 75), Recipe(), True),
    "ntsc-bframes.mp4": (constant(NTSC, 75), Recipe(bframes=2), True),
    "film-bframes.mkv": (constant(FILM, 75), Recipe("libopus", bframes=2), True),
    "uneven.mp4": (uneven(75), Recipe(rate=44_100), True),
    "late.mp4": (constant(PAL, 75), Recipe(sound_from=0.25), True),
    "late.mkv": (constant(FILM, 75), Recipe(sound_from=0.25), True),
    "early.mp4": (constant(PAL, 75), Recipe(sound_from=-0.3), True),
    "early.mkv": (constant(NTSC, 75), Recipe(sound_from=-0.3), True),
    "short.mp4": (constant(PAL, 75), Recipe(sound_to=2.6), True),
    "hole.mp4": (constant(PAL, 75), Recipe(hole=(1.4, 2.0)), True),
    "hole.mkv": (constant(PAL, 75), Recipe(hole=(1.4, 2.0)), True),
    "mono.mp4": (constant(PAL, 75), Recipe(channels=1, rate=22_050), True),
    "mp3.mp4": (constant(PAL, 75), Recipe("libmp3lame", rate=44_100), True),
    "mp3.mkv": (constant(PAL, 75), Recipe("libmp3lame", rate=44_100), True),
    "opus.mp4": (constant(PAL, 75), Recipe("libopus"), True),
    "flac.mkv": (constant(PAL, 75), Recipe("flac"), True),
    "alac.mov": (constant(PAL, 75), Recipe("alac"), True),
    "ac3.mp4": (constant(PAL, 75), Recipe("ac3"), True),
    "vorbis.webm": (constant(PAL, 75), Recipe("vorbis", video="libvpx"), False),
    "pcm.mkv": (constant(PAL, 75), Recipe("pcm_s16le"), False),
    "pcm-192k.mov": (constant(PAL, 75), Recipe("pcm_s24le", rate=192_000), False),
    "late-pcm.mkv": (constant(PAL, 75), Recipe("pcm_s16le", sound_from=0.25), False),
    "hole-pcm.mkv": (constant(PAL, 75), Recipe("pcm_s16le", hole=(1.4, 2.0)), False),
}


QUICK = (
    "ntsc-bframes.mp4",
    "film-bframes.mkv",
    "uneven.mp4",
    "late.mkv",
    "early.mp4",
    "hole.mp4",
    "vorbis.webm",
)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in QUICK else pytest.mark.slow) for n in FILMS]
)
def test_frames_and_sound_stay_where_they_were(name: str, tmp_path: Path) -> None:
    seconds, recipe, copied = FILMS[name]
    film = render(tmp_path / name, seconds, recipe)
    out = tmp_path / "out.mp4"
    notes = assemble(film.init, film.segments, film.source, film.spans, out)

    before, after = watch(film.source), watch(out)
    assert len(after.frames) == len(before.frames) == film.info.video.frames
    shown = [frame - after.frames[0] for frame in after.frames]
    assert shown == pytest.approx([frame - before.frames[0] for frame in before.frames], abs=2e-5)
    assert len(after.flashes) == len(recipe.flashes)
    # Matroska says times in milliseconds: its own players are off by one of them.
    allowed = 2e-5 if film.info.container in ("mp4", "mov") else 1.1e-3
    assert after.offsets() == pytest.approx(before.offsets(), abs=allowed)
    assert max(map(abs, after.offsets())) < 2e-3
    assert before.sound is not None
    assert after.sound is not None
    assert film.info.audio is not None
    told = film.info.audio.start / CLOCK_HZ
    assert told == pytest.approx(before.sound[0] - before.frames[0], abs=1.1e-3)
    start, end = after.sound[0] - after.frames[0], after.sound[1] - after.frames[0]
    assert start == pytest.approx(before.sound[0] - before.frames[0], abs=allowed)
    assert end == pytest.approx(before.sound[1] - before.frames[0], abs=0.03)
    assert (payloads(out) == payloads(film.source)) is copied
    assert (notes == ()) is copied
    assert after.frames[0] == pytest.approx(max(0.0, -start), abs=2e-5)  # no sound is cut off


def test_a_film_without_sound(tmp_path: Path) -> None:
    film = render(tmp_path / "mute.mp4", constant(NTSC, 40), Recipe(""))
    out = tmp_path / "out.mp4"
    assert assemble(film.init, film.segments, film.source, film.spans, out) == ()
    assert len(watch(out).frames) == 40
    with av.open(str(out)) as file:
        assert [stream.type for stream in file.streams] == ["video"]


def test_a_film_whose_sound_cannot_be_decoded(tmp_path: Path) -> None:
    film = render(tmp_path / "film.mkv", constant(PAL, 40), Recipe("pcm_s16le"))
    data = film.source.read_bytes()
    film.source.write_bytes(data.replace(b"A_PCM/INT/LIT", b"A_REAL/COOK\0\0"))
    out = tmp_path / "out.mp4"
    (note,) = assemble(film.init, film.segments, film.source, film.spans, out)
    assert "left out" in note
    assert len(watch(out).frames) == 40


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Rendered:
    return render(tmp_path_factory.mktemp("source") / "film.mp4", constant(PAL, 75), Recipe(bframes=2))


def test_the_table_of_frames_comes_first(film: Rendered, tmp_path: Path) -> None:
    assemble(film.init, film.segments, film.source, film.spans, tmp_path / "out.mp4")
    data = (tmp_path / "out.mp4").read_bytes()
    assert [kind for _, _, kind in children(data, 0, len(data))] == [b"ftyp", b"moov", b"mdat"]


def test_sound_and_pictures_lie_in_turns(film: Rendered, tmp_path: Path) -> None:
    assemble(film.init, film.segments, film.source, film.spans, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as file:
        packets = sorted((p.pos, p.stream.type, float(p.pts * p.time_base)) for p in file.demux() if p.size)
    ahead = {"video": 0.0, "audio": 0.0}
    for _, kind, time in packets:
        ahead[kind] = time
        assert abs(ahead["video"] - ahead["audio"]) < 1.2


def test_the_same_bytes_again_from_files_or_memory(film: Rendered, tmp_path: Path) -> None:
    paths = []
    for number, segment in enumerate(film.segments):
        paths.append(tmp_path / f"{number}.m4s")
        paths[-1].write_bytes(segment)
    assemble(film.init, film.segments, film.source, film.spans, tmp_path / "a.mp4")
    assemble(film.init, paths, film.source, film.spans, tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()


def test_a_result_replaces_an_older_one(film: Rendered, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    assemble(film.init, film.segments, film.source, film.spans, out)
    assert out.stat().st_size > 3


def test_progress_reaches_the_end(film: Rendered, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    out = tmp_path / "out.mp4"
    assemble(
        film.init, film.segments, film.source, film.spans, out, progress=lambda d, of: told.append((d, of))
    )
    assert told[-1] == (out.stat().st_size, out.stat().st_size)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def left(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


@pytest.mark.parametrize("damage", ["missing", "cut", "exchanged", "too few", "none"])
def test_a_segment_that_is_not_its_spans_is_told(film: Rendered, tmp_path: Path, damage: str) -> None:
    segments: list[Path | bytes] = list(film.segments)
    if damage == "missing":
        segments[1] = tmp_path / "nowhere.m4s"
    elif damage == "cut":
        segments[1] = film.segments[1][:-1]
    elif damage == "exchanged":
        segments[0], segments[1] = segments[1], segments[0]
    elif damage == "too few":
        segments.pop()
    else:
        segments[0] = b""
    before = left(tmp_path)
    with pytest.raises(FilmError, match="render"):
        assemble(film.init, segments, film.source, film.spans, tmp_path / "out.mp4")
    assert left(tmp_path) == before


def test_nothing_is_left_of_a_full_disk(
    film: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    out = tmp_path / "out.mp4"
    out.write_bytes(b"old")
    before = left(tmp_path)
    monkeypatch.setattr("gpu.film.assemble.os.fsync", full)
    with pytest.raises(FilmError, match="free space"):
        assemble(film.init, film.segments, film.source, film.spans, out)
    assert left(tmp_path) == before
    assert out.read_bytes() == b"old"


_ON_A_SMALL_DISK = """
import pickle, subprocess, sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from gpu.film.assemble import assemble
from gpu.film.types import FilmError
from gpu.types import CLOCK_HZ
folder = Path(sys.argv[2])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(folder)], check=True)
init, segments, source, spans = pickle.load(open(sys.argv[3], "rb"))
try:
    assemble(init, segments, source, spans, folder / "out.mp4")
except FilmError as error:
    print(error, sorted(folder.iterdir()))
"""


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    """A file system of 4 KiB, in a namespace of its own."""
    small = tmp_path / "small"
    small.mkdir()
    big = tmp_path / "film.pickle"
    noisy = render(tmp_path / "pcm.mkv", constant(PAL, 75), Recipe("flac", rate=96_000))
    big.write_bytes(pickle.dumps((noisy.init, noisy.segments, noisy.source, noisy.spans)))
    program = [sys.executable, "-c", _ON_A_SMALL_DISK, os.getcwd(), str(small), str(big)]
    try:
        made = subprocess.run(
            ["unshare", "-rm", *program], capture_output=True, text=True, timeout=60, check=False
        )
    except FileNotFoundError:
        pytest.skip("needs unshare")
    if "unshare failed" in made.stderr or "mount" in made.stderr:
        pytest.skip("namespaces are not permitted here")
    assert "free space" in made.stdout, made.stderr
    assert made.stdout.rstrip().endswith("[]")


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs FFmpeg's command line")
@pytest.mark.parametrize("name", ["early.mp4", "late.mkv", "vorbis.webm"])
def test_ffmpeg_agrees(name: str, tmp_path: Path) -> None:
    seconds, recipe, _ = FILMS[name]
    film = render(tmp_path / name, seconds, recipe)
    out = tmp_path / "out.mp4"
    assemble(film.init, film.segments, film.source, film.spans, out)
    command = ["ffmpeg", "-v", "warning", "-xerror", "-i", "out.mp4", "-map", "0", "-f", "null", "-"]
    told = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert (told.returncode, told.stderr) == (0, "")
    frames = _pts(film.source), _pts(out)
    assert len(frames[0]) == len(frames[1])
    for before, after in zip(*frames, strict=True):
        assert after - frames[1][0] == pytest.approx(before - frames[0][0], abs=2e-5)


def _pts(path: Path) -> list[float]:
    command = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "frame=pts_time"]
    told = subprocess.run(
        [*command, "-of", "csv=p=0", str(path)], capture_output=True, text=True, timeout=60, check=True
    )
    return [float(line.strip(",")) for line in told.stdout.split()]
