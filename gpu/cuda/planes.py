"""The planes that kernels take: NV12's two, a canvas' three; and the checks of their shapes. No kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from gpu.cuda.place import MOST_SIDE, Place

if TYPE_CHECKING:
    from gpu.cuda.driver import DeviceArray

_BT709, _FULL_RANGE = 1, 2  # bits of `flags` in kernels.cu
BYTE: np.dtype[Any] = np.dtype(np.uint8)
HALF: np.dtype[Any] = np.dtype(np.float16)
BFLOAT16: np.dtype[Any] = np.dtype(np.uint16)  # its bits
_SUFFIX: dict[np.dtype[Any], str] = {HALF: "f16", BFLOAT16: "bf16"}


class Nv12Planes(Protocol):
    """Two planes: luma [H, W] uint8, chroma [ceil(H/2), ceil(W/2), 2] uint8; rows may be padded."""

    @property
    def luma(self) -> DeviceArray: ...
    @property
    def chroma(self) -> DeviceArray: ...


class Planes(NamedTuple):
    """Two planes by themselves, without a time."""

    luma: DeviceArray
    chroma: DeviceArray


class Colours(NamedTuple):
    """How code values are meant: ITU-T H.273's matrix 1 (BT.709) or 6 (BT.601), full or limited range."""

    bt709: bool = False
    full_range: bool = False

    @property
    def flags(self) -> int:
        return _BT709 * self.bt709 + _FULL_RANGE * self.full_range


def half(side: int) -> int:
    """Chroma samples along a side of luma."""
    return (side + 1) // 2


def suffix_of(name: str, array: DeviceArray) -> str:
    """How the kernels name a canvas' dtype. Raises ValueError for one they don't know."""
    suffix = _SUFFIX.get(array.dtype)
    if suffix is None:
        raise ValueError(f"{name} is {array.dtype}: it must be float16, or uint16 holding bfloat16")
    return suffix


def check_canvas(
    name: str, array: DeviceArray, place: Place, planes: int = 3, dtypes: tuple[np.dtype[Any], ...] = ()
) -> str:
    """Check planes on the canvas and return suffix_of them. Raises ValueError with what they must be."""
    shape = ((planes,) if planes else ()) + (place.canvas_height, place.canvas_width)
    if array.shape != shape or not array.contiguous:
        raise ValueError(f"{name} is {array!r}: it must be {list(shape)} without gaps")
    if dtypes and array.dtype not in dtypes:
        raise ValueError(f"{name} is {array.dtype}: it must be {' or '.join(str(dtype) for dtype in dtypes)}")
    return "u8" if array.dtype == BYTE and dtypes else suffix_of(name, array)


def pitch_of(name: str, plane: DeviceArray, pairs: bool = False) -> int:
    """Bytes from row to row of a plane [..., H, W], or of `pairs` [H, W, 2]. Raises ValueError for rows whose
    samples have gaps, or whose pitch is no whole number of samples."""
    size = plane.dtype.itemsize
    sample = size * (1 + pairs)
    if plane.contiguous:  # then the stride of a single row or column may say anything
        return plane.shape[-2 if pairs else -1] * sample
    *_, pitch, step = plane.strides[:-1] if pairs else plane.strides
    if step != sample or plane.strides[-1] != size or pitch % size:
        raise ValueError(f"{name} is {plane!r}: the samples of a row must lie without gaps")
    return pitch


def check_nv12(name: str, planes: Nv12Planes) -> tuple[int, int, int, int]:
    """(width, height, luma pitch, chroma pitch). Raises ValueError for planes that are no NV12."""
    luma, chroma = planes.luma, planes.chroma
    if luma.dtype != BYTE or chroma.dtype != BYTE or len(luma.shape) != 2:
        raise ValueError(
            f"the {name}'s luma is {luma!r}, its chroma {chroma!r}: NV12 is uint8 [H, W] and [H/2, W/2, 2]"
        )
    height, width = luma.shape
    if not 1 <= min(width, height) <= max(width, height) <= MOST_SIDE:
        raise ValueError(f"the {name} has {width}x{height} pixels: sides must be 1 to {MOST_SIDE}")
    if chroma.shape != (half(height), half(width), 2):
        raise ValueError(
            f"the {name}'s chroma is {list(chroma.shape)}: for luma of {width}x{height} it must be "
            f"[{half(height)}, {half(width)}, 2]"
        )
    return width, height, pitch_of(f"the {name}'s luma", luma), pitch_of(f"the {name}'s chroma", chroma, True)


def check_i420(
    y: DeviceArray, u: DeviceArray, v: DeviceArray, width: int, height: int
) -> tuple[int, int, int]:
    """The three pitches. Raises ValueError for planes that are no I420 of that size."""
    small = (half(height), half(width))
    for name, plane, shape in (("y", y, (height, width)), ("u", u, small), ("v", v, small)):
        if plane.shape != shape or plane.dtype != BYTE:
            raise ValueError(f"{name} is {plane!r}: it must be uint8{list(shape)}")
    return pitch_of("y", y), pitch_of("u", u), pitch_of("v", v)
