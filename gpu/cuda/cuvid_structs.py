"""The structures of NVIDIA's decoder library, laid out as in cuviddec.h and nvcuvid.h.

After version 11.1; 13.0 has the same sizes and places, and names some of what was reserved. Fields have the
header's names; a test holds every size and offset to the header. Knows no functions.
"""

from __future__ import annotations

from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    Union,
    c_int,
    c_longlong,
    c_short,
    c_ubyte,
    c_uint,
    c_ulong,
    c_ulonglong,
    c_ushort,
    c_void_p,
)

H264, HEVC, VP8, VP9, AV1 = 4, 8, 9, 10, 11  # cudaVideoCodec
CHROMA_420 = 1  # cudaVideoChromaFormat
NV12, P016 = 0, 1  # cudaVideoSurfaceFormat; P016 holds 10 bits in the upper bits of 16
WEAVE = 0  # cudaVideoDeinterlaceMode: both fields as they are, like libav
PREFER_CUVID = 4  # cudaVideoCreateFlags: the video engine itself
ENDOFSTREAM, TIMESTAMP, ENDOFPICTURE = 0x01, 0x02, 0x08  # CUvideopacketflags
STATUS_ERROR, STATUS_CONCEALED = 8, 9  # cuvidDecodeStatus
BT709_MATRIX = 1  # ITU-T H.273 table 4, matrix_coefficients


class ShortRect(Structure):
    """display_area and target_rect of a decoder."""

    _fields_ = [("left", c_short), ("top", c_short), ("right", c_short), ("bottom", c_short)]


class IntRect(Structure):
    """display_area of a sequence."""

    _fields_ = [("left", c_int), ("top", c_int), ("right", c_int), ("bottom", c_int)]


class DecodeCaps(Structure):
    """CUVIDDECODECAPS."""

    _fields_ = [
        ("eCodecType", c_int), ("eChromaFormat", c_int), ("nBitDepthMinus8", c_uint),
        ("reserved1", c_uint * 3),
        ("bIsSupported", c_ubyte), ("nNumNVDECs", c_ubyte), ("nOutputFormatMask", c_ushort),
        ("nMaxWidth", c_uint), ("nMaxHeight", c_uint), ("nMaxMBCount", c_uint),
        ("nMinWidth", c_ushort), ("nMinHeight", c_ushort), ("bIsHistogramSupported", c_ubyte),
        ("nCounterBitDepth", c_ubyte), ("nMaxHistogramBins", c_ushort), ("reserved3", c_uint * 10),
    ]  # fmt: skip


class CreateInfo(Structure):
    """CUVIDDECODECREATEINFO."""

    _fields_ = [
        ("ulWidth", c_ulong), ("ulHeight", c_ulong), ("ulNumDecodeSurfaces", c_ulong), ("CodecType", c_int),
        ("ChromaFormat", c_int), ("ulCreationFlags", c_ulong), ("bitDepthMinus8", c_ulong),
        ("ulIntraDecodeOnly", c_ulong), ("ulMaxWidth", c_ulong), ("ulMaxHeight", c_ulong),
        ("Reserved1", c_ulong),
        ("display_area", ShortRect), ("OutputFormat", c_int), ("DeinterlaceMode", c_int),
        ("ulTargetWidth", c_ulong), ("ulTargetHeight", c_ulong), ("ulNumOutputSurfaces", c_ulong),
        ("vidLock", c_void_p), ("target_rect", ShortRect), ("enableHistogram", c_ulong),
        ("Reserved2", c_ulong * 4),
    ]  # fmt: skip


class ReconfigureInfo(Structure):
    """CUVIDRECONFIGUREDECODERINFO."""

    _fields_ = [
        ("ulWidth", c_uint), ("ulHeight", c_uint), ("ulTargetWidth", c_uint), ("ulTargetHeight", c_uint),
        ("ulNumDecodeSurfaces", c_uint), ("reserved1", c_uint * 12), ("display_area", ShortRect),
        ("target_rect", ShortRect), ("reserved2", c_uint * 11),
    ]  # fmt: skip


class H264DpbEntry(Structure):
    """CUVIDH264DPBENTRY."""

    _fields_ = [
        ("PicIdx", c_int), ("FrameIdx", c_int), ("is_long_term", c_int), ("not_existing", c_int),
        ("used_for_reference", c_int), ("FieldOrderCnt", c_int * 2),
    ]  # fmt: skip


class H264PicParams(Structure):
    """CUVIDH264PICPARAMS up to its picture buffer; what follows is between the parser and the decoder."""

    _fields_ = [
        ("log2_max_frame_num_minus4", c_int), ("pic_order_cnt_type", c_int),
        ("log2_max_pic_order_cnt_lsb_minus4", c_int), ("delta_pic_order_always_zero_flag", c_int),
        ("frame_mbs_only_flag", c_int), ("direct_8x8_inference_flag", c_int), ("num_ref_frames", c_int),
        ("residual_colour_transform_flag", c_ubyte), ("bit_depth_luma_minus8", c_ubyte),
        ("bit_depth_chroma_minus8", c_ubyte), ("qpprime_y_zero_transform_bypass_flag", c_ubyte),
        ("entropy_coding_mode_flag", c_int), ("pic_order_present_flag", c_int),
        ("num_ref_idx_l0_active_minus1", c_int), ("num_ref_idx_l1_active_minus1", c_int),
        ("weighted_pred_flag", c_int), ("weighted_bipred_idc", c_int), ("pic_init_qp_minus26", c_int),
        ("deblocking_filter_control_present_flag", c_int), ("redundant_pic_cnt_present_flag", c_int),
        ("transform_8x8_mode_flag", c_int), ("MbaffFrameFlag", c_int), ("constrained_intra_pred_flag", c_int),
        ("chroma_qp_index_offset", c_int), ("second_chroma_qp_index_offset", c_int), ("ref_pic_flag", c_int),
        ("frame_num", c_int), ("CurrFieldOrderCnt", c_int * 2), ("dpb", H264DpbEntry * 16),
    ]  # fmt: skip


_BEFORE_REFERENCES = 224  # bytes of parameter sets that only the decoder reads


class HevcPicParams(Structure):
    """CUVIDHEVCPICPARAMS: what tells which references a picture has."""

    _fields_ = [
        ("pic_width_in_luma_samples", c_int), ("pic_height_in_luma_samples", c_int), ("_sps", c_ubyte * 22),
        ("IrapPicFlag", c_ubyte), ("IdrPicFlag", c_ubyte), ("_pps", c_ubyte * (_BEFORE_REFERENCES - 32)),
        ("NumBitsForShortTermRPSInSlice", c_int), ("NumDeltaPocsOfRefRpsIdx", c_int),
        ("NumPocTotalCurr", c_int),
        ("NumPocStCurrBefore", c_int), ("NumPocStCurrAfter", c_int), ("NumPocLtCurr", c_int),
        ("CurrPicOrderCntVal", c_int), ("RefPicIdx", c_int * 16), ("PicOrderCntVal", c_int * 16),
        ("IsLongTerm", c_ubyte * 16), ("RefPicSetStCurrBefore", c_ubyte * 8),
        ("RefPicSetStCurrAfter", c_ubyte * 8),
        ("RefPicSetLtCurr", c_ubyte * 8),
    ]  # fmt: skip


class CodecParams(Union):
    """CodecSpecific of CUVIDPICPARAMS."""

    _fields_ = [("h264", H264PicParams), ("hevc", HevcPicParams), ("CodecReserved", c_uint * 1024)]


class PicParams(Structure):
    """CUVIDPICPARAMS: a picture from the parser, handed to the decoder as it came."""

    _fields_ = [
        ("PicWidthInMbs", c_int), ("FrameHeightInMbs", c_int), ("CurrPicIdx", c_int),
        ("field_pic_flag", c_int),
        ("bottom_field_flag", c_int), ("second_field", c_int), ("nBitstreamDataLen", c_uint),
        ("pBitstreamData", c_void_p), ("nNumSlices", c_uint), ("pSliceDataOffsets", c_void_p),
        ("ref_pic_flag", c_int), ("intra_pic_flag", c_int), ("Reserved", c_uint * 30),
        ("CodecSpecific", CodecParams),
    ]  # fmt: skip


class ProcParams(Structure):
    """CUVIDPROCPARAMS: how a decoded picture is mapped."""

    _fields_ = [
        ("progressive_frame", c_int), ("second_field", c_int), ("top_field_first", c_int),
        ("unpaired_field", c_int), ("reserved_flags", c_uint), ("reserved_zero", c_uint),
        ("raw_input_dptr", c_ulonglong), ("raw_input_pitch", c_uint), ("raw_input_format", c_uint),
        ("raw_output_dptr", c_ulonglong), ("raw_output_pitch", c_uint), ("Reserved1", c_uint),
        ("output_stream", c_void_p), ("Reserved", c_uint * 46), ("histogram_dptr", c_void_p),
        ("Reserved2", c_void_p * 1),
    ]  # fmt: skip


class DecodeStatus(Structure):
    """CUVIDGETDECODESTATUS."""

    _fields_ = [("decodeStatus", c_int), ("reserved", c_uint * 31), ("pReserved", c_void_p * 8)]


class FrameRate(Structure):
    _fields_ = [("numerator", c_uint), ("denominator", c_uint)]


class AspectRatio(Structure):
    _fields_ = [("x", c_int), ("y", c_int)]


class SignalDescription(Structure):
    """video_signal_description: range and colour (ITU-T H.264 E.2.1)."""

    _fields_ = [
        ("video_format", c_ubyte, 3), ("video_full_range_flag", c_ubyte, 1),
        ("reserved_zero_bits", c_ubyte, 4),
        ("color_primaries", c_ubyte), ("transfer_characteristics", c_ubyte), ("matrix_coefficients", c_ubyte),
    ]  # fmt: skip


class VideoFormat(Structure):
    """CUVIDEOFORMAT: a sequence, as the parser found it."""

    _fields_ = [
        ("codec", c_int), ("frame_rate", FrameRate), ("progressive_sequence", c_ubyte),
        ("bit_depth_luma_minus8", c_ubyte), ("bit_depth_chroma_minus8", c_ubyte),
        ("min_num_decode_surfaces", c_ubyte), ("coded_width", c_uint), ("coded_height", c_uint),
        ("display_area", IntRect), ("chroma_format", c_int), ("bitrate", c_uint),
        ("display_aspect_ratio", AspectRatio), ("video_signal_description", SignalDescription),
        ("seqhdr_data_length", c_uint),
    ]  # fmt: skip


class Av1SequenceHeader(Structure):
    """CUVIDAV1SEQHDR."""

    _fields_ = [("max_width", c_uint), ("max_height", c_uint), ("reserved", c_ubyte * 1016)]


class VideoFormatEx(Structure):
    """CUVIDEOFORMATEX: what lies behind a CUVIDEOFORMAT whose seqhdr_data_length is not 0."""

    _fields_ = [("format", VideoFormat), ("av1", Av1SequenceHeader)]


class SourceDataPacket(Structure):
    """CUVIDSOURCEDATAPACKET."""

    _fields_ = [
        ("flags", c_ulong),
        ("payload_size", c_ulong),
        ("payload", c_void_p),
        ("timestamp", c_longlong),
    ]


class DisplayInfo(Structure):
    """CUVIDPARSERDISPINFO."""

    _fields_ = [
        ("picture_index", c_int), ("progressive_frame", c_int), ("top_field_first", c_int),
        ("repeat_first_field", c_int), ("timestamp", c_longlong),
    ]  # fmt: skip


SequenceCallback = CFUNCTYPE(c_int, c_void_p, POINTER(VideoFormat))
DecodeCallback = CFUNCTYPE(c_int, c_void_p, POINTER(PicParams))
DisplayCallback = CFUNCTYPE(c_int, c_void_p, POINTER(DisplayInfo))


class ParserParams(Structure):
    """CUVIDPARSERPARAMS."""

    _fields_ = [
        ("CodecType", c_int), ("ulMaxNumDecodeSurfaces", c_uint), ("ulClockRate", c_uint),
        ("ulErrorThreshold", c_uint), ("ulMaxDisplayDelay", c_uint), ("bAnnexb", c_uint, 1),
        ("uReserved", c_uint, 31), ("uReserved1", c_uint * 4), ("pUserData", c_void_p),
        ("pfnSequenceCallback", SequenceCallback), ("pfnDecodePicture", DecodeCallback),
        ("pfnDisplayPicture", DisplayCallback), ("pfnGetOperatingPoint", c_void_p),
        ("pvReserved2", c_void_p * 6), ("pExtVideoInfo", POINTER(VideoFormatEx)),
    ]  # fmt: skip
