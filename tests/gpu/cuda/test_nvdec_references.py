"""Which reference pictures are missing, told from what the parser says and from the SPS."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu.cuda import cuvid_structs as structs
from gpu.cuda.nvdec_references import References, allows_gaps


class Bits:
    """Fixed and Exp-Golomb codes, written."""

    def __init__(self) -> None:
        self.text = ""

    def u(self, count: int, value: int) -> Bits:
        self.text += format(value, f"0{count}b") if count else ""
        return self

    def ue(self, *values: int) -> Bits:
        for value in values:
            code = format(value + 1, "b")
            self.text += "0" * (len(code) - 1) + code
        return self

    def done(self) -> bytes:
        text = self.text + "1"
        text += "0" * (-len(text) % 8)
        plain, out = int(text, 2).to_bytes(len(text) // 8, "big"), bytearray()
        for byte in plain:
            if len(out) > 1 and out[-1] == out[-2] == 0 and byte <= 3:
                out.append(3)
            out.append(byte)
        return bytes(out)


def sps(gaps: bool, profile: int = 66, order: int = 0, scaling: bool = False, chroma: int = 1) -> bytes:
    """An SPS by hand (ITU-T H.264 7.3.2.1.1), from its NAL header to the flag and a little on."""
    bits = Bits().u(8, profile).u(16, 0x000A).ue(0)
    if profile == 100:
        bits.ue(chroma)
        if chroma == 3:
            bits.u(1, 0)
        bits.ue(0, 0).u(1, 0).u(1, scaling)
        for i in range((12 if chroma == 3 else 8) * scaling):
            bits.u(1, i % 2)
            if i % 2:
                bits.ue(0, 0, 0, 16)  # three times 8, then -8: the rest repeats the last
    bits.ue(4, order)
    if order == 0:
        bits.ue(2)
    elif order == 1:
        bits.u(1, 0).ue(1, 2, 3, 5, 6, 7)
    return b"\x67" + bits.ue(1).u(1, gaps).ue(39, 29).u(4, 9).done()


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize(
    ("profile", "scaling", "chroma"), [(66, False, 1), (100, False, 1), (100, True, 1), (100, True, 3)]
)
def test_gaps_are_read_from_every_kind_of_sps(
    gaps: bool, order: int, profile: int, scaling: bool, chroma: int
) -> None:
    assert allows_gaps(sps(gaps, profile, order, scaling, chroma)) is gaps


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
def test_libx264_allows_none(profile: str) -> None:
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 320, 180, "yuv420p"
    context.time_base = Fraction(1, 90_000)
    context.profile = {"baseline": "Constrained Baseline", "main": "Main", "high": "High"}[profile]
    frame = av.VideoFrame.from_ndarray(np.zeros((270, 320), np.uint8), format="yuv420p")
    frame.pts = 0
    data = b"".join(bytes(packet) for packet in [*context.encode(frame), *context.encode(None)])
    start = data.index(b"\x00\x00\x01\x67") + 3
    assert allows_gaps(data[start : data.index(b"\x00\x00\x01", start)]) is False


def test_what_cannot_be_read_is_taken_for_allowed() -> None:
    whole = sps(False)
    assert all(allows_gaps(whole[:end]) for end in range(1, 6))
    assert allows_gaps(b"\x67" + bytes(300))


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    assert isinstance(allows_gaps(b"\x67" + data), bool)
    for codec in ("h264", "hevc"):
        references = References(codec)  # type: ignore[arg-type]
        references.begin(data, True)
        references.begin(b"\x00\x00\x01\x67" + data, True)


def h264(frame_num: int, reference: bool = True) -> structs.PicParams:
    picture = structs.PicParams(ref_pic_flag=reference)
    picture.CodecSpecific.h264.frame_num = frame_num
    picture.CodecSpecific.h264.log2_max_frame_num_minus4 = 0  # counts to 15
    return picture


def unit(gaps: bool) -> bytes:
    return b"\x00\x00\x00\x01\x09\x10\x00\x00\x01" + sps(gaps) + b"\x00\x00\x01\x68\xce\x00\x00\x01\x65\x88"


@pytest.mark.parametrize(
    ("pictures", "missing"),
    [
        ([(0, True), (1, True), (2, True), (3, True)], []),
        ([(0, True), (1, True), (3, True), (4, True)], [2]),
        ([(0, True), (2, True)], [1]),
        ([(0, True), (1, False), (1, True), (2, False), (2, True)], []),  # a picture nobody refers to
        ([(0, True), (1, False), (2, True)], [2]),
        ([(i % 16, True) for i in range(40)], []),
        ([(0, True), (1, True), (1, True)], []),  # two fields of a frame
    ],
)
def test_a_gap_in_frame_numbers_is_a_lost_reference(
    pictures: list[tuple[int, bool]], missing: list[int]
) -> None:
    for allowed in (False, True):
        references = References("h264")
        found = []
        for i, (frame_num, reference) in enumerate(pictures):
            references.begin(unit(allowed) if i == 0 else b"", i == 0)
            if references.missing(h264(frame_num, reference)):
                found.append(i)
        assert found == ([] if allowed else missing)


def test_a_loss_is_told_once_and_a_keyframe_begins_anew() -> None:
    references = References("h264")
    references.begin(unit(False), True)
    assert not references.missing(h264(0))
    references.begin(b"", False)
    assert references.missing(h264(5))
    references.forget()
    references.begin(b"", False)
    assert not references.missing(h264(9))
    assert references.missing(h264(11))
    references.begin(unit(False), True)
    assert not references.missing(h264(0))


def hevc(**fields: int) -> structs.PicParams:
    picture = structs.PicParams()
    head = picture.CodecSpecific.hevc
    head.RefPicIdx[:] = [-1] * 16
    head.RefPicIdx[0], head.RefPicIdx[5] = 3, 4
    head.RefPicSetStCurrBefore[0], head.RefPicSetStCurrBefore[1] = 0, 1
    head.RefPicSetStCurrAfter[0], head.RefPicSetLtCurr[0] = 5, 200
    for name, value in fields.items():
        setattr(head, name, value)
    return picture


@pytest.mark.parametrize(
    ("fields", "missing"),
    [
        ({}, False),
        ({"NumPocStCurrBefore": 1}, False),
        ({"NumPocStCurrBefore": 2}, True),
        ({"NumPocStCurrBefore": 2, "IrapPicFlag": 1}, False),
        ({"NumPocStCurrBefore": 1, "NumPocStCurrAfter": 1}, False),
        ({"NumPocStCurrAfter": 2}, False),  # the same picture twice
        ({"NumPocLtCurr": 1}, True),  # no such place
        ({"NumPocStCurrBefore": -3}, False),
        ({"NumPocStCurrBefore": 99}, True),
    ],
)
def test_hevc_names_its_references(fields: dict[str, int], missing: bool) -> None:
    references = References("hevc")
    references.begin(b"", False)
    assert references.missing(hevc(**fields)) is missing


@pytest.mark.parametrize("codec", ["vp8", "vp9", "av1"])
def test_the_others_have_nothing_to_tell(codec: Any) -> None:
    assert not References(codec).missing(structs.PicParams())
