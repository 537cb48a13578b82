"""What people see of a download: lines with rate and time left, a bar on a terminal."""

from __future__ import annotations

import io

import pytest

from gpu.checkpoints.progress import LINE_EVERY_S, Bar, Lines, duration, to_stream


def test_lines_say_how_far_how_fast_and_how_long(tmp_path: object) -> None:
    said: list[str] = []
    now = [100.0]
    lines = Lines(said.append, lambda: now[0])
    lines.begin("net.pt", 1_000_000_000, 100_000_000)
    for _ in range(40):
        now[0] += 1
        lines.moved(10_000_000)
    assert said[0] == "net.pt: 1.00 GB, 100.00 MB of them there already"
    assert said[1] == "net.pt: 200.00 MB of 1.00 GB, 10.0 MB/s, 80 s left"
    assert len(said) == 1 + 40 / LINE_EVERY_S
    lines.moved(500_000_000)
    lines.end()
    assert said[-1].startswith("net.pt: 1.00 GB in 40 s")


def test_a_file_that_did_not_end_is_not_called_done() -> None:
    said: list[str] = []
    lines = Lines(said.append)
    lines.begin("net.pt", 10)
    lines.moved(5)
    lines.end()
    assert not said


def test_a_pipe_gets_lines_and_a_terminal_a_bar() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    pytest.importorskip("tqdm")
    assert isinstance(to_stream(io.StringIO()), Lines)
    screen = Terminal()
    bar = to_stream(screen)
    assert isinstance(bar, Bar)
    bar.begin("net.pt", 2_000_000, 1_000_000)
    bar.moved(1_000_000)
    bar.say("going on")
    bar.end()
    assert "2.00M/2.00M" in screen.getvalue()
    assert "B/s" in screen.getvalue()
    assert "going on" in screen.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"), [(-1, "0 s"), (40, "40 s"), (720, "12 min"), (3900, "1 h 05 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
