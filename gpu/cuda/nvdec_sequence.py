"""What a coded sequence says of its pictures, and whether a GPU's decoder can do it. Knows no decoder."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

from gpu.cuda import cuvid_structs as structs
from gpu.cuda.cuvid import CHROMAS, NAMES, DecoderCaps
from gpu.errors import DeviceError, FrameError
from gpu.types import Codec

MAX_PIXELS = (
    4096 * 2304
)  # a hostile sequence header must not make us allocate gigabytes; libav's decoder has the same
_MAX_SURFACES = 32  # the codecs keep at most 16 references (H.264 A.3.1 h), the parser a few more in flight


@dataclass(frozen=True, slots=True)
class Sequence:
    """Pictures of one kind, from a sequence header to the next. Sizes in pixels."""

    codec: Codec
    bit_depth: int
    chroma: int  # cudaVideoChromaFormat
    coded_width: int
    coded_height: int
    left: int  # of what is shown
    top: int
    width: int  # of what is shown, even
    height: int
    surfaces: int  # pictures the parser holds at a time
    largest: tuple[int, int]  # coded size that may come without a new header (AV1); else (0, 0)
    full_range: bool
    bt709: bool

    @classmethod
    def read(cls, codec: Codec, found: structs.VideoFormat) -> Sequence:
        """Raises FrameError for sizes that cannot be, or that would take too much memory."""
        area, signal = found.display_area, found.video_signal_description
        left, top = area.left & ~1, area.top & ~1
        width, height = (area.right - left) & ~1, (area.bottom - top) & ~1
        inside = left + width <= found.coded_width and top + height <= found.coded_height
        if min(left, top) < 0 or min(width, height) < 2 or not inside:
            raise FrameError(
                f"{NAMES[codec]} pictures of {area.right - area.left}x{area.bottom - area.top} in "
                f"{found.coded_width}x{found.coded_height} cannot be shown: send at least 2x2"
            )
        if found.coded_width * found.coded_height > MAX_PIXELS:
            raise FrameError(
                f"{NAMES[codec]} pictures of {found.coded_width}x{found.coded_height} are too large: "
                f"send at most {MAX_PIXELS} pixels (4096x2304)"
            )
        if found.min_num_decode_surfaces > _MAX_SURFACES:
            raise FrameError(
                f"{NAMES[codec]} that keeps {found.min_num_decode_surfaces} pictures: at most {_MAX_SURFACES}"
            )
        return cls(
            codec=codec,
            bit_depth=8 + max(found.bit_depth_luma_minus8, found.bit_depth_chroma_minus8),
            chroma=found.chroma_format,
            coded_width=found.coded_width,
            coded_height=found.coded_height,
            left=left,
            top=top,
            width=width,
            height=height,
            surfaces=max(1, found.min_num_decode_surfaces),
            largest=_largest(codec, found),
            full_range=bool(signal.video_full_range_flag),
            bt709=signal.matrix_coefficients == structs.BT709_MATRIX,
        )

    @property
    def display_area(self) -> structs.ShortRect:
        """What is shown of a coded picture."""
        return structs.ShortRect(self.left, self.top, self.left + self.width, self.top + self.height)

    def fitted(self, max_size: tuple[int, int] | None) -> tuple[int, int]:
        """Even, and within `max_size` with the proportions kept; a phone held upright counts as turned."""
        width, height = self.width, self.height
        if max_size is not None:
            long, short = max(width, height), min(width, height)
            scale = min(1.0, max(max_size) / long, min(max_size) / short)
            width, height = round(width * scale), round(height * scale)
        return max(2, width & ~1), max(2, height & ~1)

    def check(self, caps: DecoderCaps | None, gpu: str) -> DecoderCaps:
        """Raises DeviceError, with what replaces it, where the GPU called `gpu` cannot decode this."""
        chroma = CHROMAS[self.chroma] if 0 <= self.chroma < len(CHROMAS) else f"chroma format {self.chroma}"
        if self.chroma != structs.CHROMA_420 or caps is None:
            raise DeviceError(
                f"{gpu} does not decode {NAMES[self.codec]} of {self.bit_depth} bits, {chroma}, to what "
                f"relens takes: send 8 bits, 4:2:0, or let libav decode it on the CPU"
            )
        if not caps.admits(self.coded_width, self.coded_height):
            raise DeviceError(
                f"{gpu} decodes {NAMES[self.codec]} from {caps.min_width}x{caps.min_height} to "
                f"{caps.max_width}x{caps.max_height}, not {self.coded_width}x{self.coded_height}: send "
                f"another size, or let libav decode it on the CPU"
            )
        return caps


def _largest(codec: Codec, found: structs.VideoFormat) -> tuple[int, int]:
    if codec != "av1" or found.seqhdr_data_length < 8:
        return 0, 0
    whole = ctypes.cast(ctypes.pointer(found), ctypes.POINTER(structs.VideoFormatEx)).contents
    if whole.av1.max_width * whole.av1.max_height > MAX_PIXELS:  # it may never come: refused when it does
        return 0, 0
    return whole.av1.max_width, whole.av1.max_height
