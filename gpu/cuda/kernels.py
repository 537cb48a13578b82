"""The CUDA kernels of kernels.cu as typed calls: checks, pitches, grids. What each computes is said there.

Nothing here waits: every call hands work to a stream. Arrays must live until that work is done. bfloat16 is
carried as uint16, as everywhere in this package.
"""

from __future__ import annotations

import ctypes
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from gpu.cuda.place import Place
from gpu.cuda.planes import (
    BYTE,
    HALF,
    Colours,
    Nv12Planes,
    check_canvas,
    check_i420,
    check_nv12,
    half,
    pitch_of,
    suffix_of,
)
from gpu.errors import DeviceError

if TYPE_CHECKING:
    from gpu.cuda.driver import Device, DeviceArray, Stream

IMAGE = Path(__file__).with_name("kernels.fatbin")
BINDING_BYTES = 56  # struct Binding of kernels.cu
_BLOCK = (32, 8, 1)  # a warp along a row; 256 threads are what the kernels are bound to


class Runnable(Protocol):
    """A kernel of a loaded module."""

    def launch(
        self, stream: Stream, grid: tuple[int, int, int], block: tuple[int, int, int], args: Sequence[Any]
    ) -> None: ...


class Loaded(Protocol):
    """A loaded module."""

    def function(self, name: str) -> Runnable: ...


class Kernels:
    """The kernels of one loaded module."""

    def __init__(self, module: Loaded) -> None:
        """`load` does it for a device."""
        self._module = module
        self._functions: dict[str, Runnable] = {}

    @classmethod
    def load(cls, device: Device) -> Kernels:
        """From the image that comes with relens. Raises DeviceError without one, CudaError where it does not
        fit."""
        try:
            image = IMAGE.read_bytes()
        except OSError as error:
            raise DeviceError(
                f"the compiled kernels cannot be read ({error}): install relens anew, or in a clone run "
                f"python -m gpu.cuda.build_kernels"
            ) from error
        return cls(device.load(image))

    def bind(
        self, stream: Stream, binding: DeviceArray, source: Nv12Planes, target: Nv12Planes | None,
        colours: Colours, strength: float,
    ) -> None:  # fmt: skip
        """Write into `binding` ([56] uint8, aligned to 8) what the calls below that take it read when they
        run: the source, the target (None: no composite follows), the source's colours and the edit's strength
        0..1.

        So the calls can be captured in a graph once and serve every frame of that size."""
        if binding.dtype != BYTE or binding.nbytes != BINDING_BYTES or binding.ptr % 8:
            raise ValueError(f"{binding!r} is no binding: {BINDING_BYTES} bytes, aligned to 8")
        width, height, luma_pitch, chroma_pitch = check_nv12("source", source)
        to_luma, to_chroma, pitches = 0, 0, (0, 0)
        if target is not None:
            *size, to_luma_pitch, to_chroma_pitch = check_nv12("target", target)
            if size != [width, height]:
                raise ValueError(
                    f"the target has {size[0]}x{size[1]} pixels, the source {width}x{height}: take one size"
                )
            to_luma, to_chroma, pitches = target.luma.ptr, target.chroma.ptr, (to_luma_pitch, to_chroma_pitch)
        if not 0.0 <= strength <= 1.0:
            raise ValueError(f"strength {strength}: it goes from 0 to 1")
        self._run(
            "bind_frames", stream, (1, 1, 1),
            _pointers(binding.ptr, source.luma.ptr, source.chroma.ptr, to_luma, to_chroma)
            + _ints(luma_pitch, chroma_pitch, *pitches, colours.flags) + [ctypes.c_float(strength)],
            block=(1, 1, 1),
        )  # fmt: skip

    def nv12_to_rgb(self, stream: Stream, binding: DeviceArray, rgb: DeviceArray, place: Place) -> None:
        """The bound source, resized, on the canvas `rgb` [3, h, w] float16 or bfloat16, 0..1."""
        suffix = check_canvas("rgb", rgb, place)
        self._run(
            f"nv12_to_rgb_{suffix}", stream, _grid(place.canvas_width, place.canvas_height),
            _pointers(binding.ptr, rgb.ptr) + _ints(*place.numbers()),
        )  # fmt: skip

    def edit_change(
        self, stream: Stream, binding: DeviceArray, edited: DeviceArray, shown: DeviceArray,
        mask: DeviceArray | None, change: DeviceArray, kept: DeviceArray, place: Place,
    ) -> None:  # fmt: skip
        """What an edit changes. `edited` and `shown` (what the model was given): [3, h, w] of one dtype;
        `mask` [h, w] of that dtype, 0..1, or uint8, 0..255 (None: everywhere); results `change` [3, h, w]
        float16 in code values and `kept` [h, w] uint8."""
        suffix = check_canvas("edited", edited, place)
        if check_canvas("shown", shown, place) != suffix:
            raise ValueError(f"edited is {edited.dtype}, shown is {shown.dtype}: one dtype for both")
        if edited.ptr == shown.ptr:
            raise ValueError("edited and shown are the same memory: the model must write into one of its own")
        masks = [0, 0]
        if mask is not None:
            check_canvas("mask", mask, place, planes=0, dtypes=(edited.dtype, BYTE))
            masks[mask.dtype == BYTE] = mask.ptr
        check_canvas("change", change, place, dtypes=(HALF,))
        check_canvas("kept", kept, place, planes=0, dtypes=(BYTE,))
        self._run(
            f"edit_change_{suffix}", stream, _grid(place.canvas_width, place.canvas_height),
            _pointers(binding.ptr, edited.ptr, shown.ptr, *masks, change.ptr, kept.ptr)
            + _ints(place.canvas_width, place.canvas_height),
        )  # fmt: skip

    def composite(
        self, stream: Stream, binding: DeviceArray, change: DeviceArray, kept: DeviceArray, place: Place
    ) -> None:
        """The bound source plus `change`, into the bound target."""
        check_canvas("change", change, place, dtypes=(HALF,))
        check_canvas("kept", kept, place, planes=0, dtypes=(BYTE,))
        self._run(
            "composite", stream, _grid(half(place.width), half(place.height)),
            _pointers(binding.ptr, change.ptr, kept.ptr) + _ints(*place.numbers()),
        )  # fmt: skip

    def rgb_to_nv12(self, stream: Stream, rgb: DeviceArray, target: Nv12Planes, colours: Colours) -> None:
        """`rgb` [3, H, W] float16 or bfloat16, 0..1, as NV12 of the same size."""
        width, height, luma_pitch, chroma_pitch = check_nv12("target", target)
        suffix = check_canvas("rgb", rgb, Place.of(width, height, (width, height)))
        self._run(
            f"rgb_to_nv12_{suffix}", stream, _grid(half(width), half(height)),
            _pointers(rgb.ptr, target.luma.ptr, target.chroma.ptr)
            + _ints(luma_pitch, chroma_pitch, width, height, colours.flags),
        )  # fmt: skip

    def resize_nv12(self, stream: Stream, source: Nv12Planes, target: Nv12Planes) -> None:
        """NV12 of another size, chroma kept at its siting."""
        check_nv12("source", source)
        check_nv12("target", target)
        self._resize(stream, "u8", source.luma, target.luma, middle=2)
        self._resize(stream, "u8x2", source.chroma, target.chroma, middle=1)

    def resize_planes(self, stream: Stream, source: DeviceArray, target: DeviceArray) -> None:
        """Planes [..., H, W] of uint8, float16 or bfloat16 in another size; several must lie without gaps."""
        if source.dtype != target.dtype or source.shape[:-2] != target.shape[:-2] or len(source.shape) < 2:
            raise ValueError(
                f"{source!r} cannot be resized into {target!r}: only height and width may differ"
            )
        suffix = "u8" if source.dtype == BYTE else suffix_of("source", source)
        for array in (source, target):
            if len(array.shape) > 2 and not array.contiguous:
                raise ValueError(f"{array!r} has gaps: resize its planes one by one")
        self._resize(stream, suffix, source, target, middle=2)

    def p016_to_nv12(
        self,
        stream: Stream,
        luma: DeviceArray,
        chroma: DeviceArray,
        target: Nv12Planes,
        bits: int,
        full_range: bool,
    ) -> None:
        """P016 (luma [H, W], chroma [H/2, W/2, 2] uint16, `bits` of each in its upper bits) as NV12, to
        nearest."""
        if not 9 <= bits <= 16:
            raise ValueError(f"{bits} bits: P016 has 9 to 16")
        check_nv12("target", target)
        # Full range, ITU-T H.273 8.3: 1 is 2^bits - 1; limited: code values of 8 bits, shifted.
        scale = 255.0 / (((1 << bits) - 1) << (16 - bits)) if full_range else 1.0 / 256.0
        for name, plane, to, zero in (("luma", luma, target.luma, 0), ("chroma", chroma, target.chroma, 128)):
            pairs = zero > 0
            if plane.dtype != np.uint16 or plane.shape != to.shape:
                raise ValueError(f"P016's {name} is {plane!r}: it must be uint16{list(to.shape)}")
            width = to.shape[1] * (1 + pairs)
            self._run(
                "narrow_u16", stream, _grid(width, to.shape[0]),
                _pointers(plane.ptr, to.ptr)
                + _ints(pitch_of(name, plane, pairs), pitch_of(name, to, pairs), width, to.shape[0])
                + [ctypes.c_float(zero * 256), ctypes.c_float(scale), ctypes.c_float(zero)],
            )  # fmt: skip

    def i420_to_nv12(
        self, stream: Stream, y: DeviceArray, u: DeviceArray, v: DeviceArray, target: Nv12Planes
    ) -> None:
        """Planar 4:2:0 (y [H, W], u and v [ceil(H/2), ceil(W/2)] uint8) as NV12."""
        width, height, luma_pitch, chroma_pitch = check_nv12("target", target)
        pitches = check_i420(y, u, v, width, height)
        stream.copy2d(target.luma.ptr, luma_pitch, y.ptr, pitches[0], width, height)
        self._run(
            "interleave_uv", stream, _grid(half(width), half(height)),
            _pointers(u.ptr, v.ptr, target.chroma.ptr)
            + _ints(*pitches[1:], chroma_pitch, half(width), half(height)),
        )  # fmt: skip

    def nv12_to_i420(
        self, stream: Stream, source: Nv12Planes, y: DeviceArray, u: DeviceArray, v: DeviceArray
    ) -> None:
        """The way back."""
        width, height, luma_pitch, chroma_pitch = check_nv12("source", source)
        pitches = check_i420(y, u, v, width, height)
        stream.copy2d(y.ptr, pitches[0], source.luma.ptr, luma_pitch, width, height)
        self._run(
            "deinterleave_uv", stream, _grid(half(width), half(height)),
            _pointers(source.chroma.ptr, u.ptr, v.ptr)
            + _ints(chroma_pitch, *pitches[1:], half(width), half(height)),
        )  # fmt: skip

    def _resize(
        self, stream: Stream, suffix: str, source: DeviceArray, target: DeviceArray, middle: int
    ) -> None:
        pairs = suffix == "u8x2"
        rows = slice(0, 2) if pairs else slice(-2, None)
        (from_height, from_width), (height, width) = source.shape[rows], target.shape[rows]
        Place.of(from_width, from_height, (width, height))  # for its check of the sides
        planes = 1 if pairs else int(np.prod(source.shape[:-2], dtype=np.int64))
        self._run(
            f"resize_{suffix}", stream, (*_grid(width, height)[:2], planes),
            _pointers(source.ptr, target.ptr)
            + _ints(pitch_of("source", source, pairs), pitch_of("target", target, pairs))
            + _ints(from_width, from_height, width, height, middle),
        )  # fmt: skip

    def _run(
        self, name: str, stream: Stream, grid: tuple[int, int, int], args: list[Any],
        block: tuple[int, int, int] = _BLOCK,
    ) -> None:  # fmt: skip
        function = self._functions.get(name)
        if function is None:
            function = self._functions[name] = self._module.function(name)
        function.launch(stream, grid, block, args)


def archs() -> tuple[int, ...]:
    """The compute capabilities (75, 80, ...) that the image has machine code for. Raises DeviceError without
    one."""
    try:
        return tuple(json.loads(IMAGE.with_suffix(".json").read_text(encoding="utf-8"))["archs"])
    except (OSError, ValueError, KeyError) as error:
        raise DeviceError(f"kernels.json cannot be read ({error}): install relens anew") from error


def _grid(width: int, height: int) -> tuple[int, int, int]:
    return -(-width // _BLOCK[0]), -(-height // _BLOCK[1]), 1


def _pointers(*addresses: int) -> list[Any]:
    return [ctypes.c_void_p(address) for address in addresses]


def _ints(*values: int) -> list[Any]:
    return [ctypes.c_int(value) for value in values]
