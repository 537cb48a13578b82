"""`relens edit` in processes of its own: whole films, stopped and gone on with, and what it refuses."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gpu.film.reader import open_film
from gpu.film.timeline import EditAt, write_timeline
from tests.gpu.film.small_film import make_film

ENOUGH_S = 100.0


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "server", "edit", "--threads", "1", *map(str, words)]


def run(*words: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*words), capture_output=True, text=True, timeout=ENOUGH_S, check=False)


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4", 200, sound=True)


@pytest.fixture(scope="module")
def long_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of several spans."""
    return make_film(tmp_path_factory.mktemp("long") / "film.mp4", 1000)


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A timeline with a slip of the pen."""
    path = tmp_path_factory.mktemp("timeline") / "wrong.json"
    path.write_text('{"edits": [{"promt": "night"}]}')
    return path


def frames_of(path: Path) -> list[bytes]:
    with open_film(path) as reader:
        return [frame.y.tobytes() for frame in reader.frames()]


def test_a_film_comes_out_as_long_as_it_went_in_with_its_sound(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    done = run(film, out, "--prompt", "sepia")
    assert done.returncode == 0, done.stderr
    assert "200 of 200 frames" in done.stderr
    with open_film(film) as before, open_film(out) as after:
        assert after.info.video.frames == before.info.video.frames == 200
        assert after.info.video.duration == before.info.video.duration
        assert before.info.audio is not None
        assert after.info.audio == before.info.audio
    assert [path.name for path in tmp_path.iterdir()] == ["out.mp4"]
    again = run(film, out, "--prompt", "sepia")
    assert again.returncode == 1
    assert "--force" in again.stderr


@pytest.mark.slow
def test_stopped_and_killed_it_goes_on_and_gives_the_same_bytes(long_film: Path, tmp_path: Path) -> None:
    film, whole, broken = long_film, tmp_path / "whole.mp4", tmp_path / "broken.mp4"
    assert run(film, whole, "--prompt", "as a pencil sketch").returncode == 0
    for number in (signal.SIGINT, signal.SIGKILL):
        child = subprocess.Popen(
            command(film, broken, "--prompt", "as a pencil sketch"), stderr=subprocess.PIPE, text=True
        )
        deadline_s = time.monotonic() + ENOUGH_S
        done = len(list(tmp_path.glob(".broken*/*.m4s")))
        while len(list(tmp_path.glob(".broken*/*.m4s"))) <= done and time.monotonic() < deadline_s:
            time.sleep(0.02)
        child.send_signal(number)
        _, said = child.communicate(timeout=30)
        assert child.returncode == (130 if number == signal.SIGINT else -signal.SIGKILL), said
        assert not broken.exists()
        if number == signal.SIGINT:
            assert "goes on from here" in said
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob(".broken*/*.m4s")}
    assert kept
    last = run(film, broken, "--prompt", "as a pencil sketch")
    assert last.returncode == 0, last.stderr
    assert broken.read_bytes() == whole.read_bytes()


def test_the_film_it_was_begun_with_is_made_and_what_came_meanwhile_is_kept(
    film: Path, tmp_path: Path
) -> None:
    other = make_film(tmp_path / "other.mp4", 120)
    source, out, whole = (tmp_path / name for name in ("film.mp4", "out.mp4", "whole.mp4"))
    shutil.copyfile(film, source)
    assert run(source, whole, "--prompt", "sepia").returncode == 0
    child = subprocess.Popen(command(source, out, "--prompt", "sepia"), stderr=subprocess.PIPE, text=True)
    deadline_s = time.monotonic() + ENOUGH_S
    while not list(tmp_path.glob(".out*")) and time.monotonic() < deadline_s:
        time.sleep(0.01)
    other.replace(source)
    out.write_text("precious")
    _, said = child.communicate(timeout=ENOUGH_S)
    assert child.returncode == 1
    assert "out.mp4 exists: add --force" in said
    assert out.read_text() == "precious"
    shutil.copyfile(film, source)
    (tmp_path / "link.mp4").symlink_to(out)
    assert run(source, tmp_path / "link.mp4", "--prompt", "sepia", "--force").returncode == 0
    assert (tmp_path / "link.mp4").is_symlink()
    assert out.read_bytes() == whole.read_bytes()
    assert not list(tmp_path.glob(".*"))


def test_what_is_no_file_is_not_replaced(film: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    done = run(film, tmp_path / "pipe.mp4", "--prompt", "sepia", "--force")
    assert done.returncode == 1
    assert "pipe.mp4 is no file" in done.stderr
    assert (tmp_path / "pipe.mp4").is_fifo()


def test_of_a_damaged_film_it_says_so(film: Path, tmp_path: Path) -> None:
    data = bytearray(film.read_bytes())
    middle = data.index(b"mdat") + (len(data) - data.index(b"mdat")) // 2
    data[middle : middle + 3000] = b"\x55" * 3000
    (tmp_path / "film.mp4").write_bytes(data)
    done = run(tmp_path / "film.mp4", tmp_path / "out.mp4", "--prompt", "sepia")
    assert done.returncode == 0, done.stderr
    assert "The film is damaged: about " in done.stderr


def test_a_timeline_changes_the_edit_on_its_frame(film: Path, tmp_path: Path) -> None:
    edits = [EditAt(at=0.0, prompt=""), EditAt(at=3.0, prompt="black and white, 100%", transition_ms=0)]
    timeline, out = tmp_path / "session.json", tmp_path / "out.mp4"
    timeline.write_bytes(write_timeline([*edits, EditAt(at=6.0, prompt="make it night", transition_ms=0)]))
    done = run(film, out, "--timeline", timeline)
    assert done.returncode == 0, done.stderr
    with open_film(film) as before, open_film(out) as after:
        changed = [
            abs(float(a.y.mean()) - float(b.y.mean())) > 6
            for a, b in zip(before.frames(), after.frames(), strict=True)
        ]
    assert not any(changed[:74])
    assert all(changed[150:])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["IN", "OUT"], "what should change"),
        (["IN", "OUT", "--prompt", "xyzzy frobnicate"], "cannot do"),
        (["IN", "OUT", "--prompt", "more"], "ask for an edit first"),
        (["IN", "OUT", "--prompt", "night", "--timeline", "T"], "give one of them"),
        (["IN", "OUT", "--timeline", "missing.json"], "cannot be read"),
        (["missing.mp4", "OUT", "--timeline", "WRONG"], "edit 0 of the timeline: there is no field 'promt'"),
        (["IN", "nowhere/out.mp4", "--prompt", "night"], "no folder nowhere"),
        (["IN", "out.avi", "--prompt", "night"], "would hold an MP4: name it out.mp4"),
        (["IN", "IN", "--prompt", "night", "--force"], "is the film itself"),
        (["missing.mp4", "OUT", "--prompt", "night"], "cannot be opened"),
        (["IN", "OUT", "--prompt", "night", "--strength", "2"], "--strength 2: give 0"),
        (["IN", "OUT", "--prompt", "night", "--threads", "-1"], "--threads -1: give 1 or more"),
        (["missing.mp4", "OUT", "--prompt", "night", "--crf", "99"], "edit: --crf 99 is none that x264 has"),
        (["IN", "OUT", "--prompt", "night", "--crf", "-1"], "(best) to 51\n"),
    ],
)
def test_what_it_refuses_it_explains_and_leaves_nothing(
    film: Path, tmp_path: Path, wrong: Path, words: list[str], said: str
) -> None:
    places = {"IN": str(film), "OUT": str(tmp_path / "out.mp4"), "T": os.devnull, "WRONG": str(wrong)}
    done = run(*(places.get(word, word) for word in words))
    assert done.returncode == 1, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_spans_side_by_side_give_the_same_bytes(long_film: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one.mp4", tmp_path / "two.mp4"
    for out, threads in ((one, "1"), (two, "2")):
        done = run(long_film, out, "--prompt", "sepia", "--threads", threads)
        assert done.returncode == 0, done.stderr
    assert one.read_bytes() == two.read_bytes()


def test_two_at_once_do_not_take_each_others_segments(film: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    digest = hashlib.sha256(film.read_bytes()).hexdigest()
    folder = tmp_path / f".out.mp4.{digest[:12]}.relens"
    folder.mkdir()
    (folder / "kept.m4s").write_bytes(b"of the other")
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX)  # as another one has it
        done = run(film, out, "--prompt", "make it night")
    finally:
        os.close(held)
    assert done.returncode == 1
    assert "another relens edit" in done.stderr
    assert (folder / "kept.m4s").is_file()
    assert not out.exists()
