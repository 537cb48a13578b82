"""The jitter buffer under a clock that is an argument: order, holes, wraps, bounds."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest

from gpu.types import EncodedFrame
from server.peer.jitter import MAX_MISSING, MAX_PACKETS, JitterBuffer, Output, TimestampUnwrapper
from server.peer.payload import H264Format, PayloadFormat, Vp8Format

KEY = b"\x10\x00" + bytes(8)  # VP8: first packet of a keyframe
FIRST = b"\x10\x01" + bytes(8)  # first packet of another frame
MORE = b"\x00" + bytes(9)  # what follows


class Feed:
    """A buffer with everything that came out of it."""

    def __init__(self, start: int = 100, payloads: PayloadFormat | None = None) -> None:
        self.buffer = JitterBuffer(payloads or Vp8Format(), hole_timeout=0.15, keyframe_interval=0.25)
        self.start = start
        self.frames: list[EncodedFrame] = []
        self.nacks: list[tuple[float, int]] = []
        self.plis: list[float] = []

    def packet(
        self, index: int, timestamp: int, payload: bytes, marker: bool, now: float, again: bool = False
    ) -> None:
        self.buffer.add((self.start + index) & 0xFFFF, timestamp & 0xFFFFFFFF, marker, payload, now, again)
        self.poll(now)

    def poll(self, now: float) -> Output:
        out = self.buffer.poll(now)
        self.frames += out.frames
        self.nacks += [(now, (n - self.start) & 0xFFFF) for n in out.nacks]
        self.plis += [now] if out.pli else []
        return out

    def run_until(self, end: float) -> None:
        """Every deadline is kept, as the Peer's timer does."""
        for _ in range(10_000):
            deadline = self.buffer.next_deadline()
            if deadline is None or deadline > end:
                return
            self.poll(deadline)
        raise AssertionError("deadlines do not end")

    @property
    def timestamps(self) -> list[int]:
        return [frame.pts for frame in self.frames]


def test_a_frame_leaves_with_its_marker() -> None:
    feed = Feed()
    feed.packet(0, 0, KEY, False, 0.0)
    feed.packet(1, 0, MORE, False, 0.001)
    assert not feed.frames
    feed.packet(2, 0, MORE, True, 0.002)
    assert len(feed.frames) == 1
    assert feed.frames[0].is_keyframe
    assert feed.frames[0].data == KEY[1:] + MORE[1:] * 2
    assert feed.frames[0].arrived_ns == 2_000_000
    assert not feed.nacks
    assert not feed.plis
    assert feed.buffer.next_deadline() is None


def test_a_frame_without_marker_leaves_with_the_next() -> None:
    feed = Feed()
    feed.packet(0, 0, KEY, False, 0.0)
    feed.packet(1, 3000, FIRST, True, 0.03)
    assert feed.timestamps == [0, 3000]


def test_reordered_packets_leave_in_order() -> None:
    feed = Feed()
    feed.packet(0, 0, KEY, True, 0.0)
    feed.packet(3, 6000, FIRST, True, 0.02)
    feed.packet(2, 3000, MORE, True, 0.03)
    assert feed.timestamps == [0]
    feed.packet(1, 3000, FIRST, False, 0.04)
    assert feed.timestamps == [0, 3000, 6000]
    assert not feed.plis


def test_packets_that_overtake_each_other_at_the_start() -> None:
    feed = Feed()
    feed.packet(1, 0, MORE, False, 0.0)
    feed.packet(0, 0, KEY, False, 0.001)
    feed.packet(2, 0, MORE, True, 0.002)
    assert feed.timestamps == [0]


@pytest.mark.parametrize("start", [100, 65_530])
def test_sequence_and_timestamp_wrap(start: int) -> None:
    feed = Feed(start)
    origin = 2**32 - 6000
    for i in range(40):
        feed.packet(i, origin + i * 3000, FIRST if i else KEY, True, i / 30)
    assert feed.timestamps == [origin + i * 3000 for i in range(40)]
    assert not feed.nacks


def test_timestamps_keep_their_low_bits() -> None:
    unwrap = TimestampUnwrapper().unwrap
    wire = [4294960000, 4294967290, 200, 4294967295, 90_000, 2**31 + 80_000]
    unwrapped = [unwrap(t) for t in wire]
    assert [u & 0xFFFFFFFF for u in unwrapped] == wire
    assert unwrapped[2] > unwrapped[1]
    assert unwrapped[3] == unwrapped[2] - 201


def test_a_missing_packet_is_asked_for_again_and_again_then_given_up() -> None:
    feed = Feed()
    feed.buffer.set_rtt(0.05)
    feed.packet(0, 0, KEY, True, 0.0)
    feed.packet(2, 6000, FIRST, True, 0.066)
    feed.packet(3, 9000, FIRST, True, 0.1)
    feed.run_until(0.2159)
    assert [n for _, n in feed.nacks] == [1] * len(feed.nacks)
    assert len(feed.nacks) >= 5
    assert feed.nacks[0][0] == 0.066
    assert feed.plis == [pytest.approx(0.146)]  # in time for a keyframe to be here at the giving up
    assert not feed.buffer.waiting
    feed.run_until(0.2161)  # 150 ms after it was noticed, without a packet coming
    assert feed.plis == [pytest.approx(0.146), pytest.approx(0.216)]
    assert feed.timestamps == [0]  # what refers to the lost one is not handed up
    assert feed.buffer.waiting
    feed.run_until(0.75)
    assert len(feed.plis) == 4  # and asked again, a quarter of a second apart
    feed.packet(4, 12000, FIRST, True, 0.76)
    assert feed.timestamps == [0]
    feed.packet(5, 15000, KEY, True, 0.78)
    feed.packet(6, 18000, FIRST, True, 0.8)
    assert feed.timestamps == [0, 15000, 18000]
    plis, nacks = len(feed.plis), len(feed.nacks)
    feed.run_until(5.0)
    assert (len(feed.plis), len(feed.nacks)) == (plis, nacks)
    assert feed.buffer.next_deadline() is None


def test_a_retransmission_fills_the_hole() -> None:
    feed = Feed()
    feed.packet(0, 0, KEY, True, 0.0)
    feed.packet(2, 6000, FIRST, True, 0.066)
    feed.packet(1, 3000, FIRST, True, 0.2, again=True)
    assert feed.timestamps == [0, 3000, 6000]
    assert feed.buffer.next_deadline() is None
    feed.packet(1, 3000, FIRST, True, 0.21, again=True)  # once more: a copy
    assert feed.timestamps == [0, 3000, 6000]
    assert feed.buffer.duplicates == 1


def test_a_keyframe_behind_a_loss_is_reached_at_once() -> None:
    feed = Feed()
    feed.packet(0, 0, KEY, True, 0.0)
    feed.packet(2, 6000, FIRST, True, 0.05)
    feed.run_until(0.21)
    assert feed.buffer.waiting
    feed.packet(4, 12000, KEY, True, 0.22)  # 3 is missing too, but nothing needs it
    assert feed.timestamps == [0, 12000]


def test_lost_parameter_sets_hold_an_h264_keyframe() -> None:
    feed = Feed(payloads=H264Format())
    feed.packet(1, 0, b"\x65" + bytes(9), True, 0.0)  # an IDR slice: the SPS before it may still come
    assert feed.timestamps == [0]
    feed = Feed(payloads=H264Format())
    feed.packet(0, 0, b"\x67\x42\x00\x1f", False, 0.0)
    feed.packet(2, 0, b"\x65" + bytes(9), True, 0.01)
    assert not feed.frames
    feed.packet(1, 0, b"\x68\xce\x00", False, 0.02, again=True)
    assert len(feed.frames) == 1
    assert feed.frames[0].data.startswith(b"\x00\x00\x00\x01\x67")


def test_a_malformed_frame_counts_as_lost() -> None:
    feed = Feed()
    feed.packet(0, 0, KEY, True, 0.0)
    feed.packet(1, 3000, MORE, True, 0.03)  # whole by its numbers, without its first packet by its contents
    assert feed.timestamps == [0]
    assert feed.plis == [0.03]
    feed.packet(2, 6000, FIRST, True, 0.06)
    assert feed.timestamps == [0]


def test_padding_between_frames_is_passed_over() -> None:
    feed = Feed()
    feed.packet(0, 0, KEY, True, 0.0)
    feed.packet(1, 0, b"", False, 0.001)
    feed.packet(2, 3000, FIRST, True, 0.03)
    assert feed.timestamps == [0, 3000]


def test_another_stream_begins() -> None:
    feed = Feed()
    feed.packet(0, 0, KEY, True, 0.0)
    feed.packet(30_000, 500_000, FIRST, True, 0.03)  # a jump that is no loss
    assert len(feed.nacks) < 2
    assert feed.plis == [0.03]
    feed.packet(30_001, 503_000, KEY, True, 0.06)
    assert feed.timestamps == [0, 503_000]
    feed.buffer.restart()
    feed.packet(7, 9_000_000, KEY, True, 0.1)
    assert feed.timestamps[-1] == 9_000_000


def test_memory_is_bounded_whatever_comes() -> None:
    feed = Feed()
    rng = random.Random(5)
    feed.packet(0, 0, KEY, True, 0.0)
    for i in range(1, 6000):
        feed.packet(i * 2, i // 50 * 3000, FIRST if rng.random() < 0.5 else MORE, False, i / 100_000)
        assert len(feed.buffer._packets) <= MAX_PACKETS
        assert len(feed.buffer._missing) <= MAX_MISSING
    assert feed.buffer.abandoned + feed.buffer.dropped > 0


@pytest.mark.parametrize("seed", range(8))
def test_five_percent_loss_with_jitter_never_freezes_long(seed: int) -> None:
    """30 fps, 4 packets a frame, 5 % lost both ways, 40 ms jitter; retransmissions are lost like the rest."""
    rng = random.Random(seed)
    feed = Feed(payloads=Vp8Format())
    feed.buffer.set_rtt(0.06)
    events: list[tuple[float, int, bool]] = []  # when, which packet, a retransmission
    frames: dict[int, bool] = {}
    made = 0

    def keyed(frame: int) -> bool:
        return frames.setdefault(frame, frame == 0)

    def travel(now: float, index: int, again: bool) -> None:
        if rng.random() >= 0.05:
            events.append((now + rng.random() * 0.04, index, again))

    now, want_key = 0.0, False
    leaving: list[tuple[float, int]] = []  # when a frame left, its timestamp
    while now < 60:
        now += 0.001
        while made < now * 30:
            frames[made] = made == 0 or want_key
            want_key = False
            for part in range(4):
                travel(now, made * 4 + part, False)
            made += 1
        for event in sorted(e for e in events if e[0] <= now):
            events.remove(event)
            index, first = event[1], not event[1] % 4
            payload = (KEY if keyed(index // 4) else FIRST) if first else MORE
            feed.packet(index, index // 4 * 3000, payload, index % 4 == 3, now, event[2])
        feed.run_until(now)
        for _, number in feed.nacks:
            if rng.random() >= 0.05:
                travel(now + rng.random() * 0.04, number + 65536 * ((made * 4 - number) // 65536), True)
        feed.nacks.clear()
        want_key = want_key or any(rng.random() >= 0.05 for _ in feed.plis)
        feed.plis.clear()
        leaving += [(now, frame.pts) for frame in feed.frames]
        feed.frames.clear()
    gaps = [b - a for (a, _), (b, _) in pairwise(leaving)]
    assert max(gaps) < 0.4
    assert len(leaving) > 1700
    assert sorted(t for _, t in leaving) == [t for _, t in leaving]


def test_a_whole_keyframe_behind_an_old_hole_ends_the_wait() -> None:
    feed = Feed()
    feed.packet(0, 0, KEY, True, 0.0)
    feed.packet(2, 6000, FIRST, True, 0.066)
    feed.packet(3, 9000, KEY, False, 0.1)
    feed.packet(4, 9000, MORE, True, 0.11)
    assert feed.timestamps == [0]  # the hole is young: the missing one may still come
    feed.run_until(0.147)
    assert feed.timestamps == [0, 9000]
    assert not feed.plis  # it needed no other
    assert not feed.buffer.waiting
    assert feed.buffer.next_deadline() is None


def test_no_deadline_lies_in_the_past_while_a_keyframe_is_waited_for() -> None:
    feed = Feed()
    feed.packet(0, 0, KEY, True, 0.0)
    feed.packet(2, 3000, FIRST, True, 0.01)
    feed.run_until(0.2)
    assert feed.buffer.waiting
    feed.packet(4, 6000, FIRST, True, 0.21)  # another hole, in what is dropped anyway
    feed.packet(5, 9000, FIRST, True, 0.3)
    deadline = feed.buffer.next_deadline()
    assert deadline is not None
    assert deadline > 0.3
