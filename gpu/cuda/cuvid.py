"""The binding to libnvcuvid: its functions, what their failures mean, and what a GPU's decoder can do.

Straight on the driver's library, because what is built on top of it ends the process on a driver error or
holds pictures back. Knows no streams of frames; nvdec.py does.
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import POINTER, byref, c_int, c_uint, c_ulonglong, c_void_p
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gpu.cuda import cuvid_structs as structs
from gpu.cuda.driver_api import api
from gpu.cuda.driver_errors import CudaError, error_of
from gpu.cuda.libraries import open_library
from gpu.errors import DeviceError
from gpu.types import Codec

if TYPE_CHECKING:
    from gpu.cuda.driver import Device

CODECS: dict[Codec, int] = {
    "h264": structs.H264, "hevc": structs.HEVC, "vp8": structs.VP8, "vp9": structs.VP9, "av1": structs.AV1,
}  # fmt: skip
NAMES = {"h264": "H.264", "hevc": "HEVC", "vp8": "VP8", "vp9": "VP9", "av1": "AV1"}
CHROMAS = ("4:0:0", "4:2:0", "4:2:2", "4:4:4")  # by cudaVideoChromaFormat
NOT_SUPPORTED = 801  # CUresult of a question this GPU or codec has no answer to
# CUresult that libcuda has for a dead context. Here a damaged picture may cause it too: whether the GPU is
# lost, libcuda tells.
_UNKNOWN = 999

# Not bound: cuvidCtxLock*. The lock is for decoding by kernels (cudaVideoCreate_PreferCUDA) and for contexts
# that float between threads; here the context is made current around every call.
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "cuvidGetDecoderCaps": (POINTER(structs.DecodeCaps),),
    "cuvidCreateDecoder": (POINTER(c_void_p), POINTER(structs.CreateInfo)),
    "cuvidDestroyDecoder": (c_void_p,),
    "cuvidDecodePicture": (c_void_p, POINTER(structs.PicParams)),
    "cuvidGetDecodeStatus": (c_void_p, c_int, POINTER(structs.DecodeStatus)),
    "cuvidReconfigureDecoder": (c_void_p, POINTER(structs.ReconfigureInfo)),
    "cuvidMapVideoFrame64": (
        c_void_p, c_int, POINTER(c_ulonglong), POINTER(c_uint), POINTER(structs.ProcParams),
    ),
    "cuvidUnmapVideoFrame64": (c_void_p, c_ulonglong),
    "cuvidCreateVideoParser": (POINTER(c_void_p), POINTER(structs.ParserParams)),
    "cuvidParseVideoData": (c_void_p, POINTER(structs.SourceDataPacket)),
    "cuvidDestroyVideoParser": (c_void_p,),
}  # fmt: skip


class Cuvid:
    """libnvcuvid with its functions bound. The context must be current around every call."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Raises DeviceError where the driver lacks a function (before Video Codec SDK 9.1)."""
        self._functions: dict[str, Any] = {}
        for name, arguments in _FUNCTIONS.items():
            try:
                function = library[name]
            except AttributeError as error:
                raise DeviceError(f"the driver's decoder has no {name}: update the driver") from error
            function.argtypes, function.restype = arguments, c_int
            self._functions[name] = function
        self.library = library

    def __call__(self, call: str, *arguments: Any) -> None:
        """Call it; raises DeviceLost or CudaError when it does not return 0."""
        self.check(call, self.ask(call, *arguments))

    def check(self, call: str, code: int) -> None:
        """Raises DeviceLost or CudaError when what `call` returned is not 0."""
        if code == _UNKNOWN:
            raise CudaError(call, code, api().name_of(code))
        if code:
            raise error_of(call, code, api().name_of(code))

    def ask(self, call: str, *arguments: Any) -> int:
        """Call it and return its CUresult."""
        return int(self._functions[call](*arguments))


_bound: Cuvid | None = None
_lock = threading.Lock()


def cuvid() -> Cuvid:
    """The binding. Raises DeviceError with the remedy where the library is missing."""
    global _bound
    library = open_library("nvcuvid")
    with _lock:
        if _bound is None or _bound.library is not library:
            _bound = Cuvid(library)
        return _bound


@dataclass(frozen=True, slots=True)
class DecoderCaps:
    """What a GPU decodes of one codec, bit depth and chroma format. Sizes are coded sizes in pixels."""

    codec: Codec
    bit_depth: int
    chroma: str  # one of CHROMAS
    max_width: int
    max_height: int
    min_width: int
    min_height: int
    max_macroblocks: int  # of 16x16 pixels in a picture
    engines: int  # video engines that can do it
    outputs: frozenset[int]  # cuvid_structs.NV12, P016 ...

    def admits(self, width: int, height: int) -> bool:
        """Whether a picture of this coded size can be decoded."""
        return (
            self.min_width <= width <= self.max_width
            and self.min_height <= height <= self.max_height
            and width * height <= 256 * self.max_macroblocks
        )


def caps_of(
    device: Device, codec: Codec, bit_depth: int = 8, chroma: int = structs.CHROMA_420
) -> DecoderCaps | None:
    """What the GPU decodes of one kind; None: nothing. Raises DeviceError without the library, DeviceLost."""
    asked = structs.DecodeCaps(eCodecType=CODECS[codec], eChromaFormat=chroma, nBitDepthMinus8=bit_depth - 8)
    library = cuvid()
    with device.current():
        library("cuvidGetDecoderCaps", byref(asked))
    if not asked.bIsSupported:
        return None
    return DecoderCaps(
        codec=codec,
        bit_depth=bit_depth,
        chroma=CHROMAS[chroma],
        max_width=asked.nMaxWidth,
        max_height=asked.nMaxHeight,
        min_width=asked.nMinWidth,
        min_height=asked.nMinHeight,
        max_macroblocks=asked.nMaxMBCount,
        engines=asked.nNumNVDECs,
        outputs=frozenset(bit for bit in range(16) if asked.nOutputFormatMask >> bit & 1),
    )


def decoder_caps(device: Device) -> list[DecoderCaps]:
    """Everything relens could hand to this GPU's decoder: 4:2:0 at 8 and 10 bits, codec by codec.

    Empty where the GPU has no decoder. Raises DeviceError without the library, DeviceLost.
    """
    found = (caps_of(device, codec, bits) for codec in CODECS for bits in (8, 10))
    return [caps for caps in found if caps is not None]
