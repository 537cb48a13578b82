"""One NVENC session: opened, set up, fed pictures from device memory, closed. Knows no stream of frames.

Every call blocks as long as the driver likes; who needs a bound calls from a thread of its own (bounded.py).
"""

from __future__ import annotations

import contextlib
import ctypes
import time
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import c_int, c_uint32, c_void_p
from typing import Any

from gpu.cuda import nvenc_constants as nv
from gpu.cuda.driver import Device, Memory, Stream
from gpu.cuda.driver_errors import DeviceLost
from gpu.cuda.nvenc_api import EncoderLost, api, error_of, new
from gpu.cuda.nvenc_config import Config, Guid, PresetConfig
from gpu.cuda.nvenc_settings import CODECS, PROFILES
from gpu.cuda.nvenc_structs import (
    CapsParam,
    CreateBitstream,
    InitializeParams,
    LockBitstream,
    MapResource,
    OpenSession,
    PictureParams,
    ReconfigureParams,
    RegisterResource,
)
from gpu.errors import DeviceError
from gpu.types import Codec

_MOST_REGISTERED = 32  # buffers; pools have at most eight, and there is one before and one after the edit
_BUSY_S, _BUSY_PAUSE_S = 1.0, 0.001  # the header: "call again after few milliseconds"


class Session:
    """An open session. Not safe for threads."""

    def __init__(self, device: Device) -> None:
        """Raises DeviceError without the library, NoEncoder, SessionLimit, NvencError, DeviceLost."""
        self._api, self._device = api(), device
        self._handle = 0
        self._params: InitializeParams | None = None
        self._bitstream = 0
        self._registered: dict[
            int, tuple[weakref.ref[Memory], int, int]
        ] = {}  # address: memory, pitch, handle
        self._input = c_void_p()  # a CUstream the driver is given the address of
        self._in_order = False
        params = new(OpenSession)
        params.deviceType, params.device = nv.NV_ENC_DEVICE_TYPE_CUDA, device.context
        params.apiVersion = nv.NVENCAPI_VERSION
        opened = c_void_p()
        with device.current():
            status = self._api.ask("nvEncOpenEncodeSessionEx", ctypes.byref(params), ctypes.byref(opened))
            if status:
                error = self._refused("nvEncOpenEncodeSessionEx", status)
                if opened.value:  # the header asks for it after a failure too
                    self._api.ask("nvEncDestroyEncoder", opened)
                raise error
        self._handle = opened.value or 0

    # What it can do

    def codecs(self) -> list[Codec]:
        """Those that this GPU encodes and relens knows."""
        known = {guid: codec for codec, guid in CODECS.items()}
        return [known[guid] for guid in self._guids("nvEncGetEncodeGUID") if guid in known]

    def profiles(self, codec: Codec) -> list[str]:
        """Profiles of a codec, by relens' names."""
        known = {guid: name for name, guid in PROFILES[codec].items()}
        found = self._guids("nvEncGetEncodeProfileGUID", Guid.of(CODECS[codec]))
        return [known[guid] for guid in found if guid in known]

    def capability(self, codec: Codec, which: int) -> int:
        """One of NV_ENC_CAPS_*; 0 where this driver does not know it."""
        params, value = new(CapsParam), c_int()
        params.capsToQuery = which
        status = self._ask(
            "nvEncGetEncodeCaps", Guid.of(CODECS[codec]), ctypes.byref(params), ctypes.byref(value)
        )
        return 0 if status else value.value

    def preset(self, codec: Codec) -> Config:
        """NVIDIA's settings of preset P4 for ultra low latency. Raises NvencError, DeviceLost."""
        asked = new(PresetConfig)
        asked.presetCfg.version = new(Config).version
        self._call(
            "nvEncGetEncodePresetConfigEx", Guid.of(CODECS[codec]), Guid.of(nv.NV_ENC_PRESET_P4_GUID),
            nv.NV_ENC_TUNING_INFO_ULTRA_LOW_LATENCY, ctypes.byref(asked),
        )  # fmt: skip
        return Config.from_buffer_copy(asked.presetCfg)

    # How it encodes

    def initialize(self, params: InitializeParams, stream: Stream) -> None:
        """Set up once; pictures are read in the order of `stream`.

        Raises SessionLimit, NvencError, DeviceLost."""
        self._call("nvEncInitializeEncoder", ctypes.byref(params))
        self._params = params
        self._input = c_void_p(stream.handle)
        place = ctypes.byref(self._input)
        self._in_order = not self._ask("nvEncSetIOCudaStreams", place, place)
        made = new(CreateBitstream)
        self._call("nvEncCreateBitstreamBuffer", ctypes.byref(made))
        self._bitstream = made.bitstreamBuffer or 0

    def reconfigure(self) -> None:
        """Take over what was changed in the parameters, with neither a reset nor a keyframe.

        Raises NvencError, DeviceLost."""
        assert self._params is not None
        params = new(ReconfigureParams)
        ctypes.pointer(params.reInitEncodeParams)[0] = self._params
        params.resetEncoder, params.forceIDR = 0, 0
        self._call("nvEncReconfigureEncoder", ctypes.byref(params))

    def encode(
        self, memory: Memory, address: int, pitch: int, stream: Stream, keyframe: bool = False, stamp: int = 0
    ) -> tuple[bytes, bool]:
        """The access unit of the NV12 picture at `address` in `memory`, and whether it is a keyframe.

        Raises NvencError when the picture is refused or held back, DeviceTimeout, DeviceLost."""
        assert self._params is not None
        if not self._in_order:
            stream.synchronize()
        params = new(PictureParams)
        params.inputWidth, params.inputHeight = self._params.encodeWidth, self._params.encodeHeight
        params.inputPitch, params.inputTimeStamp = pitch, stamp
        params.bufferFmt, params.pictureStruct = nv.NV_ENC_BUFFER_FORMAT_NV12, nv.NV_ENC_PIC_STRUCT_FRAME
        params.outputBitstream = self._bitstream
        if keyframe:
            params.encodePicFlags = nv.NV_ENC_PIC_FLAG_FORCEIDR | nv.NV_ENC_PIC_FLAG_OUTPUT_SPSPPS
        with (
            self._device.current(),  # once, instead of for each of the calls
            self._mapped(self._register(memory, address, pitch)) as params.inputBuffer,
        ):
            self._hand_in(params)
            return self._take_out(stamp)

    def _hand_in(self, params: PictureParams) -> None:
        deadline = time.monotonic() + _BUSY_S
        while True:
            status = self._ask("nvEncEncodePicture", ctypes.byref(params))
            if not status:
                return
            if status != nv.NV_ENC_ERR_ENCODER_BUSY or time.monotonic() > deadline:
                raise self._refused("nvEncEncodePicture", status)
            time.sleep(_BUSY_PAUSE_S)

    def _take_out(self, stamp: int) -> tuple[bytes, bool]:
        lock = new(LockBitstream)
        lock.outputBitstream = self._bitstream
        self._call("nvEncLockBitstream", ctypes.byref(lock))
        try:
            data = ctypes.string_at(lock.bitstreamBufferPtr, lock.bitstreamSizeInBytes)
        finally:
            self._call("nvEncUnlockBitstream", self._bitstream)
        if lock.outputTimeStamp != stamp or not data:
            raise error_of("nvEncLockBitstream", nv.NV_ENC_ERR_NEED_MORE_INPUT, "a picture was held back")
        return data, lock.pictureType == nv.NV_ENC_PIC_TYPE_IDR

    # Its buffers

    def _register(self, memory: Memory, address: int, pitch: int) -> int:
        """Once a buffer: while the same memory is alive, its registration is good."""
        known = self._registered.get(address)
        if known is not None:
            if known[0]() is memory and memory.ptr and known[1] == pitch:
                return known[2]
            self._unregister(address)
        while len(self._registered) >= _MOST_REGISTERED:
            self._unregister(next(iter(self._registered)))
        assert self._params is not None
        params = new(RegisterResource)
        params.resourceType = nv.NV_ENC_INPUT_RESOURCE_TYPE_CUDADEVICEPTR
        params.width, params.height = self._params.encodeWidth, self._params.encodeHeight
        params.pitch, params.resourceToRegister = pitch, address
        params.bufferFormat, params.bufferUsage = nv.NV_ENC_BUFFER_FORMAT_NV12, nv.NV_ENC_INPUT_IMAGE
        self._call("nvEncRegisterResource", ctypes.byref(params))
        handle = params.registeredResource or 0
        self._registered[address] = (weakref.ref(memory), pitch, handle)
        return handle

    def _unregister(self, address: int) -> None:
        _, _, handle = self._registered.pop(address)
        self._call("nvEncUnregisterResource", handle)

    @contextmanager
    def _mapped(self, registered: int) -> Iterator[int]:
        params = new(MapResource)
        params.registeredResource = registered
        self._call("nvEncMapInputResource", ctypes.byref(params))
        try:
            yield params.mappedResource or 0
        finally:
            self._ask("nvEncUnmapInputResource", params.mappedResource)

    # Its end

    def close(self) -> None:
        """Give everything back. Idempotent; a device that is lost meanwhile is no error here."""
        handle = self._handle
        if not handle:
            return
        with contextlib.suppress(DeviceError):
            for address in list(self._registered):
                self._unregister(address)
            if self._bitstream:
                self._ask("nvEncDestroyBitstreamBuffer", self._bitstream)
        self._handle = self._bitstream = 0
        self._registered.clear()
        try:
            with self._device.current():
                self._api.ask("nvEncDestroyEncoder", handle)
        except DeviceError:  # no context any more: what is left of the session is on the host
            self._api.ask("nvEncDestroyEncoder", handle)

    def _guids(self, stem: str, *of: Guid) -> list[str]:
        """By a function for their number and one for themselves."""
        count = c_uint32()
        self._call(f"{stem}Count", *of, ctypes.byref(count))
        guids, found = (Guid * max(1, count.value))(), c_uint32()
        self._call(f"{stem}s", *of, guids, count.value, ctypes.byref(found))
        return [str(guid) for guid in guids[: min(found.value, count.value)]]

    def _ask(self, call: str, *arguments: Any) -> int:
        with self._device.current():
            return self._api.ask(call, self._handle, *arguments)

    def _call(self, call: str, *arguments: Any) -> None:
        status = self._ask(call, *arguments)
        if status:
            raise self._refused(call, status)

    def _refused(self, call: str, status: int) -> DeviceError:
        """A refusal, or what is behind it: NVENC has no status for a dead context, the driver has."""
        detail = self._api.detail(self._handle)
        try:
            self._device.memory()
        except DeviceLost as lost:
            return lost
        except DeviceError:
            pass
        if status == nv.NV_ENC_ERR_DEVICE_NOT_EXIST:
            return EncoderLost(call, status, detail)
        return error_of(call, status, detail)
