"""The structures of the NVENC API 12.0 that its calls take, and the list of its functions.

Like those of nvenc_config.py: field by field, held to the header by a table.
"""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_int32, c_uint16, c_uint32, c_uint64, c_void_p

from gpu.cuda.nvenc_config import (
    Av1Config,
    CodecConfig,
    Config,
    Guid,
    H264Config,
    HevcConfig,
    PresetConfig,
    Qp,
    RateControl,
    Vui,
    flags,
    words,
)


class OpenSession(ctypes.Structure):
    """NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS."""

    _fields_ = [
        *words("version", "deviceType"), ("device", c_void_p), ("reserved", c_void_p), *words("apiVersion"),
        ("reserved1", c_uint32 * 253), ("reserved2", c_void_p * 64),
    ]  # fmt: skip


class CapsParam(ctypes.Structure):
    """NV_ENC_CAPS_PARAM."""

    _fields_ = [*words("version", "capsToQuery"), ("reserved", c_uint32 * 62)]


class MotionHints(ctypes.Structure):
    """NVENC_EXTERNAL_ME_HINT_COUNTS_PER_BLOCKTYPE: nothing of it is used."""

    _fields_ = [("_counts", c_uint32), ("reserved1", c_uint32 * 3)]


class InitializeParams(ctypes.Structure):
    """NV_ENC_INITIALIZE_PARAMS."""

    _fields_ = [
        *words("version"), ("encodeGUID", Guid), ("presetGUID", Guid),
        *words(
            "encodeWidth", "encodeHeight", "darWidth", "darHeight", "frameRateNum", "frameRateDen",
            "enableEncodeAsync", "enablePTD",
        ),
        *flags(
            "reportSliceOffsets enableSubFrameWrite enableExternalMEHints enableMEOnlyMode "
            "enableWeightedPrediction enableOutputInVidmem",
            "reservedBitFields",
        ),
        *words("privDataSize"), ("privData", c_void_p), ("encodeConfig", POINTER(Config)),
        *words("maxEncodeWidth", "maxEncodeHeight"), ("maxMEHintCountsPerBlock", MotionHints * 2),
        *words("tuningInfo", "bufferFormat"), ("reserved", c_uint32 * 287), ("reserved2", c_void_p * 64),
    ]  # fmt: skip


class ReconfigureParams(ctypes.Structure):
    """NV_ENC_RECONFIGURE_PARAMS."""

    _fields_ = [
        *words("version"), ("reInitEncodeParams", InitializeParams),
        *flags("resetEncoder forceIDR", "reserved"),
    ]  # fmt: skip


class CodecPicture(ctypes.Union):
    """NV_ENC_CODEC_PIC_PARAMS: nothing of it is used."""

    _fields_ = [("reserved", c_uint32 * 256), ("_largest", c_uint64 * 194)]


class PictureParams(ctypes.Structure):
    """NV_ENC_PIC_PARAMS."""

    _fields_ = [
        *words("version", "inputWidth", "inputHeight", "inputPitch", "encodePicFlags", "frameIdx"),
        ("inputTimeStamp", c_uint64), ("inputDuration", c_uint64), ("inputBuffer", c_void_p),
        ("outputBitstream", c_void_p), ("completionEvent", c_void_p),
        *words("bufferFmt", "pictureStruct", "pictureType"), ("codecPicParams", CodecPicture),
        ("meHintCountsPerBlock", MotionHints * 2), ("meExternalHints", c_void_p), ("reserved1", c_uint32 * 6),
        ("reserved2", c_void_p * 2), ("qpDeltaMap", c_void_p), *words("qpDeltaMapSize", "reservedBitFields"),
        ("meHintRefPicDist", c_uint16 * 2), ("alphaBuffer", c_void_p), ("meExternalSbHints", c_void_p),
        *words("meSbHintsCount"), ("reserved3", c_uint32 * 285), ("reserved4", c_void_p * 58),
    ]  # fmt: skip


class CreateBitstream(ctypes.Structure):
    """NV_ENC_CREATE_BITSTREAM_BUFFER."""

    _fields_ = [
        *words("version", "size", "memoryHeap", "reserved"), ("bitstreamBuffer", c_void_p),
        ("bitstreamBufferPtr", c_void_p), ("reserved1", c_uint32 * 58), ("reserved2", c_void_p * 64),
    ]  # fmt: skip


class LockBitstream(ctypes.Structure):
    """NV_ENC_LOCK_BITSTREAM."""

    _fields_ = [
        *words("version"), *flags("doNotWait ltrFrame getRCStats", "reservedBitFields"),
        ("outputBitstream", c_void_p), ("sliceOffsets", c_void_p),
        *words("frameIdx", "hwEncodeStatus", "numSlices", "bitstreamSizeInBytes"),
        ("outputTimeStamp", c_uint64), ("outputDuration", c_uint64), ("bitstreamBufferPtr", c_void_p),
        *words(
            "pictureType", "pictureStruct", "frameAvgQP", "frameSatd", "ltrFrameIdx", "ltrFrameBitmap",
            "temporalId",
        ),
        ("reserved", c_uint32 * 12), *words("intraMBCount", "interMBCount"), ("averageMVX", c_int32),
        ("averageMVY", c_int32), *words("alphaLayerSizeInBytes"), ("reserved1", c_uint32 * 218),
        ("reserved2", c_void_p * 64),
    ]  # fmt: skip


class RegisterResource(ctypes.Structure):
    """NV_ENC_REGISTER_RESOURCE."""

    _fields_ = [
        *words("version", "resourceType", "width", "height", "pitch", "subResourceIndex"),
        ("resourceToRegister", c_void_p), ("registeredResource", c_void_p),
        *words("bufferFormat", "bufferUsage"), ("pInputFencePoint", c_void_p),
        ("reserved1", c_uint32 * 247), ("reserved2", c_void_p * 61),
    ]  # fmt: skip


class MapResource(ctypes.Structure):
    """NV_ENC_MAP_INPUT_RESOURCE."""

    _fields_ = [
        *words("version", "subResourceIndex"), ("inputResource", c_void_p), ("registeredResource", c_void_p),
        ("mappedResource", c_void_p), *words("mappedBufferFmt"),
        ("reserved1", c_uint32 * 251), ("reserved2", c_void_p * 63),
    ]  # fmt: skip


FUNCTIONS = (
    "nvEncOpenEncodeSession", "nvEncGetEncodeGUIDCount", "nvEncGetEncodeProfileGUIDCount",
    "nvEncGetEncodeProfileGUIDs", "nvEncGetEncodeGUIDs", "nvEncGetInputFormatCount", "nvEncGetInputFormats",
    "nvEncGetEncodeCaps", "nvEncGetEncodePresetCount", "nvEncGetEncodePresetGUIDs",
    "nvEncGetEncodePresetConfig", "nvEncInitializeEncoder", "nvEncCreateInputBuffer",
    "nvEncDestroyInputBuffer", "nvEncCreateBitstreamBuffer", "nvEncDestroyBitstreamBuffer",
    "nvEncEncodePicture", "nvEncLockBitstream", "nvEncUnlockBitstream", "nvEncLockInputBuffer",
    "nvEncUnlockInputBuffer", "nvEncGetEncodeStats", "nvEncGetSequenceParams", "nvEncRegisterAsyncEvent",
    "nvEncUnregisterAsyncEvent", "nvEncMapInputResource", "nvEncUnmapInputResource", "nvEncDestroyEncoder",
    "nvEncInvalidateRefFrames", "nvEncOpenEncodeSessionEx", "nvEncRegisterResource",
    "nvEncUnregisterResource", "nvEncReconfigureEncoder", "reserved1", "nvEncCreateMVBuffer",
    "nvEncDestroyMVBuffer", "nvEncRunMotionEstimationOnly", "nvEncGetLastErrorString",
    "nvEncSetIOCudaStreams", "nvEncGetEncodePresetConfigEx", "nvEncGetSequenceParamEx",
)  # fmt: skip


class FunctionList(ctypes.Structure):
    """NV_ENCODE_API_FUNCTION_LIST."""

    _fields_ = [
        *words("version", "reserved"), *((name, c_void_p) for name in FUNCTIONS),
        ("reserved2", c_void_p * 277),
    ]  # fmt: skip


# By their names in the header, with the number in their NV_ENC_*_VER and its bit 31; None: no version.
STRUCTS: dict[str, tuple[type[ctypes.Structure] | type[ctypes.Union], tuple[int, int] | None]] = {
    "GUID": (Guid, None),
    "NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS": (OpenSession, (1, 0)),
    "NV_ENC_CAPS_PARAM": (CapsParam, (1, 0)),
    "NV_ENC_QP": (Qp, None),
    "NV_ENC_RC_PARAMS": (RateControl, (1, 0)),
    "NV_ENC_CONFIG_H264_VUI_PARAMETERS": (Vui, None),
    "NV_ENC_CONFIG_H264": (H264Config, None),
    "NV_ENC_CONFIG_HEVC": (HevcConfig, None),
    "NV_ENC_CONFIG_AV1": (Av1Config, None),
    "NV_ENC_CODEC_CONFIG": (CodecConfig, None),
    "NV_ENC_CONFIG": (Config, (8, 1)),
    "NV_ENC_PRESET_CONFIG": (PresetConfig, (4, 1)),
    "NV_ENC_INITIALIZE_PARAMS": (InitializeParams, (5, 1)),
    "NV_ENC_RECONFIGURE_PARAMS": (ReconfigureParams, (1, 1)),
    "NVENC_EXTERNAL_ME_HINT_COUNTS_PER_BLOCKTYPE": (MotionHints, None),
    "NV_ENC_CODEC_PIC_PARAMS": (CodecPicture, None),
    "NV_ENC_PIC_PARAMS": (PictureParams, (6, 1)),
    "NV_ENC_CREATE_BITSTREAM_BUFFER": (CreateBitstream, (1, 0)),
    "NV_ENC_LOCK_BITSTREAM": (LockBitstream, (2, 0)),
    "NV_ENC_REGISTER_RESOURCE": (RegisterResource, (4, 0)),
    "NV_ENC_MAP_INPUT_RESOURCE": (MapResource, (4, 0)),
    "NV_ENCODE_API_FUNCTION_LIST": (FunctionList, (2, 0)),
}
