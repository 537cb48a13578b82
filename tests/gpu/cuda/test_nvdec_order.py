"""When a picture is shown at once, when the parser is asked, and what comes too late."""

from __future__ import annotations

import pytest

from gpu.cuda.nvdec_order import Order
from gpu.types import CLOCK_HZ, Codec

STEP = 3000


def early(order: Order, times: list[int]) -> list[bool]:
    found = []
    for time in times:
        order.begin(time * STEP)
        found.append(order.early)
    return found


def late(order: Order, times: list[int]) -> list[int]:
    """Which of these are left out, the rest being shown."""
    found = []
    for time in times:
        if order.is_late(time * STEP):
            found.append(time)
        else:
            order.show(time * STEP)
    return found


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_nothing_waits_until_time_steps_back(codec: Codec) -> None:
    order = Order(codec)
    assert early(order, [0, 1, 1, 5, 6]) == [True] * 5
    assert early(order, [9, 7, 8, 12, 10, 11]) == [True, False, False, False, False, False]


def test_b_frames_are_forgotten_after_a_while() -> None:
    order = Order("h264")
    assert early(order, [3, 2]) == [True, False]
    assert early(order, list(range(4, 36))) == [False] * 31 + [True]


@pytest.mark.parametrize("codec", ["vp8", "vp9", "av1"])
def test_the_others_are_shown_when_the_parser_says(codec: Codec) -> None:
    order = Order(codec)
    assert not order.reorders
    assert early(order, [0, 1, 0, 2]) == [False] * 4
    assert late(order, [0, 5, 3, 4]) == []


def test_what_comes_too_late_is_left_out_but_not_for_ever() -> None:
    assert late(Order("hevc"), [0, 3, 1, 2, 4, 5]) == [1, 2]
    assert late(Order("hevc"), list(range(25)) + list(range(20))) == list(range(16))  # a clock set back


def test_a_leap_of_a_second_is_a_new_beginning() -> None:
    leap = CLOCK_HZ // STEP
    order = Order("h264")
    assert early(order, [leap + 5, 5, 6]) == [True] * 3
    assert late(Order("h264"), [leap + 5, 5, 6]) == []
    assert late(Order("h264"), [leap + 5, 6, 7]) == [6, 7]
