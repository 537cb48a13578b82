"""What a sequence header says, and which of it is refused before anything is made."""

from __future__ import annotations

from typing import Any

import pytest

from gpu.cuda import cuvid_structs as structs
from gpu.cuda.cuvid import DecoderCaps
from gpu.cuda.nvdec_sequence import MAX_PIXELS, Sequence
from gpu.errors import DeviceError, FrameError
from gpu.types import Codec


def found(**fields: Any) -> structs.VideoFormat:
    """640x480 in 640x480 unless told otherwise, as the parser tells it."""
    format_ = structs.VideoFormat(
        coded_width=640, coded_height=480, chroma_format=structs.CHROMA_420, min_num_decode_surfaces=5
    )
    format_.display_area = structs.IntRect(0, 0, 640, 480)
    for name, value in fields.items():
        setattr(format_, name, value)
    return format_


def test_what_is_read() -> None:
    format_ = found(bit_depth_luma_minus8=2, display_area=structs.IntRect(16, 8, 637, 471))
    format_.video_signal_description.video_full_range_flag = 1
    format_.video_signal_description.matrix_coefficients = 1
    assert Sequence.read("hevc", format_) == Sequence(
        codec="hevc", bit_depth=10, chroma=1, coded_width=640, coded_height=480, left=16, top=8, width=620,
        height=462, surfaces=5, largest=(0, 0), full_range=True, bt709=True,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"display_area": structs.IntRect(0, 0, 1, 480)}, "send at least 2x2"),
        ({"display_area": structs.IntRect(0, 0, 640, 0)}, "send at least 2x2"),
        ({"display_area": structs.IntRect(100, 0, 50, 480)}, "cannot be shown"),
        ({"display_area": structs.IntRect(0, 0, 642, 480)}, "cannot be shown"),
        ({"display_area": structs.IntRect(2, 0, 642, 480)}, "cannot be shown"),
        ({"display_area": structs.IntRect(-2, 0, 640, 480)}, "cannot be shown"),
        ({"display_area": structs.IntRect(0, -16, 640, 480)}, "cannot be shown"),
        ({"coded_width": 4112, "coded_height": 2304}, "too large: send at most 9437184 pixels"),
        ({"coded_width": 2**31, "coded_height": 2**31}, "too large"),
        ({"min_num_decode_surfaces": 33}, "at most 32"),
    ],
)
def test_what_cannot_be_is_refused(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(FrameError, match=why):
        Sequence.read("h264", found(**fields))


@pytest.mark.parametrize(
    ("codec", "width", "height", "told", "expected"),
    [
        ("av1", 1920, 1080, 8, (1920, 1080)),
        ("av1", 1920, 1080, 0, (0, 0)),  # nothing is told
        ("av1", 2**32 - 1, 2**32 - 1, 8, (0, 0)),
        ("av1", MAX_PIXELS, 1, 8, (MAX_PIXELS, 1)),
        ("vp9", 1920, 1080, 8, (0, 0)),
    ],
)
def test_av1_says_how_large_it_may_become(
    codec: Codec, width: int, height: int, told: int, expected: tuple[int, int]
) -> None:
    whole = structs.VideoFormatEx(format=found(seqhdr_data_length=told))
    whole.av1.max_width, whole.av1.max_height = width, height
    assert Sequence.read(codec, whole.format).largest == expected


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [
        ((640, 480), None, (640, 480)),
        ((1280, 720), (640, 480), (640, 360)),
        ((720, 1280), (640, 480), (360, 640)),
        ((639, 479), (640, 480), (638, 478)),
        ((4000, 2), (640, 480), (640, 2)),
    ],
)
def test_sizes_are_fitted(
    size: tuple[int, int], most: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    area = structs.IntRect(0, 0, *size)
    sequence = Sequence.read("h264", found(coded_width=size[0], coded_height=size[1], display_area=area))
    assert sequence.fitted(most) == expected


def test_what_the_gpu_lacks_is_said_with_what_replaces_it() -> None:
    caps = DecoderCaps("h264", 8, "4:2:0", 1920, 1088, 48, 16, 8160, 1, frozenset({0}))
    assert Sequence.read("h264", found()).check(caps, "A GPU") is caps
    with pytest.raises(DeviceError, match=r"A GPU does not decode H.264 of 8 bits, 4:2:0.*libav"):
        Sequence.read("h264", found()).check(None, "A GPU")
    with pytest.raises(DeviceError, match="4:4:4"):
        Sequence.read("h264", found(chroma_format=3)).check(caps, "A GPU")
    with pytest.raises(DeviceError, match="chroma format 9"):
        Sequence.read("h264", found(chroma_format=9)).check(caps, "A GPU")
    tall = Sequence.read("h264", found(coded_width=1920, coded_height=1200))
    with pytest.raises(DeviceError, match=r"from 48x16 to 1920x1088, not 1920x1200.*libav"):
        tall.check(caps, "A GPU")
