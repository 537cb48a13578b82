"""Payload formats against libav's: what it cuts is joined, and what is cut it joins; and over a bad path."""

from __future__ import annotations

import io
import itertools
import random
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import av
import numpy as np
import pytest

from gpu.codec import DECODES, open_decoder
from gpu.types import Codec, EncodedFrame, Frame
from server.peer.fmtp import NAMES
from server.peer.jitter import JitterBuffer
from server.peer.payload import payload_format, split_annex_b
from tests.foreign import encode, libav_rtp

STEP = 3000
DEADLINE_S = 20.0


def pictures(count: int, width: int, height: int, seed: int = 0) -> list[Frame]:
    """Noise that moves: units of very different sizes, many packets each."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(40, 200, (height, width + 8 * count), np.uint8)
    flat = np.full((height // 2, width // 2), 128, np.uint8)
    return [Frame(texture[:, 8 * i : 8 * i + width].copy(), flat, flat, i * STEP) for i in range(count)]


def parts(codec: Codec, data: bytes) -> list[bytes]:
    """A unit without what may differ: the lengths of start codes, and AV1's delimiter."""
    if codec in ("h264", "hevc"):
        return [bytes(nal) for nal in split_annex_b(data)]
    return [data.removeprefix(b"\x12\x00") if codec == "av1" else data]


@pytest.mark.parametrize("codec", DECODES)
@pytest.mark.parametrize("seed", range(5))
def test_what_libav_cuts_is_joined(codec: Codec, seed: int) -> None:
    rng = random.Random(seed)
    size = (rng.randrange(32, 300) & ~1, rng.randrange(32, 200) & ~1)
    reader = payload_format(codec)
    sent = libav_rtp(codec, pictures(8, *size, seed), rng.choice([120, 300, 1000, 1472, 9000]))
    assert [unit.is_keyframe for unit, _ in sent] == [True] + [False] * 7
    for unit, payloads in sent:
        data, key = reader.unpack(payloads)
        assert parts(codec, data) == parts(codec, unit.data)
        assert key == unit.is_keyframe
        assert reader.starts_keyframe(payloads[0]) == key
        assert not any(reader.starts_keyframe(payload) for payload in payloads[3:])  # past parameter sets


@pytest.mark.parametrize("codec", DECODES)
def test_libav_joins_what_is_cut(codec: Codec) -> None:
    units = encode(codec, pictures(5, 320, 240))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lines = ["v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=-", "c=IN IP4 127.0.0.1", "t=0 0"]
    lines += [f"m=video {port} RTP/AVP 96", f"a=rtpmap:96 {NAMES[codec]}/90000", ""]
    options = {"protocol_whitelist": "udp,rtp", "analyzeduration": "100000", "reorder_queue_size": "0"}
    expected = [parts(codec, unit.data) for unit in units]
    seen: set[int] = set()
    with sending(codec, units, port):
        for data in heard("\r\n".join(lines), options):
            seen.update(i for i, unit in enumerate(expected) if unit == parts(codec, data))
            if len(seen) == len(units):
                break
    assert seen == set(range(len(units)))


def heard(sdp: str, options: dict[str, str]) -> Iterator[bytes]:
    """What libav makes of a running stream, until the deadline.

    It may begin to listen in the middle of a picture, and ends over that: it is asked again.
    """
    deadline = time.monotonic() + DEADLINE_S
    while time.monotonic() < deadline:
        source = io.BytesIO(sdp.encode())
        with (
            suppress(av.InvalidDataError),
            av.open(source, format="sdp", options=options, timeout=DEADLINE_S) as container,
        ):
            for packet in container.demux(video=0):
                yield bytes(packet)
                if time.monotonic() > deadline:
                    return


@contextmanager
def sending(codec: Codec, units: list[EncodedFrame], port: int) -> Iterator[None]:
    """The units over and over, as RTP to `port`: when libav begins to listen is its own affair."""
    ended = threading.Event()

    def run() -> None:
        sequence = itertools.count(1)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
            writer = payload_format(codec)
            for n, unit in enumerate(itertools.cycle(units)):
                for payload, marker in marked(writer.pack(unit.data)):
                    head = struct.pack("!BBHII", 0x80, 96 | marker << 7, next(sequence) & 0xFFFF, n * STEP, 1)
                    out.sendto(head + payload, ("127.0.0.1", port))
                if ended.wait(0.01):
                    return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(DEADLINE_S)


def marked(payloads: list[bytes]) -> list[tuple[bytes, bool]]:
    return [(payload, i == len(payloads) - 1) for i, payload in enumerate(payloads)]


@pytest.mark.parametrize("codec", DECODES)
@pytest.mark.parametrize("seed", range(4))
def test_over_a_path_that_loses_and_reorders_only_whole_pictures_arrive(codec: Codec, seed: int) -> None:
    """What leaves the jitter buffer is what was sent, from a keyframe on, and every decoder takes it."""
    rng = random.Random(seed)
    units = encode(codec, pictures(60, 160, 120, seed), keyframes=15)
    assert sum(unit.is_keyframe for unit in units) == 4
    writer, buffer, decoder = payload_format(codec), JitterBuffer(payload_format(codec)), open_decoder(codec)
    packets: list[tuple[float, int, int, bool, bytes]] = []
    sequence = rng.randrange(65536)
    for i, unit in enumerate(units):
        for payload, marker in marked(writer.pack(unit.data)):
            sequence = (sequence + 1) & 0xFFFF
            at = i * 0.05 + (rng.random() * 0.04 if i else 0.0)
            if rng.random() < 0.02 and 0 < i < 45:  # the first unit comes whole, and the last group
                at += rng.choice([0.1, 1e9])  # sent again, or lost for good
            packets.append((at, sequence, unit.pts, marker, payload))
    out: list[EncodedFrame] = []
    for at, number, pts, marker, payload in sorted(p for p in packets if p[0] < 1e9):
        buffer.add(number, pts, marker, payload, at)
        out += buffer.poll(at).frames
    by_pts = {unit.pts: unit for unit in units}
    shown = 0
    for frame in out:
        sent = by_pts[frame.pts]
        got = parts(codec, frame.data)
        assert got == parts(codec, sent.data)[-len(got) :]  # behind a hole parameter sets may be missing
        assert (frame.is_keyframe, frame.codec) == (sent.is_keyframe, codec)
        shown += len(decoder.decode(frame))
    assert shown == len(out) >= 15
    assert [frame.pts for frame in out] == sorted(by_pts.keys() & {frame.pts for frame in out})
    for before, after in itertools.pairwise(out):  # behind a hole it goes on with a keyframe
        assert after.pts == before.pts + STEP or after.is_keyframe
    assert [frame.pts for frame in out[-15:]] == [unit.pts for unit in units[-15:]]
