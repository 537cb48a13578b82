"""One hardware decoder of a GPU and its surfaces: made, changed, fed, read, given back. Knows no parser."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from gpu.cuda import cuvid_structs as structs
from gpu.cuda.cuvid import CODECS, NOT_SUPPORTED, DecoderCaps, cuvid
from gpu.cuda.driver import CudaError, DeviceLost
from gpu.cuda.nvdec_sequence import Sequence
from gpu.cuda.resource import Resource
from gpu.errors import DeviceError

if TYPE_CHECKING:
    from gpu.cuda.driver import Device, Stream

# Memory is taken for at least this size, so that a sender that begins small and grows, as browsers do, keeps
# its decoder. NV12 of it and 8 surfaces: 12 MB.
_ROOM = (1280, 736)
_MAPPED = 2  # surfaces mapped at once; one is, and the driver prepares the next in the other


class Surfaces(Resource):
    """A decoder for one sequence after another, as long as they fit. One thread at a time."""

    def __init__(self, device: Device, sequence: Sequence, caps: DecoderCaps, size: tuple[int, int]) -> None:
        """`size`: what pictures are scaled to by the engine. Raises CudaError when memory is full or the
        driver refuses, DeviceLost."""
        self._cuvid = cuvid()
        self._status_known = True
        self.sequence, self.size = sequence, size
        narrow = sequence.bit_depth == 8 or structs.P016 not in caps.outputs
        self.output = structs.NV12 if narrow else structs.P016
        self.surfaces = sequence.surfaces
        self._room = tuple(
            min(most, max(coded, room, may_come))
            for most, coded, room, may_come in zip(
                (caps.max_width, caps.max_height), (sequence.coded_width, sequence.coded_height), _ROOM,
                sequence.largest, strict=True,
            )
        )  # fmt: skip
        if not caps.admits(*self._room):
            self._room = (sequence.coded_width, sequence.coded_height)
        info = structs.CreateInfo(
            ulWidth=sequence.coded_width,
            ulHeight=sequence.coded_height,
            ulNumDecodeSurfaces=self.surfaces,
            CodecType=CODECS[sequence.codec],
            ChromaFormat=sequence.chroma,
            ulCreationFlags=structs.PREFER_CUVID,
            bitDepthMinus8=sequence.bit_depth - 8,
            ulMaxWidth=self._room[0],
            ulMaxHeight=self._room[1],
            display_area=sequence.display_area,
            OutputFormat=self.output,
            DeinterlaceMode=structs.WEAVE,
            ulTargetWidth=size[0],
            ulTargetHeight=size[1],
            ulNumOutputSurfaces=_MAPPED,
        )
        handle = ctypes.c_void_p()
        with device.current():
            self._cuvid("cuvidCreateDecoder", ctypes.byref(handle), ctypes.byref(info))
        super().__init__(device, handle.value or 0)

    def adopt(self, sequence: Sequence, size: tuple[int, int]) -> bool:
        """Go on with another sequence in the same memory; False where it does not fit. For the sequence
        callback only, with nothing mapped and nothing under way. Raises DeviceLost."""
        now = self.sequence
        same = (sequence.codec, sequence.bit_depth, sequence.chroma) == (now.codec, now.bit_depth, now.chroma)
        fits = sequence.coded_width <= self._room[0] and sequence.coded_height <= self._room[1]
        if not same or not fits or sequence.surfaces > self.surfaces:
            return False
        info = structs.ReconfigureInfo(
            ulWidth=sequence.coded_width,
            ulHeight=sequence.coded_height,
            ulTargetWidth=size[0],
            ulTargetHeight=size[1],
            ulNumDecodeSurfaces=self.surfaces,
            display_area=sequence.display_area,
        )
        try:
            self._cuvid("cuvidReconfigureDecoder", self.live, ctypes.byref(info))
        except DeviceLost:
            raise
        except CudaError:
            return False  # a new one may do
        self.sequence, self.size = sequence, size
        return True

    def decode(self, picture: Any) -> None:
        """Hand in the picture that `picture`, the parser's pointer, is of. Raises CudaError, DeviceLost."""
        self._cuvid("cuvidDecodePicture", self.live, picture)

    @contextmanager
    def mapped(self, index: int, progressive: bool, stream: Stream) -> Iterator[tuple[int, int]]:
        """A decoded picture as linear memory: (address, pitch in bytes), luma, `size[1]` rows below it
        chroma.

        Waits until it is decoded. Work that reads it must be handed to `stream` inside. The surface is
        written again on `stream` only, so in order: leaving does not wait. Raises CudaError, DeviceLost."""
        params = structs.ProcParams(
            progressive_frame=progressive, top_field_first=1, output_stream=stream.handle
        )
        address, pitch = ctypes.c_ulonglong(), ctypes.c_uint()
        self._cuvid(
            "cuvidMapVideoFrame64", self.live, index, ctypes.byref(address), ctypes.byref(pitch),
            ctypes.byref(params),
        )  # fmt: skip
        try:
            yield address.value, pitch.value
        except BaseException:
            with suppress(DeviceError):  # what went wrong inside is the cause, not this
                self._cuvid("cuvidUnmapVideoFrame64", self.live, address)
            raise
        self._cuvid("cuvidUnmapVideoFrame64", self.live, address)

    def damaged(self, index: int) -> bool:
        """Whether the engine found an error in a mapped picture, concealed or not; False where it cannot tell
        (documented for H.264 and HEVC). Raises CudaError, DeviceLost."""
        if not self._status_known:
            return False
        status = structs.DecodeStatus()
        code = self._cuvid.ask("cuvidGetDecodeStatus", self.live, index, ctypes.byref(status))
        if code == NOT_SUPPORTED:
            self._status_known = False
            return False
        self._cuvid.check("cuvidGetDecodeStatus", code)
        return status.decodeStatus in (structs.STATUS_ERROR, structs.STATUS_CONCEALED)

    def _release(self, handle: int) -> None:
        self._cuvid.ask("cuvidDestroyDecoder", handle)
