"""Parsers of what strangers send, fuzzed: only the documented errors come out. The same examples each run."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib.util import find_spec

import fuzz_targets
import msgspec
import pytest
import rtmp_targets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from server.config import KEYS
from server.rtmp import amf0
from server.rtmp.chunks import ChunkWriter, Message

BYTES = st.binary(max_size=400)
OFFER = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 45 46 99 100
c=IN IP4 0.0.0.0
a=mid:0
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 {print}
a=setup:actpass
a=sendrecv
a=rtcp-mux
a=extmap:2 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time
a=rtpmap:96 VP8/90000
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=rtpmap:98 H264/90000
a=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f
a=rtpmap:45 AV1/90000
a=fmtp:45 level-idx=5;profile=0;tier=0
a=rtpmap:46 rtx/90000
a=fmtp:46 apt=45
a=rtpmap:99 VP9/90000
a=fmtp:99 profile-id=0
a=rtpmap:100 H265/90000
a=fmtp:100 level-id=93;profile-id=1;tier-flag=0;sprop-vps=QAEMAf//;sprop-sps=QgEBAWAA;sprop-pps=RAHBcrRi
a=ssrc:1234 cname:x
a=candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host
m=application 9 UDP/DTLS/SCTP webrtc-datachannel
c=IN IP4 0.0.0.0
a=mid:1
a=sctp-port:5000
a=max-message-size:262144
""".format(print=":".join(["AB"] * 32))
LINES = OFFER.splitlines()
CANDIDATES = [
    "a=candidate:1 1 udp 2130706431 127.0.0.1 50000 typ host",
    "candidate:2 1 UDP 1 fe80::1%eth0 9 typ srflx raddr 0.0.0.0 rport 9",
    "a=candidate:3 1 udp 99999999999 0.0.0.0 0 typ relay",
    "a=candidate:4 1 udp 1 aaaa.local 70000 typ host generation 0",
    "a=ice-ufrag:abcd",
    "a=mid:0",
    "m=video 9 UDP/TLS/RTP/SAVPF 0",
    "a=end-of-candidates",
]
MESSAGES = [
    {
        "type": "edit",
        "revision": 7,
        "prompt": "make it night",
        "strength": 0.8,
        "transitionMs": 400,
        "seed": 1,
    },
    {"type": "pause"},
    {"type": "resume"},
    {"type": "ping", "t": 1.5},
    {"type": "edit", "revision": 2**64, "prompt": None, "strength": -1, "transitionMs": 1e99},
]


@st.composite
def mutated(draw: st.DrawFn, whole: SearchStrategy[bytes]) -> bytes:
    """A good example with a few places overwritten, cut out or doubled."""
    data = bytearray(draw(whole))
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, len(data)))
        end = min(len(data), at + draw(st.integers(0, 12)))
        piece = draw(st.one_of(st.binary(max_size=6), st.just(bytes(data[at:end]) * 2)))
        data[at:end] = piece
    return bytes(data)


def _text(lines: list[str]) -> SearchStrategy[bytes]:
    """Those lines in any order and number, or in theirs, with any text among them."""
    any_line = st.one_of(st.sampled_from(lines), st.text(max_size=40).map(lambda text: "a=" + text))
    shuffled = st.lists(any_line, max_size=30).map(lambda some: "\r\n".join(["v=0", *some]))
    in_order = st.lists(st.sampled_from(range(len(lines))), max_size=3).map(
        lambda gone: "\r\n".join(line for i, line in enumerate(lines) if i not in gone) + "\r\n"
    )
    return st.one_of(in_order, shuffled).map(lambda text: text.encode("utf-8", "replace"))


def _toml() -> SearchStrategy[bytes]:
    value = st.one_of(
        st.integers(),
        st.floats(),
        st.booleans(),
        st.text(max_size=20),
        st.lists(st.text(max_size=8), max_size=3),
    )
    line = st.tuples(st.sampled_from([*KEYS, "prot"]), value).map(lambda kv: f"{kv[0]} = {json.dumps(kv[1])}")
    servers = st.sampled_from(
        ['[[ice_servers]]\nurls = "stun:a"', '[[ice_servers]]\nurls = ["turn:b"]', "[ice_servers]"]
    )
    return st.lists(st.one_of(line, servers), max_size=4).map(lambda some: "\n".join(some).encode())


def _amf() -> SearchStrategy[bytes]:
    plain = st.one_of(st.none(), st.booleans(), st.floats(), st.text(max_size=10))
    values = st.recursive(
        plain,
        lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner)),
    )
    return st.lists(values, max_size=4).map(lambda some: amf0.encode(*some))


def _chunks() -> SearchStrategy[bytes]:
    """Messages of all kinds, written as any sender would, in chunks of the size they begin with."""
    message = st.builds(
        Message,
        st.sampled_from([1, 2, 3, 4, 5, 8, 9, 15, 17, 18, 20, 22]),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 2),
        st.one_of(st.binary(max_size=300), _amf()),
    )
    return st.lists(st.tuples(st.integers(2, 6), message), max_size=5).map(
        lambda some: b"".join(ChunkWriter().write(stream, message) for stream, message in some)
    )


def _media() -> SearchStrategy[bytes]:
    """The heads of every codec's messages before anything."""
    heads = [b"\x17\0\0\0\0\1\x42\0\x1f\xff\xe1\0\4", b"\x17\1\0\0\0\0\0\0\4", b"\xaf\0", b"\x2f"]
    heads += [
        bytes((form,)) + name for form in (0x90, 0x91, 0x93, 0x97) for name in (b"hvc1", b"av01", b"vp09")
    ]
    return st.tuples(st.sampled_from(heads), st.binary(max_size=60)).map(b"".join)


MESSAGE = st.sampled_from(
    [json.dumps(m).encode() for m in MESSAGES] + [msgspec.msgpack.encode(m) for m in MESSAGES[:4]]
)
ODD_VALUES = [
    "[" * 100_000,
    "9" * 5000,
    "\0",
    "nan",
    "-inf",
    "stun:a,turn:b",
    "[{}]",
    '[{"urls": 5, "x": 1}]',
]
VALUE = st.one_of(
    st.text(max_size=30), st.integers().map(str), st.floats().map(str), st.sampled_from(ODD_VALUES)
).map(lambda text: text.encode("utf-8", "surrogatepass"))
KEY_AND_VALUE = st.tuples(st.integers(0, len(KEYS) + 1), VALUE).map(lambda kv: bytes([kv[0]]) + kv[1])

EXAMPLES: dict[str, tuple[SearchStrategy[bytes], int]] = {
    "control_message": (st.one_of(BYTES, mutated(MESSAGE)), 500),
    "config_toml": (st.one_of(BYTES, mutated(_toml()), st.just(b"a=" + b"[" * 3_000)), 200),
    "config_environment": (KEY_AND_VALUE, 400),
    "offer": (st.one_of(BYTES, mutated(_text(LINES))), 400),
    "fragment": (st.one_of(BYTES, mutated(_text(CANDIDATES))), 300),
    "payloads": (st.binary(max_size=3000), 300),
    "jitter": (st.binary(max_size=3000), 200),
    "access_units": (BYTES, 120),
    "raw_access_unit": (st.one_of(BYTES, BYTES.map(lambda data: b"\0\0\0\1\x67" + data)), 80),
    "rtmp_amf": (st.one_of(BYTES, mutated(_amf())), 150),
    "rtmp_chunks": (st.one_of(BYTES, mutated(_chunks())), 200),
    "rtmp_connection": (st.one_of(BYTES, mutated(_chunks()), mutated(st.just(rtmp_targets.begun()))), 150),
    "rtmp_media": (st.one_of(BYTES, mutated(_media())), 200),
    "rtmp_address": (st.one_of(BYTES, mutated(st.just(b"cam?key=a%2Fb&takeover=1&x=&=y"))), 200),
    "prompt": (
        st.one_of(BYTES, st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))),
        200,
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_only_documented_errors(name: str) -> None:
    target: Callable[[bytes], None] = dict(fuzz_targets.targets())[name]
    examples, count = EXAMPLES[name]

    @settings(
        max_examples=count, derandomize=True, deadline=None, database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(examples)
    def run(data: bytes) -> None:
        target(data)

    run()


@settings(max_examples=300, derandomize=True, deadline=None, database=None)
@given(st.text(st.characters(), max_size=2000))
def test_any_unicode_is_read(text: str) -> None:
    fuzz_targets.read_any(text)


def test_every_target_is_fuzzed() -> None:
    assert set(EXAMPLES) == {name for name, _ in fuzz_targets.targets()}


def test_the_examples_reach_past_the_first_check() -> None:
    """A fuzzer whose every example is refused at the door shows nothing."""
    from server.peer.candidates import parse_fragment
    from server.peer.offer import Codecs
    from server.peer.sdp import parse_offer

    assert parse_offer(OFFER, Codecs(fuzz_targets.CODECS, fuzz_targets.CODECS)).receive is not None
    assert len(parse_fragment("\n".join(CANDIDATES))[1]) == 4
    assert all(fuzz_targets._stream(codec)[0].is_keyframe for codec in fuzz_targets.CODECS)


@pytest.mark.slow
@pytest.mark.timeout(240)
@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this Python")
def test_coverage_guided_runs_find_nothing() -> None:
    import subprocess
    import sys
    from pathlib import Path

    script = Path(__file__).with_name("atheris_run.py")
    done = subprocess.run(
        [sys.executable, str(script), "--runs", "1000"],
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
