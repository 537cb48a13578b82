"""One rising share out of nested phases."""

from __future__ import annotations

from gpu.wan.engines.build_shares import Shares


def test_a_step_of_an_inner_phase_is_a_part_of_the_outer_ones_step() -> None:
    shares = Shares()
    shares.begin("build", None, 2)
    assert shares.news() == (0.0, "build")
    shares.step("build", 0)
    assert shares.news() == (0.5, "build")
    shares.begin("time", "build", 4)
    assert shares.news() == (0.5, "time")
    shares.step("time", 1)
    assert shares.news() == (0.75, "time")
    assert shares.news() is None, "nothing new"
    shares.begin("try", "time", 2)
    shares.step("try", 0)
    assert shares.news() == (0.5 + 0.5 * (2.5 / 4), "try")
    shares.end("try")
    shares.step("time", 3)
    shares.end("time")
    shares.step("build", 1)
    assert shares.news() == (1.0, "try")


def test_a_share_is_never_taken_back() -> None:
    shares = Shares()
    shares.begin("first", None, 4)
    shares.step("first", 2)
    shares.news()
    shares.end("first")
    shares.begin("second", None, 10)
    assert shares.news() == (0.75, "second")
    shares.step("second", 0)
    assert shares.news() is None


def test_odd_reports_do_no_harm() -> None:
    shares = Shares()
    shares.step("unknown", 3)
    shares.end("unknown")
    shares.begin("a", "b", 0)  # a parent that never began, no steps
    shares.begin("b", "a", 1)  # and a circle
    shares.begin("c", "c", 1)
    shares.step("a", 99)
    share, _ = shares.news() or (None, "")
    assert share is None or 0 <= share <= 1
