// The interface of libnvcuvid that the fake is built on, as far as relens uses it. A test holds sizes and offsets to
// gpu/cuda/cuvid_structs.py, which another holds to NVIDIA's headers.
#pragma once
#include <stddef.h>

enum { cudaVideoCodec_H264 = 4, cudaVideoCodec_HEVC = 8, cudaVideoCodec_VP8, cudaVideoCodec_VP9, cudaVideoCodec_AV1 };
enum { cudaVideoChromaFormat_420 = 1 };
enum { cudaVideoSurfaceFormat_NV12, cudaVideoSurfaceFormat_P016 };
enum { cudaVideoDeinterlaceMode_Weave };
enum { cudaVideoCreate_PreferCUVID = 4 };
enum { CUVID_PKT_ENDOFSTREAM = 1, CUVID_PKT_TIMESTAMP = 2, CUVID_PKT_ENDOFPICTURE = 8 };
enum { cuvidDecodeStatus_Success = 2, cuvidDecodeStatus_Error = 8, cuvidDecodeStatus_Error_Concealed };

typedef struct {
    short left, top, right, bottom;
} ShortRect;
typedef struct {
    int left, top, right, bottom;
} IntRect;

typedef struct {
    int eCodecType, eChromaFormat;
    unsigned nBitDepthMinus8, reserved1[3];
    unsigned char bIsSupported, nNumNVDECs;
    unsigned short nOutputFormatMask;
    unsigned nMaxWidth, nMaxHeight, nMaxMBCount;
    unsigned short nMinWidth, nMinHeight;
    unsigned char bIsHistogramSupported, nCounterBitDepth;
    unsigned short nMaxHistogramBins;
    unsigned reserved3[10];
} CUVIDDECODECAPS;

typedef struct {
    unsigned long ulWidth, ulHeight, ulNumDecodeSurfaces;
    int CodecType, ChromaFormat;
    unsigned long ulCreationFlags, bitDepthMinus8, ulIntraDecodeOnly, ulMaxWidth, ulMaxHeight, Reserved1;
    ShortRect display_area;
    int OutputFormat, DeinterlaceMode;
    unsigned long ulTargetWidth, ulTargetHeight, ulNumOutputSurfaces;
    void *vidLock;
    ShortRect target_rect;
    unsigned long enableHistogram, Reserved2[4];
} CUVIDDECODECREATEINFO;

typedef struct {
    unsigned ulWidth, ulHeight, ulTargetWidth, ulTargetHeight, ulNumDecodeSurfaces, reserved1[12];
    ShortRect display_area, target_rect;
    unsigned reserved2[11];
} CUVIDRECONFIGUREDECODERINFO;

typedef struct {
    int PicIdx, FrameIdx, is_long_term, not_existing, used_for_reference, FieldOrderCnt[2];
} CUVIDH264DPBENTRY;

typedef struct {
    int log2_max_frame_num_minus4, pic_order_cnt_type, log2_max_pic_order_cnt_lsb_minus4;
    int delta_pic_order_always_zero_flag, frame_mbs_only_flag, direct_8x8_inference_flag, num_ref_frames;
    unsigned char residual_colour_transform_flag, bit_depth_luma_minus8, bit_depth_chroma_minus8;
    unsigned char qpprime_y_zero_transform_bypass_flag;
    int entropy_coding_mode_flag, pic_order_present_flag, num_ref_idx_l0_active_minus1, num_ref_idx_l1_active_minus1;
    int weighted_pred_flag, weighted_bipred_idc, pic_init_qp_minus26, deblocking_filter_control_present_flag;
    int redundant_pic_cnt_present_flag, transform_8x8_mode_flag, MbaffFrameFlag, constrained_intra_pred_flag;
    int chroma_qp_index_offset, second_chroma_qp_index_offset, ref_pic_flag, frame_num, CurrFieldOrderCnt[2];
    CUVIDH264DPBENTRY dpb[16];
} CUVIDH264PICPARAMS;

typedef struct {
    int pic_width_in_luma_samples, pic_height_in_luma_samples;
    unsigned char sps[22], IrapPicFlag, IdrPicFlag, pps[192];
    int NumBitsForShortTermRPSInSlice, NumDeltaPocsOfRefRpsIdx, NumPocTotalCurr, NumPocStCurrBefore, NumPocStCurrAfter;
    int NumPocLtCurr, CurrPicOrderCntVal, RefPicIdx[16], PicOrderCntVal[16];
    unsigned char IsLongTerm[16], RefPicSetStCurrBefore[8], RefPicSetStCurrAfter[8], RefPicSetLtCurr[8];
} CUVIDHEVCPICPARAMS;

typedef struct {
    int PicWidthInMbs, FrameHeightInMbs, CurrPicIdx, field_pic_flag, bottom_field_flag, second_field;
    unsigned nBitstreamDataLen;
    const unsigned char *pBitstreamData;
    unsigned nNumSlices;
    const unsigned *pSliceDataOffsets;
    int ref_pic_flag, intra_pic_flag;
    unsigned Reserved[30];
    union {
        CUVIDH264PICPARAMS h264;
        CUVIDHEVCPICPARAMS hevc;
        unsigned CodecReserved[1024];
    } CodecSpecific;
} CUVIDPICPARAMS;

typedef struct {
    int progressive_frame, second_field, top_field_first, unpaired_field;
    unsigned reserved_flags, reserved_zero;
    unsigned long long raw_input_dptr;
    unsigned raw_input_pitch, raw_input_format;
    unsigned long long raw_output_dptr;
    unsigned raw_output_pitch, Reserved1;
    void *output_stream;
    unsigned Reserved[46];
    unsigned long long *histogram_dptr;
    void *Reserved2[1];
} CUVIDPROCPARAMS;

typedef struct {
    int decodeStatus;
    unsigned reserved[31];
    void *pReserved[8];
} CUVIDGETDECODESTATUS;

typedef struct {
    int codec;
    struct {
        unsigned numerator, denominator;
    } frame_rate;
    unsigned char progressive_sequence, bit_depth_luma_minus8, bit_depth_chroma_minus8, min_num_decode_surfaces;
    unsigned coded_width, coded_height;
    IntRect display_area;
    int chroma_format;
    unsigned bitrate;
    struct {
        int x, y;
    } display_aspect_ratio;
    struct {
        unsigned char video_format : 3, video_full_range_flag : 1, reserved_zero_bits : 4;
        unsigned char color_primaries, transfer_characteristics, matrix_coefficients;
    } video_signal_description;
    unsigned seqhdr_data_length;
} CUVIDEOFORMAT;

typedef struct {
    unsigned max_width, max_height;
    unsigned char reserved[1016];
} CUVIDAV1SEQHDR;
typedef struct {
    CUVIDEOFORMAT format;
    CUVIDAV1SEQHDR av1;
} CUVIDEOFORMATEX;

typedef struct {
    unsigned long flags, payload_size;
    const unsigned char *payload;
    long long timestamp;
} CUVIDSOURCEDATAPACKET;

typedef struct {
    int picture_index, progressive_frame, top_field_first, repeat_first_field;
    long long timestamp;
} CUVIDPARSERDISPINFO;

typedef struct {
    int CodecType;
    unsigned ulMaxNumDecodeSurfaces, ulClockRate, ulErrorThreshold, ulMaxDisplayDelay, bAnnexb : 1, uReserved : 31;
    unsigned uReserved1[4];
    void *pUserData;
    int (*pfnSequenceCallback)(void *, CUVIDEOFORMAT *);
    int (*pfnDecodePicture)(void *, CUVIDPICPARAMS *);
    int (*pfnDisplayPicture)(void *, CUVIDPARSERDISPINFO *);
    int (*pfnGetOperatingPoint)(void *, void *);
    void *pvReserved2[6];
    CUVIDEOFORMATEX *pExtVideoInfo;
} CUVIDPARSERPARAMS;
