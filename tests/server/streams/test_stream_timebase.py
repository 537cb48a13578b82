"""The clock of a stream, through all that publishers do to theirs."""

from __future__ import annotations

import itertools
import random

import pytest

from server.streams.timebase import AUDIO_HZ, BACK_TICKS, FIRST_TICKS, Timebase

HZ = 90_000
FRAME = HZ // 30


def test_one_publisher_keeps_its_own_spacing() -> None:
    clock = Timebase()
    origin = 123_456_789
    out = [clock.video(origin + n * FRAME, n / 30) for n in range(100)]
    assert FIRST_TICKS <= out[0] < FIRST_TICKS + 15
    assert [b - a for a, b in itertools.pairwise(out)] == [FRAME] * 99


@pytest.mark.parametrize("origin", [0, 7, 2**32 - FRAME, 10**12 + 1, -90_000])
def test_sound_is_moved_by_exactly_what_the_picture_is(origin: int) -> None:
    """2^32: as they come, unwrapped."""
    clock = Timebase()
    for n in range(90):
        picture = clock.video(origin + n * FRAME, n / 30)
        heard = (origin + n * FRAME) * AUDIO_HZ // HZ + 5
        sound = clock.audio(heard, n / 30)
        assert sound is not None
        assert sound * HZ - picture * AUDIO_HZ == heard * HZ - (origin + n * FRAME) * AUDIO_HZ


def test_sound_before_the_first_picture_has_no_place() -> None:
    clock = Timebase()
    assert clock.audio(48_000, 0.0) is None
    clock.video(90_000, 0.0)
    assert clock.audio(48_000, 0.0) is not None


@pytest.mark.parametrize("late_s", [-1.9, -1.2, -0.9, 0.9, 1.2, 1.9, 2.1, 2.9])
def test_sound_that_always_comes_late_or_early_moves_no_picture(late_s: float) -> None:
    """As in an MPEG-TS whose pictures are sent long before they are shown, or of who looks ahead."""
    clock = Timebase()
    late = round(late_s * 30) * FRAME
    for n in range(300):
        picture = clock.video(n * FRAME, n / 30)
        sound = clock.audio((n * FRAME - late) * AUDIO_HZ // HZ, n / 30)
        assert picture - n * FRAME < FIRST_TICKS + 15
        if n * FRAME > late:
            assert sound is not None
            assert abs(sound / AUDIO_HZ - (picture - late) / HZ) < 0.001


def test_sound_never_goes_back() -> None:
    clock = Timebase()
    clock.video(0, 0.0)
    first = clock.audio(960, 0.0)
    assert first is not None
    assert clock.audio(960, 0.0) is None
    assert clock.audio(0, 0.0) is None
    assert clock.audio(1920, 0.0) == first + 960


@pytest.mark.parametrize("origin", [0, 4 * 3600 * HZ, 2**40, -(2**40)])
@pytest.mark.parametrize("pause_s", [0.0, 0.4, 8.0])
def test_another_publisher_goes_on_by_the_wall_clock(origin: int, pause_s: float) -> None:
    clock = Timebase()
    last = [clock.video(5 * HZ + n * FRAME, n / 30) for n in range(30)][-1]
    clock.expect()
    assert clock.audio(origin, 1.0) is None, "sound of another origin came before its picture"
    first = clock.video(origin, 29 / 30 + pause_s)
    passed = max(FRAME, pause_s * HZ)
    assert passed <= first - last <= passed + 16
    assert clock.video(origin + FRAME, 29 / 30 + pause_s + 1 / 30) == first + FRAME


@pytest.mark.parametrize("jump", [-(10**9), -4 * 3600 * HZ, -3 * HZ, 5 * HZ, 4 * 3600 * HZ, 2**33])
def test_a_publisher_that_jumps_goes_on_smoothly(jump: int) -> None:
    clock = Timebase()
    before = [clock.video(10**7 + n * FRAME, n / 30) for n in range(30)][-1]
    after = [clock.video(10**7 + jump + n * FRAME, n / 30) for n in range(30, 60)]
    assert FRAME <= after[0] - before <= FRAME + 16
    assert [b - a for a, b in itertools.pairwise(after)] == [FRAME] * 29


def test_sound_that_is_still_of_the_time_before_the_jump_stays_there() -> None:
    clock = Timebase()
    last = [clock.video(n * FRAME, n / 30) for n in range(30)][-1]
    heard = clock.audio(47_000, 1.0)
    clock.video(4 * 3600 * HZ, 1.0)
    late = clock.audio(47_960, 1.0)
    assert heard is not None
    assert late == heard + 960
    new = clock.audio(4 * 3600 * AUDIO_HZ + 960, 1.02)
    assert new is not None
    assert last * AUDIO_HZ // HZ < new < last * AUDIO_HZ // HZ + AUDIO_HZ // 5


def test_a_network_that_stalls_and_bursts_is_no_jump() -> None:
    clock = Timebase()
    first = clock.video(0, 0.0)
    assert clock.video(12 * HZ, 12.0) == first + 12 * HZ, "it paused, clock and all"
    assert clock.video(13 * HZ, 25.0) == first + 13 * HZ, "it stalled"
    assert [clock.video((13 + n) * HZ, 25.0) - first for n in (1, 2)] == [14 * HZ, 15 * HZ], "it caught up"


@pytest.mark.parametrize("seed", range(20))
def test_whatever_publishers_do_sound_and_picture_go_forward_together(seed: int) -> None:
    """Takeovers, jumps both ways, stalls, bursts; sound stays within a frame of the picture of its time."""
    draw = random.Random(seed)
    clock, now, pts = Timebase(), 0.0, draw.randrange(-(2**33), 2**33)
    pictures: list[int] = []
    sounds: list[int] = []
    for _ in range(2000):
        match draw.randrange(200):
            case 0:
                clock.expect()
                pts = draw.randrange(-(2**33), 2**33)
            case 1:
                pts += draw.choice((-1, 1)) * draw.choice((3 * HZ, 60 * HZ, 4 * 3600 * HZ, 2**32))
            case 2:
                now += draw.uniform(0, 20)  # it stalls, then sends all at once
            case 3:
                pause = draw.uniform(0, 20)
                now, pts = now + pause, pts + int(pause * HZ)
        pts, now = pts + FRAME, now + draw.uniform(0, 1 / 15)
        pictures.append(clock.video(pts, now))
        if (heard := clock.audio(pts * AUDIO_HZ // HZ, now)) is not None:
            sounds.append(heard)
            assert abs(heard / AUDIO_HZ - pictures[-1] / HZ) < 1 / 30
    assert pictures == sorted(set(pictures))
    assert sounds == sorted(set(sounds))
    assert len(sounds) > 1900


def test_pictures_out_of_order_keep_their_order() -> None:
    clock = Timebase()
    order = [0, 4, 2, 1, 3, 8, 6, 5, 7]
    out = [clock.video(HZ + n * FRAME, i / 30) for i, n in enumerate(order)]
    assert [(o - out[0]) // FRAME for o in out] == order
    assert 8 * FRAME < BACK_TICKS
