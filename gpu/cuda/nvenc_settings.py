"""How a live stream is encoded by NVENC: a preset, with all in it that adds delay or keyframes changed.

Preset P4 of P1 (fastest) to P7 (best), with tuning for ultra low latency: one NVENC does hundreds of pictures
a second with it while the edit model makes some tens, so that quality at the same bitrate is worth more than
tenths of a millisecond. Not yet measured on hardware.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import Any

from gpu.codec.base import EncoderConfig
from gpu.cuda import nvenc_constants as nv
from gpu.cuda.nvenc_api import new
from gpu.cuda.nvenc_config import Config, Guid, Vui
from gpu.cuda.nvenc_structs import InitializeParams
from gpu.types import Codec

CODECS: dict[Codec, str] = {
    "h264": nv.NV_ENC_CODEC_H264_GUID,
    "hevc": nv.NV_ENC_CODEC_HEVC_GUID,
    "av1": nv.NV_ENC_CODEC_AV1_GUID,
}
PROFILES: dict[Codec, dict[str, str]] = {
    "h264": {
        "baseline": nv.NV_ENC_H264_PROFILE_BASELINE_GUID,
        "main": nv.NV_ENC_H264_PROFILE_MAIN_GUID,
        "high": nv.NV_ENC_H264_PROFILE_HIGH_GUID,
    },
    "hevc": {"main": nv.NV_ENC_HEVC_PROFILE_MAIN_GUID, "main10": nv.NV_ENC_HEVC_PROFILE_MAIN10_GUID},
    "av1": {"main": nv.NV_ENC_AV1_PROFILE_MAIN_GUID},
}

# A keyframe may be four times a mean picture, as with libvpx: the VBV holds one picture, and this scales it.
_KEYFRAME_SCALE = 4
_ONE_SLICE = 3  # sliceMode: so many slices a picture


@dataclass(frozen=True, slots=True)
class Shape:
    """What a session is opened for and cannot change."""

    width: int
    height: int
    full_range: bool
    bt709: bool


@dataclass(frozen=True, slots=True)
class Rate:
    """What the rate control is to keep."""

    bps: int
    fps: float


def initialize_params(
    config: EncoderConfig, shape: Shape, preset: Config, rate: Rate, refresh_frames: int = 0
) -> InitializeParams:
    """Parameters for a session, of which `preset` becomes a part. `refresh_frames`: 0, or the period of a
    wave of intra blocks that repairs losses without keyframes."""
    preset.version = new(Config).version
    profiles = PROFILES[config.codec]
    preset.profileGUID = Guid.of(profiles[config.profile if config.codec == "h264" else "main"])
    preset.gopLength = nv.NVENC_INFINITE_GOPLENGTH
    preset.frameIntervalP = 1  # no B-frames
    preset.frameFieldMode = nv.NV_ENC_PARAMS_FRAME_FIELD_MODE_FRAME
    control = preset.rcParams
    control.rateControlMode = nv.NV_ENC_PARAMS_RC_CBR
    control.enableLookahead, control.lookaheadDepth = 0, 0
    control.zeroReorderDelay = 1
    control.lowDelayKeyFrameScale = _KEYFRAME_SCALE
    {"h264": _h264, "hevc": _hevc, "av1": _av1}[config.codec](config, shape, preset, refresh_frames)
    params = new(InitializeParams)
    params.encodeGUID, params.presetGUID = Guid.of(CODECS[config.codec]), Guid.of(nv.NV_ENC_PRESET_P4_GUID)
    params.encodeWidth = params.darWidth = params.maxEncodeWidth = shape.width
    params.encodeHeight = params.darHeight = params.maxEncodeHeight = shape.height
    params.enablePTD = 1  # NVENC decides the pictures' types
    params.tuningInfo = nv.NV_ENC_TUNING_INFO_ULTRA_LOW_LATENCY
    params.encodeConfig = ctypes.pointer(preset)
    set_rate(params, rate)
    return params


def set_rate(params: InitializeParams, rate: Rate) -> None:
    """Aim at another rate: mean and most alike, and a VBV of one picture."""
    control = params.encodeConfig.contents.rcParams
    control.averageBitRate = control.maxBitRate = rate.bps
    control.vbvBufferSize = control.vbvInitialDelay = max(1, int(rate.bps / rate.fps))
    params.frameRateNum, params.frameRateDen = round(rate.fps * 1000), 1000


def _h264(config: EncoderConfig, shape: Shape, preset: Config, refresh_frames: int) -> None:
    h264 = preset.encodeCodecConfig.h264Config
    baseline, high = config.profile == "baseline", config.profile == "high"
    h264.entropyCodingMode = (
        nv.NV_ENC_H264_ENTROPY_CODING_MODE_CAVLC if baseline else nv.NV_ENC_H264_ENTROPY_CODING_MODE_CABAC
    )
    h264.adaptiveTransformMode = (
        nv.NV_ENC_H264_ADAPTIVE_TRANSFORM_ENABLE if high else nv.NV_ENC_H264_ADAPTIVE_TRANSFORM_DISABLE
    )
    h264.chromaFormatIDC = 1
    h264.sliceMode, h264.sliceModeData = _ONE_SLICE, 1
    _parameter_sets(h264, h264.h264VUIParameters, shape, refresh_frames)


def _hevc(config: EncoderConfig, shape: Shape, preset: Config, refresh_frames: int) -> None:
    hevc = preset.encodeCodecConfig.hevcConfig
    hevc.chromaFormatIDC, hevc.pixelBitDepthMinus8 = 1, 0
    hevc.sliceMode, hevc.sliceModeData = _ONE_SLICE, 1
    _parameter_sets(hevc, hevc.hevcVUIParameters, shape, refresh_frames)


def _parameter_sets(codec: Any, vui: Vui, shape: Shape, refresh_frames: int) -> None:
    """What H.264 and HEVC have in common."""
    codec.idrPeriod = nv.NVENC_INFINITE_GOPLENGTH
    codec.disableSPSPPS, codec.repeatSPSPPS, codec.outputAUD = 0, 1, 0
    if refresh_frames:
        codec.outputRecoveryPointSEI = 1
        _refresh(codec, refresh_frames)
    vui.videoSignalTypePresentFlag, vui.videoFormat = 1, nv.NV_ENC_VUI_VIDEO_FORMAT_UNSPECIFIED
    vui.videoFullRangeFlag = int(shape.full_range)
    vui.colourDescriptionPresentFlag = 1
    vui.colourPrimaries = vui.transferCharacteristics = vui.colourMatrix = _colour(shape)
    vui.bitstreamRestrictionFlag = 1  # says: nothing is reordered, so that decoders hold nothing back


def _av1(config: EncoderConfig, shape: Shape, preset: Config, refresh_frames: int) -> None:
    av1 = preset.encodeCodecConfig.av1Config
    av1.idrPeriod = nv.NVENC_INFINITE_GOPLENGTH
    av1.disableSeqHdr, av1.repeatSeqHdr, av1.outputAnnexBFormat = 0, 1, 0
    av1.chromaFormatIDC, av1.pixelBitDepthMinus8, av1.inputPixelBitDepthMinus8 = 1, 0, 0
    av1.colorPrimaries = av1.transferCharacteristics = av1.matrixCoefficients = _colour(shape)
    av1.colorRange = int(shape.full_range)
    if refresh_frames:
        _refresh(av1, refresh_frames)


def _refresh(codec: Any, frames: int) -> None:
    """A wave as slow as its period allows costs the rate least."""
    codec.enableIntraRefresh, codec.intraRefreshPeriod, codec.intraRefreshCnt = 1, frames, max(1, frames - 1)


def _colour(shape: Shape) -> int:
    """Primaries, transfer and matrix have one number in ITU-T H.273: BT.709, or BT.601 of 525 lines."""
    return nv.NV_ENC_VUI_MATRIX_COEFFS_BT709 if shape.bt709 else nv.NV_ENC_VUI_MATRIX_COEFFS_SMPTE170M
