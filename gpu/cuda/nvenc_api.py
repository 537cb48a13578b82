"""The binding to libnvidia-encode: its functions, and what their refusals mean. Knows no pictures.

NvencError            a call was refused
├── NoEncoder         the GPU has no NVENC at all (A100, H100, H200)
└── SessionLimit      the driver opens no further session (GeForce: a few per system)
EncoderLost           the device is gone, by NVENC's word; a DeviceLost
"""

from __future__ import annotations

import ctypes
import threading
from ctypes import POINTER, c_char_p, c_int, c_uint32, c_void_p
from typing import Any, TypeVar

from gpu.cuda import nvenc_constants as nv
from gpu.cuda.driver_errors import DeviceLost
from gpu.cuda.libraries import open_library
from gpu.cuda.nvenc_config import Guid, PresetConfig
from gpu.cuda.nvenc_structs import (
    STRUCTS,
    CapsParam,
    CreateBitstream,
    FunctionList,
    InitializeParams,
    LockBitstream,
    MapResource,
    OpenSession,
    PictureParams,
    ReconfigureParams,
    RegisterResource,
)
from gpu.errors import DeviceError

_Struct = TypeVar("_Struct", bound=ctypes.Structure)
_SESSION, _COUNT = c_void_p, POINTER(c_uint32)

SIGNATURES: dict[str, tuple[Any, ...]] = {
    "nvEncOpenEncodeSessionEx": (POINTER(OpenSession), POINTER(c_void_p)),
    "nvEncDestroyEncoder": (_SESSION,),
    "nvEncGetEncodeGUIDCount": (_SESSION, _COUNT),
    "nvEncGetEncodeGUIDs": (_SESSION, POINTER(Guid), c_uint32, _COUNT),
    "nvEncGetEncodeProfileGUIDCount": (_SESSION, Guid, _COUNT),
    "nvEncGetEncodeProfileGUIDs": (_SESSION, Guid, POINTER(Guid), c_uint32, _COUNT),
    "nvEncGetEncodeCaps": (_SESSION, Guid, POINTER(CapsParam), POINTER(c_int)),
    "nvEncGetEncodePresetConfigEx": (_SESSION, Guid, Guid, c_uint32, POINTER(PresetConfig)),
    "nvEncInitializeEncoder": (_SESSION, POINTER(InitializeParams)),
    "nvEncReconfigureEncoder": (_SESSION, POINTER(ReconfigureParams)),
    "nvEncSetIOCudaStreams": (_SESSION, POINTER(c_void_p), POINTER(c_void_p)),
    "nvEncCreateBitstreamBuffer": (_SESSION, POINTER(CreateBitstream)),
    "nvEncDestroyBitstreamBuffer": (_SESSION, c_void_p),
    "nvEncRegisterResource": (_SESSION, POINTER(RegisterResource)),
    "nvEncUnregisterResource": (_SESSION, c_void_p),
    "nvEncMapInputResource": (_SESSION, POINTER(MapResource)),
    "nvEncUnmapInputResource": (_SESSION, c_void_p),
    "nvEncEncodePicture": (_SESSION, POINTER(PictureParams)),
    "nvEncLockBitstream": (_SESSION, POINTER(LockBitstream)),
    "nvEncUnlockBitstream": (_SESSION, c_void_p),
}

_STATUS = {
    value: name
    for name, value in vars(nv).items()
    if name == "NV_ENC_SUCCESS" or name.startswith("NV_ENC_ERR_")
}
SOFTWARE = "encode with libx264 instead (HostEncoder), which needs no NVENC"
_REMEDIES = {
    nv.NV_ENC_ERR_INVALID_VERSION: "update NVIDIA's driver to 520.56 or later",
    nv.NV_ENC_ERR_UNSUPPORTED_PARAM: f"this GPU cannot encode so: take another codec or size, or {SOFTWARE}",
    nv.NV_ENC_ERR_INVALID_PARAM: f"this GPU cannot encode so: take another codec or size, or {SOFTWARE}",
    nv.NV_ENC_ERR_OUT_OF_MEMORY: "let fewer streams in (max_sessions) or end others on this GPU (nvidia-smi)",
}
_NO_ENCODER = (nv.NV_ENC_ERR_NO_ENCODE_DEVICE, nv.NV_ENC_ERR_UNSUPPORTED_DEVICE)
# When a session is opened these two mean: there are no more (what users of GeForce report to FFmpeg and OBS).
_NO_SESSION = (nv.NV_ENC_ERR_OUT_OF_MEMORY, nv.NV_ENC_ERR_INCOMPATIBLE_CLIENT_KEY)
_OPENING = ("nvEncOpenEncodeSessionEx", "nvEncInitializeEncoder")


class NvencError(DeviceError):
    """A call of NVENC was refused. `status` is the NVENCSTATUS, `name` its name."""

    def __init__(self, call: str, status: int, remedy: str, detail: str = "") -> None:
        self.call, self.status, self.name = call, status, _STATUS.get(status, "unknown status")
        told = f", {detail}" if detail else ""
        super().__init__(f"{call}: {self.name} ({status}{told}): {remedy}")


class NoEncoder(NvencError):
    """The GPU has no NVENC."""


class SessionLimit(NvencError):
    """The driver opens no further session."""


class EncoderLost(DeviceLost):
    """The device is gone, by NVENC's word. `code` is the NVENCSTATUS."""

    def __init__(self, call: str, status: int, detail: str = "") -> None:
        super().__init__(call, status, _STATUS.get(status, "unknown status"))
        told = f"{status}, {detail}" if detail else f"{status}"
        self.args = (f"{call}: {self.name} ({told}): the GPU is lost to this process: restart the server",)


def error_of(call: str, status: int, detail: str = "") -> NvencError:
    """The exception for a status other than success; `detail` in the library's own words."""
    if call in _OPENING and status in _NO_ENCODER:
        return NoEncoder(call, status, f"this GPU has no video encoder (NVENC): {SOFTWARE}", detail)
    if call in _OPENING and status in _NO_SESSION:
        remedy = (
            "no NVENC session is left (GeForce allows a few per system, all programs together) or the GPU's "
            "memory is full: end other programs that encode, let fewer streams in (max_sessions), or "
            f"{SOFTWARE}"
        )
        return SessionLimit(call, status, remedy, detail)
    remedy = _REMEDIES.get(status, "report it with the driver's version: this call should not have failed")
    return NvencError(call, status, remedy, detail)


class Api:
    """The library with the functions of its list bound."""

    def __init__(self, library: ctypes.CDLL) -> None:
        """Raises DeviceError where the driver is too old for API 12.0."""
        self.library = library
        try:
            ask_version, create = (
                library.NvEncodeAPIGetMaxSupportedVersion,
                library.NvEncodeAPICreateInstance,
            )
        except AttributeError as error:
            raise DeviceError(
                f"libnvidia-encode lacks its entry points ({error}): reinstall the driver"
            ) from error
        newest = c_uint32()
        status = int(ask_version(ctypes.byref(newest)))
        if status:
            raise error_of("NvEncodeAPIGetMaxSupportedVersion", status)
        self.newest = (newest.value >> 4, newest.value & 15)
        wanted = (nv.NVENCAPI_MAJOR_VERSION, nv.NVENCAPI_MINOR_VERSION)
        if self.newest < wanted:
            raise DeviceError(
                f"the driver speaks NVENC {self.newest[0]}.{self.newest[1]}, relens {wanted[0]}.{wanted[1]}: "
                f"update NVIDIA's driver to 520.56 or later, or {SOFTWARE}"
            )
        functions = new(FunctionList)
        status = int(create(ctypes.byref(functions)))
        if status:
            raise error_of("NvEncodeAPICreateInstance", status)
        self._functions = {
            name: ctypes.CFUNCTYPE(c_int, *arguments)(getattr(functions, name) or 0)
            for name, arguments in SIGNATURES.items()
            if getattr(functions, name)
        }
        self._last_error: Any = None
        if functions.nvEncGetLastErrorString:
            self._last_error = ctypes.CFUNCTYPE(c_char_p, c_void_p)(functions.nvEncGetLastErrorString)

    def ask(self, call: str, *arguments: Any) -> int:
        """Call it and return its NVENCSTATUS; unimplemented where the driver's list has no such function."""
        function = self._functions.get(call)
        return nv.NV_ENC_ERR_UNIMPLEMENTED if function is None else int(function(*arguments))

    def detail(self, session: int) -> str:
        """What the library says of a session's last failure, "" where nothing."""
        if not session or self._last_error is None:
            return ""
        text = self._last_error(session)
        return text.decode(errors="replace").strip() if text else ""


def version_of(kind: type[ctypes.Structure]) -> int:
    """NV_ENC_*_VER of a structure (NVENCAPI_STRUCT_VERSION in the header). KeyError where it has none."""
    number, high = _VERSIONS[kind]
    return nv.NVENCAPI_VERSION | number << 16 | 7 << 28 | high << 31


def new(kind: type[_Struct]) -> _Struct:
    """A structure of zeros but for its version."""
    return kind(version=version_of(kind))


_VERSIONS = {kind: version for kind, version in STRUCTS.values() if version is not None}

_bound: Api | None = None
_lock = threading.Lock()


def api() -> Api:
    """The binding. Raises DeviceError with the remedy where the library is missing or too old."""
    global _bound
    library = open_library("nvidia-encode")
    with _lock:
        if _bound is None or _bound.library is not library:
            _bound = Api(library)
        return _bound
