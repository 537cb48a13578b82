"""Payload formats: what is packed comes back; what is broken is a FrameError and nothing else."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from aiortc.codecs.h264 import h264_depayload
from aiortc.codecs.vpx import Vp8Encoder, vp8_depayload
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu.errors import FrameError
from gpu.types import EncodedFrame
from server.peer.jitter import JitterBuffer
from server.peer.pacer import BURST_BYTES, Pacer
from server.peer.payload import PAYLOAD_MAX, H264Format, Vp8Format, payload_format, split_annex_b
from server.peer.rate import RateControl

START = b"\x00\x00\x00\x01"
SIZES = [1, 2, 10, 500, PAYLOAD_MAX - 3, PAYLOAD_MAX - 2, PAYLOAD_MAX, PAYLOAD_MAX + 1, 5000, 70_000]


def nal(kind: int, size: int, rng: random.Random) -> bytes:
    return bytes([0x60 | kind]) + bytes(rng.randrange(1, 256) for _ in range(size - 1))


@pytest.mark.parametrize("seed", range(30))
def test_h264_comes_back_as_it_went(seed: int) -> None:
    rng = random.Random(seed)
    nals = [nal(rng.choice([1, 5, 6, 7, 8]), rng.choice(SIZES[1:]), rng) for _ in range(rng.randrange(1, 8))]
    unit = b"".join((START if rng.random() < 0.5 else START[1:]) + n for n in nals)
    payloads = H264Format().pack(unit)
    assert max(map(len, payloads)) <= PAYLOAD_MAX
    data, key = H264Format().unpack(payloads)
    assert data == b"".join(START + n for n in nals)
    assert key == any(n[0] & 0x1F == 5 for n in nals)
    assert b"".join(map(h264_depayload, payloads)) == data  # another reader's view


def test_h264_delimiters_and_trailing_zeros_are_left_out() -> None:
    unit = START + b"\x09\xf0" + START + b"\x67\x42\x00\x1f" + b"\x00\x00" + START[1:] + b"\x65\x88\x80\x00"
    assert [bytes(n) for n in split_annex_b(unit)] == [b"\x09\xf0", b"\x67\x42\x00\x1f", b"\x65\x88\x80"]
    payloads = H264Format().pack(unit)
    assert len(payloads) == 1
    assert payloads[0][0] & 0x1F == 24
    assert H264Format().starts_keyframe(payloads[0])
    assert not H264Format().starts_keyframe(b"\x41\x9a")


@pytest.mark.parametrize("size", SIZES)
def test_vp8_comes_back_as_it_went(size: int) -> None:
    rng = random.Random(size)
    unit = bytes([0x10]) + rng.randbytes(size - 1)
    sender = Vp8Format()
    first, payloads = sender.pack(unit), sender.pack(unit)
    assert max(map(len, payloads)) <= PAYLOAD_MAX
    assert Vp8Format().unpack(payloads) == (unit, True)
    assert b"".join(map(vp8_depayload, payloads)) == unit
    assert int.from_bytes(payloads[0][2:4], "big") == int.from_bytes(first[0][2:4], "big") + 1  # picture id
    assert Vp8Format().starts_keyframe(payloads[0])
    assert Vp8Format().unpack(Vp8Encoder._packetize(unit, 5)) == (unit, True)


@pytest.mark.parametrize("codec", ["h264", "vp8"])
@pytest.mark.parametrize("unit", [b"", b"hello", START, START + START, START + b"\x09\xf0"])
def test_what_holds_no_picture_is_refused(codec, unit) -> None:
    if codec == "vp8" and unit:
        return
    with pytest.raises(FrameError):
        payload_format(codec).pack(unit)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(["h264", "vp8"]), st.lists(st.binary(max_size=40), max_size=6))
def test_garbage_raises_only_frame_errors(codec, payloads) -> None:
    reader = payload_format(codec)
    for payload in payloads:
        assert reader.starts_keyframe(payload) in (True, False)
    try:
        data, _ = reader.unpack(payloads)
    except FrameError:
        return
    assert data


@settings(max_examples=150, deadline=None, derandomize=True)
@given(
    st.sampled_from(["h264", "vp8"]),
    st.lists(
        st.tuples(
            st.integers(0, 65535) | st.integers(0, 12),
            st.integers(0, 2**32 - 1) | st.sampled_from([0, 3000, 6000]),
            st.booleans(),
            st.binary(max_size=12),
        ),
        max_size=60,
    ),
)
def test_any_packets_leave_the_jitter_buffer_sane(codec, packets) -> None:
    buffer = JitterBuffer(payload_format(codec))
    now, last = 0.0, None
    for sequence, timestamp, marker, payload in packets:
        now += 0.02
        buffer.add(sequence, timestamp, marker, payload, now)
        for frame in buffer.poll(now).frames:
            assert isinstance(frame, EncodedFrame)
            assert frame.is_keyframe or last is not None
            last = frame
        deadline = buffer.next_deadline()
        assert deadline is None or deadline > now - 1
    for _ in range(3000):  # left alone it comes to rest, but for asking for a keyframe
        deadline = buffer.next_deadline()
        if deadline is None or deadline > now + 30:
            break
        buffer.poll(max(deadline, now))
    else:
        raise AssertionError("deadlines do not end")


def test_an_ordinary_frame_leaves_at_once() -> None:
    pacer = Pacer(1 << 20)
    payloads = [bytes(1200)] * 8
    assert pacer.push(payloads, 5)
    left = [pacer.pop(1.0) for _ in range(9)]
    assert left[8] is None
    assert [x[1:] for x in left[:8] if x] == [(5, False)] * 7 + [(5, True)]
    assert pacer.delay() is None
    assert pacer.queued_bytes == 0


def test_a_keyframe_is_spread_over_a_third_of_a_frame() -> None:
    pacer, now, bursts, left = Pacer(1 << 20), 1.0, [], 0
    for i in range(30):
        pacer.push([bytes(100)], i * 3000)
        assert pacer.pop(now) is not None
        now += 1 / 30
    begun = now
    pacer.push([bytes(1200)] * 100, 30 * 3000)
    while pacer.queued_bytes:
        burst = 0
        while (item := pacer.pop(now)) is not None:
            burst += len(item[0])
        left += burst
        bursts.append(burst)
        now += pacer.delay() or 0.0
    assert left == 120_000
    assert max(bursts) <= BURST_BYTES + 1200
    assert len(bursts) > 5
    assert 0.008 < now - begun < 0.0125  # a third of 33 ms


def test_overflow_finishes_what_has_begun_and_drops_the_rest() -> None:
    pacer = Pacer(100_000)
    assert pacer.push([bytes(1000)] * 60, 1)
    assert pacer.pop(0.0) is not None
    assert pacer.push([bytes(1000)] * 30, 2)
    assert pacer.push([bytes(1000)] * 5, 3)
    assert not pacer.push([bytes(1000)] * 30, 4)
    assert pacer.flush() == 2
    assert pacer.flush() == 0  # one begun is finished
    timestamps = set()
    for i in range(1, 2000):
        while (item := pacer.pop(i / 100)) is not None:
            timestamps.add(item[1])
    assert timestamps == {1}
    assert pacer.queued_bytes == 0


def test_rate_follows_remb_and_loss_within_bounds() -> None:
    told: list[int] = []
    now = [0.0]
    rate = RateControl(100_000, 4_000_000, 4_000_000, told.append, lambda: now[0])
    rate.on_remb(1_000_000)
    rate.on_remb(1_010_000)  # too little to speak of
    rate.on_remb(10)
    rate.on_remb(10)
    rate.on_remb(100_000_000)
    assert told == [1_000_000, 100_000, 4_000_000]
    for _ in range(40):
        now[0] += 1
        rate.on_loss(0.3)
    assert rate.target < 1_000_000
    low = rate.target
    for _ in range(200):
        now[0] += 1
        rate.on_loss(0.0)
    assert low < rate.target == 4_000_000 == told[-1]
    assert all(100_000 <= t <= 4_000_000 for t in told)


def test_rate_starts_where_the_encoder_does_and_probes_upwards() -> None:
    told: list[int] = []
    now = [0.0]
    rate = RateControl(100_000, 1_500_000, 6_000_000, told.append, lambda: now[0])
    assert rate.target == 1_500_000
    rate.on_remb(50_000_000)
    now[0] += 1
    rate.on_loss(0.0)
    assert rate.target == 1_628_000 == told[-1]  # not the ceiling
    reports = 1
    while rate.target < 6_000_000:
        now[0] += 1
        rate.on_loss(0.0)
        reports += 1
    assert reports < 20
    assert all(b < 1.2 * a for a, b in pairwise(told))
    rate.on_remb(700_000)
    assert rate.target == 700_000 == told[-1]
    assert RateControl(100_000, 9_000_000, 6_000_000, told.append).target == 6_000_000
