"""What is said of progress: rates and times only of what is known."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from server import edit_bar


def test_the_time_left_is_counted_from_the_first_frame_on(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 0.0
    monkeypatch.setattr(edit_bar, "time", SimpleNamespace(monotonic=lambda: now_s))
    said = io.StringIO()
    bar = edit_bar.EditBar(said)
    bar.begin(100)
    now_s = 6.0  # a model's load later
    bar.made()
    assert said.getvalue().splitlines()[-1].endswith("1 of 100 frames")
    for _ in range(11):
        now_s += 0.5
        bar.made()
    assert said.getvalue().splitlines()[-1].endswith("12 of 100 frames, 2.0 fps, 44 s left")


def test_a_terminal_has_one_line_that_is_left_whole() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    said = Terminal()
    with edit_bar.EditBar(said) as bar:
        bar.begin(4)
        bar.had(2)
    assert said.getvalue().count("\r") == 2
    assert "[############            ]  50% 2 of 4 frames" in said.getvalue()
    assert said.getvalue().endswith("\n")
