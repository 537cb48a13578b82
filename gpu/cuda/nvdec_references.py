"""Whether the pictures that a picture is predicted from were received. Knows no decoder.

The engine does not tell: it predicts from whatever lies in the surface. VP8, VP9 and AV1 need no check: a
keyframe fills every reference they have, and what is lost later is seen by who receives the packets.
"""

from __future__ import annotations

from collections.abc import Iterator

from gpu.cuda import cuvid_structs as structs
from gpu.types import Codec

_SPS, _SLICES = 7, (1, 2, 3, 4, 5)  # nal_unit_type, ITU-T H.264 table 7-1
_SPS_BYTES = 256  # what is read of one; those with every scaling list are shorter
_CHROMA_PROFILES = (100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135)  # 7.3.2.1.1


class References:
    """Of one stream, told every picture in decoding order."""

    def __init__(self, codec: Codec) -> None:
        self._codec = codec
        self._frame_num: int | None = None  # PrevRefFrameNum, H.264 7.4.3
        self._gaps_allowed = True

    def begin(self, data: bytes, is_keyframe: bool) -> None:
        """An access unit comes."""
        if self._codec == "h264" and is_keyframe:
            self._frame_num = None
            for sps in _nal_units(data, _SPS):
                self._gaps_allowed = allows_gaps(sps)

    def forget(self) -> None:
        """What was lost is known: do not complain of it again."""
        self._frame_num = None

    def missing(self, picture: structs.PicParams) -> bool:
        """Whether `picture` is predicted from one that did not come."""
        if self._codec == "h264":
            return self._h264(picture)
        return self._codec == "hevc" and _hevc(picture.CodecSpecific.hevc)

    def _h264(self, picture: structs.PicParams) -> bool:
        head, last = picture.CodecSpecific.h264, self._frame_num
        most = 1 << (head.log2_max_frame_num_minus4 + 4)
        if picture.ref_pic_flag:
            self._frame_num = head.frame_num
        if last is None or self._gaps_allowed:
            return False
        return head.frame_num not in (last, (last + 1) % most)


def _hevc(head: structs.HevcPicParams) -> bool:
    """The slice header names its references one by one (ITU-T H.265 8.3.2)."""
    if head.IrapPicFlag:
        return False
    named = (
        (head.RefPicSetStCurrBefore, head.NumPocStCurrBefore),
        (head.RefPicSetStCurrAfter, head.NumPocStCurrAfter),
        (head.RefPicSetLtCurr, head.NumPocLtCurr),
    )
    return any(
        place >= len(head.RefPicIdx) or head.RefPicIdx[place] < 0
        for places, count in named
        for place in places[: max(0, min(count, len(places)))]
    )


def allows_gaps(sps: bytes) -> bool:
    """gaps_in_frame_num_value_allowed_flag of an H.264 SPS (from its NAL header on): whether frame numbers
    may be left out on purpose, as senders with temporal layers do. True where it cannot be read."""
    try:
        return _gaps_flag(_Bits(sps[1:_SPS_BYTES].replace(b"\x00\x00\x03", b"\x00\x00")))
    except EOFError:
        return True


def _gaps_flag(bits: _Bits) -> bool:
    profile = bits.read(8)
    bits.read(16)
    bits.ue()  # seq_parameter_set_id
    if profile in _CHROMA_PROFILES:
        chroma = bits.ue()
        if chroma == 3:
            bits.read(1)
        bits.ue(), bits.ue()  # bit depths
        bits.read(1)
        if bits.read(1):
            for i in range(12 if chroma == 3 else 8):
                if bits.read(1):
                    _skip_scaling_list(bits, 16 if i < 6 else 64)
    bits.ue()  # log2_max_frame_num_minus4
    order = bits.ue()  # pic_order_cnt_type
    if order == 0:
        bits.ue()
    elif order == 1:
        bits.read(1)
        bits.ue(), bits.ue()
        for _ in range(bits.ue()):
            bits.ue()
    bits.ue()  # max_num_ref_frames
    return bool(bits.read(1))


def _skip_scaling_list(bits: _Bits, size: int) -> None:  # 7.3.2.1.1.1
    last = following = 8
    for _ in range(size):
        if following:
            code = bits.ue()
            following = (last + ((code + 1) // 2 if code % 2 else -(code // 2))) % 256
        last = following or last


def _nal_units(data: bytes, kind: int) -> Iterator[bytes]:
    """NAL units of one kind before the first slice, without start codes."""
    at = data.find(b"\x00\x00\x01")
    while at >= 0 and at + 3 < len(data):
        found = data[at + 3] & 31
        if found in _SLICES:
            return
        after = data.find(b"\x00\x00\x01", at + 3)
        if found == kind:
            yield data[at + 3 : after if after >= 0 else len(data)]
        at = after


class _Bits:
    """Fixed and Exp-Golomb codes (ITU-T H.264 9.1). Reading past the end raises EOFError."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), 8 * len(data)

    def read(self, count: int) -> int:
        self._left -= count
        if self._left < 0:
            raise EOFError
        return self._value >> self._left & ((1 << count) - 1)

    def ue(self) -> int:
        zeros = 0
        while not self.read(1):
            zeros += 1
        return (1 << zeros) - 1 + self.read(zeros)
