"""What a reader gives is what libav decodes: every frame, at its time, from wherever one begins."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import psutil
import pytest

from gpu.film import spawn
from gpu.film.reader import open_film
from gpu.film.types import FilmError, FilmLimits
from gpu.types import Frame
from tests.gpu.film.film_files import Recipe, make_film
from tests.gpu.film.varied import Kind, make

_ROOT = Path(__file__).parents[3]
_VARIED = (0, 40, 80, 90, 200, 1000, 1033, 1066, 1100, 1500, 1510, 1520, 2100, 2200, 2201, 2300)
KINDS = {
    "bframes": Kind(options={"bf": "3", "g": "12"}),
    "long": Kind(options={"bf": "2", "g": "250"}),
    "open": Kind(options={"bf": "3", "g": "12", "x264-params": "open-gop=1:keyint=12:scenecut=0"}),
    "refresh": Kind(options={"x264-params": "intra-refresh=1:keyint=15:bframes=0"}),
    "varied": Kind(times=_VARIED, options={"bf": "2", "g": "5"}),
    "late": Kind(times=tuple(range(5000, 7000, 40)), options={"bf": "2", "g": "12"}),
    "edited": Kind(options={"bf": "2", "g": "12"}, skipped=17),
    "fragments": Kind(muxer={"movflags": "frag_keyframe+empty_moov"}, options={"bf": "2", "g": "12"}),
    "negative": Kind(muxer={"movflags": "negative_cts_offsets"}, options={"bf": "2", "g": "12"}),
    "mkv": Kind(name="film.mkv", options={"bf": "3", "g": "12"}),
    "live": Kind(name="film.mkv", muxer={"live": "1"}, options={"bf": "2", "g": "12"}),
    "mov": Kind(name="film.mov", options={"bf": "2", "g": "12"}),
    "hevc": Kind(name="film.mkv", codec="libx265", options={"x265-params": "keyint=12:log-level=none"}),
    "vp8": Kind(
        name="film.webm", codec="libvpx", options={"auto-alt-ref": "1", "lag-in-frames": "12", "g": "20"}
    ),
    "vp9": Kind(
        name="film.webm", codec="libvpx-vp9", options={"lag-in-frames": "12", "g": "20", "cpu-used": "8"}
    ),
    "mpeg4": Kind(codec="mpeg4", options={"bf": "2", "g": "12"}),
    "mjpeg": Kind(name="film.mov", codec="mjpeg", pixels="yuvj420p", full_range=True),
}


_QUICK = ("bframes", "open", "varied", "edited", "fragments", "live", "vp9")
EACH = [pytest.param(name, marks=() if name in _QUICK else pytest.mark.slow) for name in KINDS]


class _Films(dict[str, Path]):
    """Made when first asked for."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def __missing__(self, name: str) -> Path:
        (self._folder / name).mkdir()
        self[name] = make(self._folder / name, KINDS[name])
        return self[name]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return _Films(tmp_path_factory.mktemp("films"))


def decoded(path: Path) -> list[Any]:
    """By libav alone, as it comes."""
    with av.open(str(path)) as file:
        return list(file.decode(video=0))


def bytes_of(frame: Frame) -> bytes:
    return frame.y.tobytes() + frame.u.tobytes() + frame.v.tobytes()


@pytest.mark.parametrize("name", EACH)
def test_frames_are_those_libav_decodes(films: dict[str, Path], name: str) -> None:
    wanted = decoded(films[name])
    first = wanted[0].pts * wanted[0].time_base
    with open_film(films[name]) as reader:
        frames = list(reader.frames())
        assert reader.info.video.frames == len(frames) == len(wanted)
        assert reader.stats.repeated == 0
    assert [frame.pts for frame in frames] == [
        int(((each.pts * each.time_base - first) * 90000) + Fraction(1, 2)) for each in wanted
    ]
    for frame, each in zip(frames, wanted, strict=True):
        plain = each.reformat(format="yuv420p") if KINDS[name].full_range else each
        if not KINDS[name].full_range:
            assert np.array_equal(frame.y, plain.to_ndarray()[:48])


@pytest.mark.parametrize("name", EACH)
def test_a_seek_gives_what_reading_from_the_start_gives(films: dict[str, Path], name: str) -> None:
    with open_film(films[name]) as reader:
        whole = {frame.pts: bytes_of(frame) for frame in reader.frames()}
        ticks = sorted(whole)
        for start in (0, 1, *ticks[1:8], ticks[len(ticks) // 2] + 5, *ticks[-3:], ticks[-1] + 1):
            part = reader.frames(start, start + 4 * 3600)
            assert {frame.pts: bytes_of(frame) for frame in part} == {
                tick: data for tick, data in whole.items() if start <= tick < start + 4 * 3600
            }
        assert reader.stats.repeated == 0


@pytest.mark.parametrize("name", EACH)
def test_glimpses_are_the_frames_a_little_rough_and_change_none(films: dict[str, Path], name: str) -> None:
    with open_film(films[name]) as reader:
        whole = [(frame.pts, bytes_of(frame)) for frame in reader.frames()]
        seen = list(reader.glimpses())
        numbers = [number for number, _ in seen]
        assert numbers == sorted(set(numbers))
        assert numbers[0] == 0
        assert len(numbers) == len(whole)
        assert [frame.pts for _, frame in seen] == [whole[number][0] for number in numbers]
        mean = [float(frame.y.mean()) for _, frame in seen]
        assert np.allclose(mean, [float(np.frombuffer(whole[n][1][: seen[0][1].y.size], np.uint8).mean())
                                  for n in numbers], atol=6)  # fmt: skip
        assert [(frame.pts, bytes_of(frame)) for frame in reader.frames()] == whole


def test_glimpses_end_where_something_else_is_read(films: dict[str, Path]) -> None:
    with open_film(films["bframes"]) as reader:
        glimpses = reader.glimpses()
        next(glimpses)
        assert next(reader.frames(90_000)).pts == 90_000
        assert list(glimpses) == []


def test_a_new_iterator_ends_the_one_before(films: dict[str, Path]) -> None:
    with open_film(films["bframes"]) as reader:
        one = reader.frames()
        assert next(one).pts == 0
        two = reader.frames(90_000)
        assert next(two).pts == 90_000
        assert list(one) == []
        assert len(list(two)) == 34


def test_duration_and_rate_are_the_films(films: dict[str, Path]) -> None:
    with open_film(films["bframes"]) as reader:
        assert reader.info.video.duration == 60 * 3600
        assert reader.info.video.fps == 25
        assert reader.info.container == "mp4"


@pytest.mark.parametrize(
    ("matrix", "turned"),
    [((1, 0, 0, 1), 0), ((0, 1, -1, 0), 90), ((-1, 0, 0, -1), 180), ((0, -1, 1, 0), 270)],
)
def test_pictures_are_turned_upright(tmp_path: Path, matrix: tuple[int, int, int, int], turned: int) -> None:
    plain = make(tmp_path, Kind(name="plain.mp4", times=(0, 40)))
    film = make(tmp_path, Kind(times=(0, 40), matrix=matrix))
    with open_film(film) as reader, open_film(plain) as straight:
        frame, wanted = next(reader.frames()), next(straight.frames())
        assert reader.info.video.turned == turned
        assert (reader.info.video.width, reader.info.video.height) == (frame.width, frame.height)
    assert np.array_equal(frame.y, np.rot90(wanted.y, -turned // 90))
    assert np.array_equal(frame.u, np.rot90(wanted.u, -turned // 90))


def test_mirrored_pictures_change_sides(tmp_path: Path) -> None:
    plain = make(tmp_path, Kind(name="plain.mp4", times=(0, 40)))
    film = make(tmp_path, Kind(times=(0, 40), matrix=(-1, 0, 0, 1)))
    with open_film(film) as reader, open_film(plain) as straight:
        assert np.array_equal(next(reader.frames()).y, next(straight.frames()).y[:, ::-1])


COLOURS = {
    "bt709": Kind(colour=1),
    "full": Kind(pixels="yuvj420p", full_range=True),
    "full709": Kind(pixels="yuvj420p", full_range=True, colour=1),
    "422": Kind(pixels="yuv422p"),
    "444": Kind(pixels="yuv444p"),
    "10bit": Kind(pixels="yuv420p10le"),
    "422_10bit": Kind(pixels="yuv422p10le", colour=1),
    "rgb": Kind(name="film.mkv", codec="libx264rgb", pixels="rgb24", colour=0, options={"crf": "5"}),
    "ffv1": Kind(name="film.mkv", codec="ffv1", pixels="bgr0", colour=0),
    "alpha": Kind(name="film.mov", codec="png", pixels="rgba", colour=0),
}


@pytest.mark.parametrize("name", COLOURS)
def test_colours_become_bt601_limited(tmp_path: Path, name: str) -> None:
    """A film of the same pictures in any format looks like that in BT.601 4:2:0, to a few steps of coding."""
    kind = COLOURS[name]
    options = kind.options or ({"crf": "8"} if kind.codec == "libx264" else {})
    film = make(
        tmp_path, Kind(**{**{f: getattr(kind, f) for f in kind.__dataclass_fields__}, "options": options})
    )
    plain = make(tmp_path, Kind(name="plain.mp4", options={"crf": "8"}))
    with open_film(film) as reader, open_film(plain) as straight:
        assert reader.info.video.full_range == kind.full_range
        assert reader.info.video.bt709 == (kind.colour == 1)
        frame, wanted = next(reader.frames()), next(straight.frames())
    for ours, theirs in ((frame.y, wanted.y), (frame.u, wanted.u), (frame.v, wanted.v)):
        assert np.abs(ours.astype(int) - theirs).mean() < 3


def test_odd_sizes_lose_their_last_column_and_row(tmp_path: Path) -> None:
    film = make(tmp_path, Kind(pixels="yuv444p", size=(65, 49), times=(0, 40), options={"crf": "8"}))
    with open_film(film) as reader:
        frame = next(reader.frames())
        assert (reader.info.video.width, reader.info.video.height) == (64, 48) == (frame.width, frame.height)
    wanted = decoded(film)[0].to_ndarray()[0]
    assert np.abs(frame.y.astype(int) - wanted[:48, :64]).max() <= 1


def test_pixels_become_square(tmp_path: Path) -> None:
    film = make(tmp_path, Kind(aspect=Fraction(4, 3), times=(0, 40)))
    with open_film(film) as reader:
        frame = next(reader.frames())
        assert (frame.width, frame.height) == (84, 48)  # 85.3, even


def test_another_size_in_mid_film_is_scaled_and_counted(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    with av.open(str(path), "w") as file:
        stream: Any = None
        for part, size in enumerate(((64, 48), (96, 80))):
            encoder: Any = av.CodecContext.create("libvpx", "w")
            encoder.width, encoder.height, encoder.pix_fmt = *size, "yuv420p"
            encoder.time_base = Fraction(1, 25)
            if stream is None:
                stream = file.add_stream("libvpx", rate=25)
                stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            packets = []
            for number in range(10):
                image = np.full((size[1] * 3 // 2, size[0]), 60 + 60 * part, np.uint8)
                frame: Any = av.VideoFrame.from_ndarray(image, "yuv420p")
                frame.pts = part * 10 + number
                packets += encoder.encode(frame)
            for packet in packets + encoder.encode(None):
                packet.stream, packet.time_base = stream, Fraction(1, 25)
                file.mux(packet)
    with open_film(path) as reader:
        frames = list(reader.frames())
        assert {(frame.width, frame.height) for frame in frames} == {(64, 48)}
        assert (len(frames), reader.stats.rescaled) == (20, 10)
        assert abs(int(frames[-1].y.mean()) - 120) < 4


@pytest.mark.parametrize(
    ("name", "sound", "begins"), [("f.mov", "pcm_s16le", 0.2), ("f.mkv", "flac", 0.2), ("f.mp4", "aac", 0.0)]
)
def test_where_sound_begins_is_said_against_the_first_frame(
    tmp_path: Path, name: str, sound: str, begins: float
) -> None:
    """Of AAC, without the samples that its decoder begins with (priming)."""
    seconds = [Fraction(number, 25) for number in range(51)]
    film = make_film(tmp_path / name, seconds, Recipe(sound=sound, sound_from=begins))
    with open_film(film) as reader:
        assert reader.info.audio is not None
        assert abs(reader.info.audio.start - begins * 90_000) < 100
        assert reader.info.audio.rate_hz == 48_000
        assert abs(reader.info.audio.start + reader.info.audio.duration - 180_000) < 10_000


def test_a_slow_consumer_holds_the_child_back(films: dict[str, Path]) -> None:
    with open_film(films["bframes"]) as reader:
        frames = reader.frames()
        next(frames)
        child = psutil.Process(reader.pid)
        before = -1.0
        for _ in range(100):  # until it has filled the ring and waits
            used = sum(child.cpu_times()[:2])
            if used == before and child.status() == psutil.STATUS_SLEEPING:
                break
            before = used
            time.sleep(0.05)
        assert child.status() == psutil.STATUS_SLEEPING
        assert len(list(frames)) == 59


@pytest.fixture
def nothing_left() -> Iterator[None]:
    """No process, descriptor or shared memory of the test outlives it."""
    spawn.barriers()  # whatever is loaded once
    gc.collect()
    us = psutil.Process()
    before = us.num_fds(), {child.pid for child in us.children(recursive=True)}
    yield
    gc.collect()
    assert (us.num_fds(), {child.pid for child in us.children(recursive=True)}) == before


@pytest.mark.usefixtures("nothing_left")
def test_nothing_is_left_after_close_loss_and_failure(films: dict[str, Path], tmp_path: Path) -> None:
    with open_film(films["bframes"]) as reader:
        next(reader.frames())
    lost = open_film(films["bframes"])
    pid = lost.pid
    del lost
    gc.collect()
    assert not psutil.pid_exists(pid)
    bad = tmp_path / "bad.mp4"
    bad.write_bytes(films["bframes"].read_bytes()[:400])
    with pytest.raises(FilmError):
        open_film(bad)


@pytest.mark.usefixtures("nothing_left")
@pytest.mark.parametrize(
    ("number", "said"),
    [
        (signal.SIGKILL, r"from outside \(signal 9\), perhaps for want of memory: the same again may work"),
        (signal.SIGTERM, r"ended from outside \(signal 15\)"),
        (signal.SIGSEGV, r"ended \(signal 11\): the film is damaged"),
        (signal.SIGXCPU, r"ended \(signal 24\): the film is damaged"),
    ],
)
def test_a_killed_child_is_an_error_and_no_more(
    films: dict[str, Path], number: signal.Signals, said: str
) -> None:
    reader = open_film(films["bframes"])
    frames = reader.frames()
    next(frames)
    os.kill(reader.pid, number)
    with pytest.raises(FilmError, match=said):
        list(frames)
    with pytest.raises(FilmError, match="closed"):
        list(reader.frames())
    reader.close()


def test_with_one_thread_the_frames_are_the_same(films: dict[str, Path]) -> None:
    with open_film(films["bframes"]) as many, open_film(films["bframes"], FilmLimits(most_threads=1)) as one:
        assert [bytes_of(each) for each in one.frames()] == [bytes_of(each) for each in many.frames()]
        assert psutil.Process(one.pid).num_threads() == 1


def test_a_stopped_child_is_given_up(films: dict[str, Path]) -> None:
    with open_film(films["bframes"], FilmLimits(stall_s=0.5)) as reader:
        frames = reader.frames()
        next(frames)
        os.kill(reader.pid, signal.SIGSTOP)
        with pytest.raises(FilmError, match="no frame"):
            list(frames)
        assert not psutil.pid_exists(reader.pid)


def test_the_child_ends_when_its_parent_is_killed(films: dict[str, Path]) -> None:
    code = (
        "import sys, time; from pathlib import Path; from gpu.film.reader import open_film\n"
        "r = open_film(Path(sys.argv[1])); next(r.frames()); print(r.pid, flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(films["bframes"])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=_ROOT) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        child.suspend()  # so that only the kernel can end it
        parent.kill()
    _, alive = psutil.wait_procs([child], timeout=10)
    assert not alive or child.status() == psutil.STATUS_ZOMBIE


def test_a_child_outlives_the_thread_that_opened_it(films: dict[str, Path]) -> None:
    made: list[Any] = []
    thread = threading.Thread(target=lambda: made.append(open_film(films["bframes"])))
    thread.start()
    thread.join()
    with made[0] as reader:
        assert len(list(reader.frames())) == 60


def test_a_kept_child_is_taken_and_replaced(films: dict[str, Path]) -> None:
    spawn.keep_none()
    before = children()  # other tests' servers
    spawn.keep_one()
    try:
        (waiting,) = children() - before
        with open_film(films["bframes"]) as reader:
            assert reader.pid == waiting
            assert len(list(reader.frames())) == 60
            (other,) = children() - before - {reader.pid}
            psutil.Process(other).kill()  # one that died while it waited is not handed out
            with open_film(films["bframes"]) as again:
                assert again.info == reader.info
    finally:
        spawn.keep_none()
    assert children() == before


def children() -> set[int]:
    return {child.pid for child in psutil.Process().children()}


def test_a_film_that_changed_is_counted_again(tmp_path: Path) -> None:
    path = make(tmp_path, Kind(times=(0, 40, 80)))
    with open_film(path) as reader:
        assert reader.info.video.frames == 3
    make(tmp_path, Kind(times=(0, 40, 80, 120)))
    with open_film(path) as reader:
        assert reader.info.video.frames == len(list(reader.frames())) == 4
