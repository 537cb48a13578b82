"""Sound leaves with the picture of its time, in order, and is dropped only over its bound."""

from __future__ import annotations

import asyncio
import time

import pytest
from visitor import until

from server import hold_back
from server.hold_back import BEGIN_S, JUMP_S, MAX_DELAY_S, MAX_PACKETS, HoldBack
from server.peer import EncodedAudio


def packet(at_s: float) -> EncodedAudio:
    return EncodedAudio(b"opus", round(at_s * 48_000), time.monotonic_ns())


def show(line: HoldBack, late_s: float, count: int = 200, zero_s: float = 0.0) -> None:
    """`count` pictures leave `late_s` after their time on a clock that is the monotonic one less `zero_s`."""
    for _ in range(count):
        line.video_left(round((time.monotonic() - zero_s - late_s) * 90_000))


async def test_without_a_picture_packets_pass_at_once() -> None:
    sent: list[EncodedAudio] = []
    line = HoldBack(sent.append)
    for i in range(3):
        line.push(packet(i * 0.02))
    assert [p.pts for p in sent] == [0, 960, 1920]


async def test_sound_leaves_with_the_picture_of_its_time() -> None:
    sent: list[tuple[float, float]] = []
    line = HoldBack(lambda p: sent.append((p.pts / 48_000, time.monotonic())))
    zero_s = time.monotonic() - 5  # the clock's
    show(line, 0.1, zero_s=zero_s)
    for _ in range(20):
        # It came 30 ms after its time: what is left to wait is 70 ms.
        line.push(packet(time.monotonic() - 0.03 - zero_s))
        await asyncio.sleep(0.005)
    await until(lambda: len(sent) == 20)
    assert [at for at, _ in sent] == sorted(at for at, _ in sent)
    assert min(left - zero_s - at for at, left in sent) >= 0.097
    assert line.dropped == 0
    assert line.delay_s > 0.05


async def test_one_late_picture_moves_nothing_and_a_later_path_moves_all() -> None:
    line = HoldBack(lambda _: None)
    show(line, 0.05)
    before = line._offset
    assert before is not None
    show(line, 0.4, count=1)
    assert line._offset == pytest.approx(before, abs=0.005)
    show(line, 0.4)
    assert line._offset == pytest.approx(0.4, abs=0.02)


async def test_it_rises_faster_than_it_falls() -> None:
    line = HoldBack(lambda _: None)
    show(line, 0.0)
    show(line, 0.2, count=15)
    rose = line._offset
    show(line, 0.2)
    show(line, 0.0, count=15)
    fell = 0.2 - (line._offset or 0.0)
    assert rose is not None
    assert rose > 1.2 * fell > 0


async def test_another_clock_is_followed_at_once() -> None:
    sent: list[EncodedAudio] = []
    line = HoldBack(sent.append)
    show(line, 0.05)
    line.push(packet(time.monotonic() + 60))  # of a clock that no picture showed yet
    assert sent == []
    line.video_left(round((time.monotonic() + 60 + JUMP_S) * 90_000))
    assert len(sent) == 1


async def test_the_wait_is_bounded() -> None:
    line = HoldBack(lambda _: None)
    show(line, 0.05)
    made = packet(time.monotonic() + 3600)
    assert line._due_s(made.arrived_ns / 1e9, made) == made.arrived_ns / 1e9 + MAX_DELAY_S
    line.push(made)
    line.clear()


async def test_over_the_bound_the_oldest_go() -> None:
    sent: list[EncodedAudio] = []
    line = HoldBack(sent.append)
    show(line, 0.05)
    for i in range(MAX_PACKETS + 10):
        line.push(packet(time.monotonic() + 1 + i * 0.02))
    assert line.dropped == 10
    line.clear()
    await asyncio.sleep(0.02)
    assert sent == []


async def test_a_films_sound_waits_for_the_first_pictures_and_begins_with_them() -> None:
    sent: list[EncodedAudio] = []
    line = HoldBack(sent.append, waits=True)
    zero_s = time.monotonic()
    for n in range(40):
        line.push(packet(n * 0.02))
    await asyncio.sleep(0.1)
    assert sent == []
    for at_s in (0.2, 0.24, 0.28):
        assert sent == []
        line.video_left(round(at_s * 90_000))
    assert line._offset == pytest.approx(zero_s + 0.1 - 0.28, abs=0.05)
    await until(lambda: sent and sent[-1].pts == 39 * 960)
    assert [p.pts for p in sent] == [n * 960 for n in range(40 - len(sent), 40)]
    assert sent[0].pts / 48_000 == pytest.approx(0.27, abs=0.05)


async def test_where_no_picture_follows_a_films_sound_begins_all_the_same() -> None:
    sent: list[EncodedAudio] = []
    line = HoldBack(sent.append, waits=True)
    line.video_left(0)
    for n in range(40):
        line.push(packet(n * 0.02))
    await until(lambda: sent and sent[-1].pts == 39 * 960)
    assert BEGIN_S - 0.05 < sent[0].pts / 48_000 < BEGIN_S + 0.2


class Clock:
    """Moments as told."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def monotonic(self) -> float:
        return self.now_s

    def show(self, line: HoldBack, fps: float, late_s: float, seconds: float) -> None:
        for _ in range(round(seconds * fps)):
            self.now_s += 1 / fps
            line.video_left(round((self.now_s - late_s) * 90_000))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(hold_back, "time", made)
    return made


@pytest.mark.parametrize("fps", [4, 10, 24, 60])
async def test_it_is_in_step_again_within_two_seconds_however_seldom_pictures_come(
    clock: Clock, fps: int
) -> None:
    line = HoldBack(lambda _: None)
    for late_s in (0.5, 0.1, 0.4):
        clock.show(line, fps, late_s, 2.0)
        assert line._offset == pytest.approx(late_s, abs=0.04)


@pytest.mark.parametrize("fps", [10, 24])
async def test_a_films_first_picture_that_is_late_by_itself_delays_no_sound(clock: Clock, fps: int) -> None:
    line = HoldBack(lambda _: None, waits=True)
    clock.show(line, fps, 0.5, 1 / fps)
    clock.show(line, fps, 0.08, 2 / fps)
    assert line._offset == pytest.approx(0.08, abs=0.01)


async def test_what_is_skipped_is_not_sent_and_the_delay_is_still_known() -> None:
    sent: list[EncodedAudio] = []
    line = HoldBack(sent.append)
    show(line, 0.2)
    before = line._offset
    line.push(packet(time.monotonic()))
    line.skip()
    line.push(packet(time.monotonic() + 0.02))
    assert line._offset == before
    await until(lambda: sent)
    assert len(sent) == 1
    assert line.delay_s > 0.1
