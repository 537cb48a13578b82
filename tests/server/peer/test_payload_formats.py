"""HEVC, VP9 and AV1 payloads byte by byte: what their specifications allow, and sizes at random."""

from __future__ import annotations

import random

import pytest

from gpu.errors import FrameError
from gpu.types import Codec
from server.peer.payload import PAYLOAD_MAX, Av1Format, HevcFormat, Vp9Format, payload_format

START = b"\x00\x00\x00\x01"
SIZES = [3, 10, 100, 113, 114, 115, 116, 117, 118, 500, PAYLOAD_MAX - 1, PAYLOAD_MAX, PAYLOAD_MAX + 1, 20_000]
VPS, SPS, PPS, IDR, TRAIL = 32, 33, 34, 19, 1


def nal(kind: int, size: int, rng: random.Random) -> bytes:
    head = bytes((kind << 1, 1))
    return head + b"\x80" + bytes(rng.randrange(1, 256) for _ in range(size - 3))


@pytest.mark.parametrize("seed", range(40))
def test_hevc_comes_back_as_it_went(seed: int) -> None:
    rng = random.Random(seed)
    most = rng.choice([120, 500, PAYLOAD_MAX, 9000])
    key = rng.random() < 0.5
    kinds = [VPS, SPS, PPS, IDR] if key else [TRAIL] * rng.randrange(1, 5)
    nals = [nal(kind, rng.choice(SIZES), rng) for kind in kinds]
    payloads = HevcFormat(payload_max=most).pack(b"".join(START[rng.randrange(2) :] + n for n in nals))
    assert max(map(len, payloads)) <= most
    reader = HevcFormat()
    assert reader.unpack(payloads) == (b"".join(START + n for n in nals), key)
    assert [reader.starts_keyframe(p) for p in payloads] == [key] + [False] * (len(payloads) - 1)


def test_hevc_small_units_share_a_packet_under_the_lowest_layer_and_temporal_id() -> None:
    units = [bytes((VPS << 1, 2)) + b"vps", bytes((SPS << 1, 3)) + b"sps", bytes((35 << 1, 1)) + b"aud"]
    (payload,) = HevcFormat().pack(b"".join(START + unit for unit in units))
    assert payload == bytes((48 << 1, 2)) + b"\x00\x05" + units[0] + b"\x00\x05" + units[1]


def test_hevc_keyframe_without_parameter_sets_gets_those_of_the_offer_or_those_seen() -> None:
    sets = START + b"\x40\x01vps" + START + b"\x42\x01sps" + START + b"\x44\x01pps"
    idr = bytes((IDR << 1, 1)) + b"\x80picture"
    assert HevcFormat().unpack([idr]) == (START + idr, False)  # nothing could be decoded
    assert HevcFormat(sets).unpack([idr]) == (sets + START + idr, True)
    reader = HevcFormat()
    reader.unpack(HevcFormat().pack(sets + START + idr))
    assert reader.unpack([idr]) == (START + idr, True)


@pytest.mark.parametrize(
    "payloads",
    [
        [b"\x26"],
        [b"\x26\x01\x00rest"],  # a slice that is not the first
        [b"\x62\x01\x93"],  # a fragment without a body
        [b"\x62\x01\x13more"],  # the second fragment
        [b"\x62\x01\x93\x80first"],  # the first alone
        [b"\x62\x01\x93\x80first", b"\x26\x01\x80whole"],
        [b"\x60\x01\x00\x09short"],
        [b"\x64\x01\x00\x00paci"],
    ],
)
def test_broken_hevc_is_refused(payloads: list[bytes]) -> None:
    with pytest.raises(FrameError):
        HevcFormat().unpack(payloads)


KEY9, INTER9 = b"\x82\x49\x83\x42", b"\x86\x00\x40\x92"  # first bytes of libvpx's frames of profile 0


@pytest.mark.parametrize("size", [4, 10, 117, 118, PAYLOAD_MAX - 3, PAYLOAD_MAX - 2, 70_000])
@pytest.mark.parametrize("head", [KEY9, INTER9])
@pytest.mark.parametrize("most", [120, PAYLOAD_MAX])
def test_vp9_comes_back_as_it_went(size: int, head: bytes, most: int) -> None:
    unit = head + random.Random(size).randbytes(size - 4)
    sender, key = Vp9Format(most), head is KEY9
    first, payloads = sender.pack(unit), sender.pack(unit)
    assert max(map(len, payloads)) <= most
    assert Vp9Format().unpack(payloads) == (unit, key)
    assert int.from_bytes(payloads[0][1:3], "big") == int.from_bytes(first[0][1:3], "big") + 1  # picture id
    assert {p[0] & 0x40 for p in payloads} == {0 if key else 0x40}
    assert [Vp9Format().starts_keyframe(p) for p in payloads] == [key] + [False] * (len(payloads) - 1)


STRUCTURE = bytes((0x38, 1, 64, 0, 240, 2, 128, 1, 224, 2, 0x04, 1, 0x28, 1, 2))  # 2 layers, a group of 2


@pytest.mark.parametrize(
    "descriptor",
    [
        b"\x0c",  # nothing but begin and end
        b"\x8c\x05",  # a picture id of 7 bits
        b"\x8c\x81\x05",
        b"\xac\x05\x00\x09",  # layer 0, non-flexible: with TL0PICIDX
        b"\xbc\x05\x00",  # flexible, of no reference
        b"\xae\x05\x00\x09" + STRUCTURE,
        b"\x0e\x08\x01\x00",  # a structure without sizes, one picture of no reference
    ],
)
def test_every_vp9_descriptor_is_read(descriptor: bytes) -> None:
    assert Vp9Format().unpack([descriptor + KEY9]) == (KEY9, True)
    assert Vp9Format().starts_keyframe(descriptor + KEY9)
    for cut in range(1, len(descriptor)):  # cut short it is an error, or another descriptor
        Vp9Format().starts_keyframe(descriptor[:cut])
        with pytest.raises(FrameError):
            Vp9Format().unpack([descriptor[:cut]])


def test_vp9_references_of_flexible_mode_are_passed_over() -> None:
    for references in (b"\x02", b"\x03\x04", b"\x03\x05\x06"):
        assert Vp9Format().unpack([b"\xdc\x05" + references + INTER9]) == (INTER9, False)
    with pytest.raises(FrameError, match="three references"):
        Vp9Format().unpack([b"\xdc\x05\x03\x05\x07\x08" + INTER9])


def test_vp9_layers_of_one_picture_come_up_as_a_superframe() -> None:
    layers = [KEY9 + bytes(300), INTER9 + bytes(70)]
    payloads = [
        b"\xa8\x05\x00\x09" + layers[0][:100],
        b"\xa4\x05\x00\x09" + layers[0][100:],
        b"\xec\x05\x03\x09" + layers[1],
    ]
    data, key = Vp9Format().unpack(payloads)
    assert key
    assert data == b"".join(layers) + b"\xc9\x30\x01\x4a\x00\xc9"
    assert [Vp9Format().starts_keyframe(p) for p in payloads] == [True, False, False]
    for broken in (payloads[1:], payloads[:1], payloads[::2], [payloads[0], *payloads[2:]]):
        with pytest.raises(FrameError):
            Vp9Format().unpack(broken)


SEQUENCE, KEY1, INTER1 = b"\x08\x00\x00\x00", b"\x30\x10", b"\x30\x30"  # headers without sizes, first bytes


def sized(obu: bytes) -> bytes:
    """An OBU as the low-overhead format has it."""
    body, out, size = obu[1:], bytearray((obu[0] | 2,)), len(obu) - 1
    while True:
        size, low = size >> 7, size & 0x7F
        out.append(low | (0x80 if size else 0))
        if not size:
            return bytes(out) + body


@pytest.mark.parametrize("seed", range(60))
def test_av1_comes_back_as_it_went(seed: int) -> None:
    rng = random.Random(seed)
    most = rng.choice([20, 120, PAYLOAD_MAX, 9000])
    key = rng.random() < 0.5
    obus = [SEQUENCE + rng.randbytes(rng.randrange(12))] if key else []
    obus += [b"\x28" + rng.randbytes(rng.choice(SIZES)) for _ in range(rng.randrange(5))]  # metadata
    obus += [(KEY1 if key else INTER1) + rng.randbytes(rng.choice(SIZES)) for _ in range(rng.randrange(1, 4))]
    unit = b"".join(map(sized, obus))
    payloads = Av1Format(most).pack(b"\x12\x00" + unit + b"\x7a\x01\x80")  # a delimiter and padding go
    assert min(map(len, payloads)) > 1
    assert max(map(len, payloads)) <= most
    assert Av1Format().unpack(payloads) == (unit, key)
    assert [Av1Format().starts_keyframe(p) for p in payloads] == [key] + [False] * (len(payloads) - 1)


def test_every_way_to_count_av1_elements_is_read() -> None:
    a, b, c = SEQUENCE, KEY1 + b"first", b"\x20tiles"
    unit = b"".join(map(sized, (a, b, c)))
    one, two, three = ((bytes((len(x),)) + x) for x in (a, b, c))
    assert Av1Format().unpack([b"\x08" + one + two + three]) == (unit, True)
    assert Av1Format().unpack([b"\x38" + one + two + c]) == (unit, True)
    assert Av1Format().unpack([b"\x18" + a, b"\x20" + two + c]) == (unit, True)
    assert Av1Format().unpack([b"\x68" + one + b[:3], b"\x90" + b[3:], b"\x10" + c]) == (unit, True)
    assert Av1Format().unpack([b"\x08" + one + two + b"\x02\x12\x00" + three]) == (unit, True)  # a delimiter
    whole = bytes((len(sized(b)),)) + sized(b)  # an OBU that kept its size
    assert Av1Format().unpack([b"\x08" + one + whole + three]) == (unit, True)
    layered = bytes((b[0] | 4, 0x08)) + b[1:]  # with an extension header
    data, key = Av1Format().unpack([b"\x28" + one + layered])
    assert (data, key) == (sized(a) + b"\x36\x08" + bytes((len(b) - 1,)) + b[1:], True)


@pytest.mark.parametrize(
    "payloads",
    [
        [b""],
        [b"\x00"],
        [b"\x80\x02\x30\x10"],  # continues what was never begun
        [b"\x40\x02\x30\x10"],  # goes on in nothing
        [b"\x40\x02\x30\x10", b"\x00\x02\x30\x10"],
        [b"\x20\x02\x30\x10"],  # two elements said, one there
        [b"\x00\x09\x30\x10"],
        [b"\x00\x00\x02\x30\x10"],  # an empty element
        [b"\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff"],
        [b"\x10\xb0\x10"],  # the forbidden bit
        [b"\x10\x34"],  # an extension cut off
        [b"\x10\x32\x7f\x10"],  # a size beyond its OBU
        [b"\x10\x08\x00"],  # no frame
    ],
)
def test_broken_av1_is_refused(payloads: list[bytes]) -> None:
    with pytest.raises(FrameError):
        Av1Format().unpack(payloads)


@pytest.mark.parametrize(
    "unit", [b"", b"\x12\x00", b"\x0a\x01\x00", b"\x32\x09\x10", b"\xb2\x01\x10", b"\x34"]
)
def test_no_av1_unit_is_not_cut(unit: bytes) -> None:
    with pytest.raises(FrameError):
        Av1Format().pack(unit)


@pytest.mark.parametrize(
    ("codec", "payload"),
    [
        ("hevc", b"\x60\x01" + b"\x00\x03\x02\x01\x80" * 200),
        ("vp9", b"\x0c" + KEY9),
        ("av1", b"\x00" + b"\x02\x30\x10" * 400),
    ],
)
def test_a_frame_of_very_many_parts_is_refused(codec: Codec, payload: bytes) -> None:
    assert payload_format(codec).unpack([payload])[0]
    with pytest.raises(FrameError, match=r"more than|of 2048 layers"):
        payload_format(codec).unpack([payload] * 2048)


@pytest.mark.parametrize("codec", ["hevc", "vp9", "av1"])
def test_a_lost_packet_is_seen(codec: Codec) -> None:
    """Each packet of a frame of several: without it the frame is refused."""
    unit = {
        "hevc": START + bytes((TRAIL << 1, 1)) + b"\x80" + b"\x55" * 5000,
        "vp9": INTER9 + bytes(5000),
        "av1": sized(INTER1 + bytes(5000)),
    }[codec]
    payloads = payload_format(codec).pack(unit)
    assert len(payloads) == 5
    for lost in (0, 4):
        with pytest.raises(FrameError):
            payload_format(codec).unpack(payloads[:lost] + payloads[lost + 1 :])
