"""The part of the NVENC API 12.0 that says how to encode: NV_ENC_CONFIG and what it is made of.

Field by field after nvEncodeAPI.h, so that the C compiler's layout results. What relens does not fill is
there for its place and stays zero, as the API asks. Sizes and offsets are held to a table made from the
header (tests/gpu/cuda/nvenc_layout.json).
"""

from __future__ import annotations

import ctypes
from ctypes import c_int8, c_int32, c_uint8, c_uint16, c_uint32, c_void_p
from typing import Any

Fields = list[tuple[Any, ...]]  # as ctypes takes them


def words(*names: str) -> Fields:
    """Numbers and enumerations of 32 bits."""
    return [(name, c_uint32) for name in names]


def bits(*parts: tuple[str, int]) -> Fields:
    """Parts of one word, from the lowest bit up."""
    return [(name, c_uint32, width) for name, width in parts]


def flags(names: str, rest: str, taken: int = 0) -> Fields:
    """One-bit parts, and the rest of their word."""
    each = names.split()
    return bits(*((name, 1) for name in each), (rest, 32 - len(each) - taken))


class Guid(ctypes.Structure):
    """GUID."""

    _fields_ = [("Data1", c_uint32), ("Data2", c_uint16), ("Data3", c_uint16), ("Data4", c_uint8 * 8)]

    @classmethod
    def of(cls, text: str) -> Guid:
        """From "6BC82762-4E63-4CA4-AA85-1E50F321F6BF"."""
        a, b, c, d, e = text.split("-")
        return cls(int(a, 16), int(b, 16), int(c, 16), (c_uint8 * 8)(*bytes.fromhex(d + e)))

    def __str__(self) -> str:
        tail = bytes(self.Data4).hex().upper()
        return f"{self.Data1:08X}-{self.Data2:04X}-{self.Data3:04X}-{tail[:4]}-{tail[4:]}"


class Qp(ctypes.Structure):
    """NV_ENC_QP."""

    _fields_ = words("qpInterP", "qpInterB", "qpIntra")


class RateControl(ctypes.Structure):
    """NV_ENC_RC_PARAMS. Rates in bit/s, buffers in bits."""

    _fields_ = [
        *words("version", "rateControlMode"), ("constQP", Qp),
        *words("averageBitRate", "maxBitRate", "vbvBufferSize", "vbvInitialDelay"),
        *bits(
            ("enableMinQP", 1), ("enableMaxQP", 1), ("enableInitialRCQP", 1), ("enableAQ", 1),
            ("reservedBitField1", 1), ("enableLookahead", 1), ("disableIadapt", 1), ("disableBadapt", 1),
            ("enableTemporalAQ", 1), ("zeroReorderDelay", 1), ("enableNonRefP", 1), ("strictGOPTarget", 1),
            ("aqStrength", 4), ("reservedBitFields", 16),
        ),
        ("minQP", Qp), ("maxQP", Qp), ("initialRCQP", Qp), *words("temporallayerIdxMask"),
        ("temporalLayerQP", c_uint8 * 8), ("targetQuality", c_uint8), ("targetQualityLSB", c_uint8),
        ("lookaheadDepth", c_uint16), ("lowDelayKeyFrameScale", c_uint8), ("yDcQPIndexOffset", c_int8),
        ("uDcQPIndexOffset", c_int8), ("vDcQPIndexOffset", c_int8),
        *words("qpMapMode", "multiPass", "alphaLayerBitrateRatio"),
        ("cbQPIndexOffset", c_int8), ("crQPIndexOffset", c_int8), ("reserved2", c_uint16),
        ("reserved", c_uint32 * 4),
    ]  # fmt: skip


class Vui(ctypes.Structure):
    """NV_ENC_CONFIG_H264_VUI_PARAMETERS, and HEVC's, which is the same."""

    _fields_ = [
        *words(
            "overscanInfoPresentFlag", "overscanInfo", "videoSignalTypePresentFlag", "videoFormat",
            "videoFullRangeFlag", "colourDescriptionPresentFlag", "colourPrimaries",
            "transferCharacteristics", "colourMatrix", "chromaSampleLocationFlag", "chromaSampleLocationTop",
            "chromaSampleLocationBot", "bitstreamRestrictionFlag", "timingInfoPresentFlag", "numUnitInTicks",
            "timeScale",
        ),
        ("reserved", c_uint32 * 12),
    ]  # fmt: skip


class H264Config(ctypes.Structure):
    """NV_ENC_CONFIG_H264."""

    _fields_ = [
        *flags(
            "enableTemporalSVC enableStereoMVC hierarchicalPFrames hierarchicalBFrames "
            "outputBufferingPeriodSEI outputPictureTimingSEI outputAUD disableSPSPPS outputFramePackingSEI "
            "outputRecoveryPointSEI enableIntraRefresh enableConstrainedEncoding repeatSPSPPS enableVFR "
            "enableLTR qpPrimeYZeroTransformBypassFlag useConstrainedIntraPred enableFillerDataInsertion "
            "disableSVCPrefixNalu enableScalabilityInfoSEI singleSliceIntraRefresh enableTimeCode",
            "reservedBitFields",
        ),
        *words(
            "level", "idrPeriod", "separateColourPlaneFlag", "disableDeblockingFilterIDC",
            "numTemporalLayers", "spsId", "ppsId", "adaptiveTransformMode", "fmoMode", "bdirectMode",
            "entropyCodingMode", "stereoMode", "intraRefreshPeriod", "intraRefreshCnt", "maxNumRefFrames",
            "sliceMode", "sliceModeData",
        ),
        ("h264VUIParameters", Vui),
        *words(
            "ltrNumFrames", "ltrTrustMode", "chromaFormatIDC", "maxTemporalLayers", "useBFramesAsRef",
            "numRefL0", "numRefL1",
        ),
        ("reserved1", c_uint32 * 267), ("reserved2", c_void_p * 64),
    ]  # fmt: skip


class HevcConfig(ctypes.Structure):
    """NV_ENC_CONFIG_HEVC."""

    _fields_ = [
        *words("level", "tier", "minCUSize", "maxCUSize"),
        *bits(
            ("useConstrainedIntraPred", 1), ("disableDeblockAcrossSliceBoundary", 1),
            ("outputBufferingPeriodSEI", 1), ("outputPictureTimingSEI", 1), ("outputAUD", 1),
            ("enableLTR", 1), ("disableSPSPPS", 1), ("repeatSPSPPS", 1), ("enableIntraRefresh", 1),
            ("chromaFormatIDC", 2), ("pixelBitDepthMinus8", 3), ("enableFillerDataInsertion", 1),
            ("enableConstrainedEncoding", 1), ("enableAlphaLayerEncoding", 1),
            ("singleSliceIntraRefresh", 1), ("outputRecoveryPointSEI", 1),
            ("outputTimeCodeSEI", 1), ("reserved", 12),
        ),
        *words(
            "idrPeriod", "intraRefreshPeriod", "intraRefreshCnt", "maxNumRefFramesInDPB", "ltrNumFrames",
            "vpsId", "spsId", "ppsId", "sliceMode", "sliceModeData", "maxTemporalLayersMinus1",
        ),
        ("hevcVUIParameters", Vui), *words("ltrTrustMode", "useBFramesAsRef", "numRefL0", "numRefL1"),
        ("reserved1", c_uint32 * 214), ("reserved2", c_void_p * 64),
    ]  # fmt: skip


class Av1Config(ctypes.Structure):
    """NV_ENC_CONFIG_AV1."""

    _fields_ = [
        *words("level", "tier", "minPartSize", "maxPartSize"),
        *bits(
            ("outputAnnexBFormat", 1), ("enableTimingInfo", 1), ("enableDecoderModelInfo", 1),
            ("enableFrameIdNumbers", 1), ("disableSeqHdr", 1), ("repeatSeqHdr", 1), ("enableIntraRefresh", 1),
            ("chromaFormatIDC", 2), ("enableBitstreamPadding", 1), ("enableCustomTileConfig", 1),
            ("enableFilmGrainParams", 1), ("inputPixelBitDepthMinus8", 3), ("pixelBitDepthMinus8", 3),
            ("reserved", 14),
        ),
        *words(
            "idrPeriod", "intraRefreshPeriod", "intraRefreshCnt", "maxNumRefFramesInDPB", "numTileColumns",
            "numTileRows",
        ),
        ("tileWidths", c_void_p), ("tileHeights", c_void_p),
        *words(
            "maxTemporalLayersMinus1", "colorPrimaries", "transferCharacteristics", "matrixCoefficients",
            "colorRange", "chromaSamplePosition", "useBFramesAsRef",
        ),
        ("filmGrainParams", c_void_p), *words("numFwdRefs", "numBwdRefs"),
        ("reserved1", c_uint32 * 235), ("reserved2", c_void_p * 62),
    ]  # fmt: skip


class CodecConfig(ctypes.Union):
    """NV_ENC_CODEC_CONFIG; the members for motion estimation alone, which are smaller, are left out."""

    _fields_ = [
        ("h264Config", H264Config), ("hevcConfig", HevcConfig), ("av1Config", Av1Config),
        ("reserved", c_uint32 * 320),
    ]  # fmt: skip


class Config(ctypes.Structure):
    """NV_ENC_CONFIG."""

    _fields_ = [
        *words("version"), ("profileGUID", Guid), *words("gopLength"), ("frameIntervalP", c_int32),
        *words("monoChromeEncoding", "frameFieldMode", "mvPrecision"), ("rcParams", RateControl),
        ("encodeCodecConfig", CodecConfig), ("reserved", c_uint32 * 278), ("reserved2", c_void_p * 64),
    ]  # fmt: skip


class PresetConfig(ctypes.Structure):
    """NV_ENC_PRESET_CONFIG."""

    _fields_ = [
        *words("version"), ("presetCfg", Config),
        ("reserved1", c_uint32 * 255), ("reserved2", c_void_p * 64),
    ]  # fmt: skip
