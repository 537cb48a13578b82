// The parser of the fake libnvcuvid; a part of nvcuvid.c.
#pragma once
#include "cuvid_world.h"

typedef struct {
    int index, order;
    long long timestamp;
} Waiting;
typedef struct {
    CUVIDPARSERPARAMS params;
    CUVIDEOFORMATEX format;
    ipcm_format sps;
    int known, surfaces, reference, hidden, waiting, inside;
    Waiting queue[40];
} Parser;

static __thread int in_sequence; // reconfiguring is allowed there only

static int holds_back(const Parser *parser) {
    int reorders = parser->params.CodecType == cudaVideoCodec_H264 || parser->params.CodecType == cudaVideoCodec_HEVC;
    int most = atoi(setting("FAKE_NVDEC_DELAY", "0"));
    return !reorders ? 0 : most > 16 ? 16 : most;
}
static CUresult display(Parser *parser, Waiting picture) {
    CUVIDPARSERDISPINFO info = {.picture_index = picture.index, .progressive_frame = 1, .timestamp = picture.timestamp};
    int (*call)(void *, CUVIDPARSERDISPINFO *) = parser->params.pfnDisplayPicture;
    return call && call(parser->params.pUserData, &info) < 1 ? REFUSED_BY_CALLBACK : OK;
}
static CUresult display_down_to(Parser *parser, int most) {
    while (parser->waiting > most) {
        int first = 0;
        for (int i = 1; i < parser->waiting; i++)
            if (parser->queue[i].order < parser->queue[first].order) first = i;
        Waiting picture = parser->queue[first];
        parser->queue[first] = parser->queue[--parser->waiting];
        TRY(display(parser, picture));
    }
    return OK;
}
static CUresult begin_sequence(Parser *parser, CUVIDEOFORMATEX *format) {
    format->format.min_num_decode_surfaces = 3 + holds_back(parser);
    if (parser->known && !memcmp(&parser->format, format, sizeof *format)) return OK;
    TRY(display_down_to(parser, 0));
    parser->format = *format;
    parser->known = 1;
    in_sequence++;
    int answer = parser->params.pfnSequenceCallback(parser->params.pUserData, &parser->format.format);
    in_sequence--;
    if (answer < 1) {
        parser->known = 0;
        return REFUSED_BY_CALLBACK;
    }
    parser->surfaces = answer > 1 ? answer : (int)parser->params.ulMaxNumDecodeSurfaces;
    parser->reference = parser->hidden = -1;
    return OK;
}
static int free_surface(const Parser *parser) {
    for (int index = 0; index < parser->surfaces; index++) {
        int used = index == parser->reference || index == parser->hidden;
        for (int i = 0; i < parser->waiting; i++) used |= parser->queue[i].index == index;
        if (!used) return index;
    }
    return -1;
}
static CUresult decode(Parser *parser, CUVIDPICPARAMS *picture, int order, int shown, long long timestamp) {
    const CUVIDEOFORMAT *format = &parser->format.format;
    if (picture->second_field) picture->CurrPicIdx = parser->reference;
    else picture->CurrPicIdx = free_surface(parser);
    if (picture->CurrPicIdx < 0) return violation("the parser has too few surfaces", INVALID_VALUE);
    picture->PicWidthInMbs = (int)(format->coded_width + 15) / 16;
    picture->FrameHeightInMbs = (int)(format->coded_height + 15) / 16;
    if (parser->params.pfnDecodePicture(parser->params.pUserData, picture) < 1) return REFUSED_BY_CALLBACK;
    parser->reference = picture->CurrPicIdx;
    if (picture->field_pic_flag && !picture->second_field) return OK;
    if (!shown) {
        parser->hidden = picture->CurrPicIdx;
        return OK;
    }
    parser->queue[parser->waiting++] = (Waiting){picture->CurrPicIdx, order, timestamp};
    return display_down_to(parser, holds_back(parser));
}

static CUresult parse_h264(Parser *parser, const CUVIDSOURCEDATAPACKET *packet) {
    size_t offset = 0;
    ipcm_nal nal;
    while (ipcm_next_nal(packet->payload, packet->payload_size, &offset, &nal)) {
        ipcm_slice slice;
        if (nal.type == IPCM_SPS) {
            ipcm_format sps;
            if (ipcm_read_sps(&nal, &sps) == 0) parser->sps = sps;
            continue;
        }
        if ((nal.type != IPCM_IDR && nal.type != IPCM_SLICE) || !parser->sps.width) continue;
        if (ipcm_read_slice(&nal, &parser->sps, &slice, NULL, 0, NULL, 0)) continue;
        const ipcm_format *sps = &parser->sps;
        CUVIDEOFORMATEX format = {.format = {
            .codec = cudaVideoCodec_H264, .progressive_sequence = 1, .coded_width = (unsigned)(sps->width + 15) / 16 * 16,
            .coded_height = (unsigned)(sps->height + 15) / 16 * 16, .display_area = {0, 0, sps->width, sps->height},
            .chroma_format = 1,
            .video_signal_description = {5, sps->full_range != 0, 0, (unsigned char)sps->primaries,
                                         (unsigned char)sps->transfer, (unsigned char)sps->matrix}}};
        if (slice.is_idr) TRY(display_down_to(parser, 0));
        TRY(begin_sequence(parser, &format));
        const unsigned start = 0;
        size_t code = 3; // with its start code
        CUVIDPICPARAMS picture = {.nBitstreamDataLen = (unsigned)(nal.bytes + code), .pBitstreamData = nal.data - code,
                                  .nNumSlices = 1, .pSliceDataOffsets = &start, .intra_pic_flag = 1,
                                  .ref_pic_flag = (nal.data[0] >> 5 & 3) != 0};
        picture.CodecSpecific.h264.log2_max_frame_num_minus4 = IPCM_FRAME_NUM_BITS - 4;
        picture.CodecSpecific.h264.frame_num = (int)slice.frame_num;
        picture.CodecSpecific.CodecReserved[SHOWN_WIDTH] = (unsigned)sps->width;
        picture.CodecSpecific.CodecReserved[SHOWN_HEIGHT] = (unsigned)sps->height;
        TRY(decode(parser, &picture, (int)(packet->timestamp / 100), 1, packet->timestamp));
    }
    return OK;
}

static CUresult parse_tiny(Parser *parser, const CUVIDSOURCEDATAPACKET *packet) {
    for (size_t at = 0; at + sizeof(Tiny) <= packet->payload_size;) {
        const Tiny *head = (const Tiny *)(packet->payload + at);
        size_t whole = sizeof *head + head->bytes;
        if (memcmp(head->magic, "TV", 2) || head->codec != parser->params.CodecType || at + whole > packet->payload_size)
            return OK; // nothing that it knows
        at += whole;
        if (head->kind == SHOW_EXISTING) {
            if (parser->hidden >= 0) TRY(display(parser, (Waiting){parser->hidden, 0, packet->timestamp}));
            continue;
        }
        CUVIDEOFORMATEX format = {.format = {
            .codec = head->codec, .progressive_sequence = !head->field, .coded_width = head->coded_width,
            .coded_height = head->coded_height,
            .display_area = {head->left, head->top, head->left + head->width, head->top + head->height},
            .chroma_format = head->chroma, .bit_depth_luma_minus8 = head->bits - 8,
            .bit_depth_chroma_minus8 = head->bits - 8,
            .video_signal_description = {5, head->full_range, 0, head->matrix, head->matrix, head->matrix}}};
        if (head->codec == cudaVideoCodec_AV1) {
            format.format.seqhdr_data_length = sizeof format.av1;
            format.av1.max_width = head->coded_width * 2;
            format.av1.max_height = head->coded_height * 2;
        }
        if (head->kind == KEY) TRY(display_down_to(parser, 0));
        else if (!parser->known) return OK;
        if (head->field != 2) TRY(begin_sequence(parser, &format));
        const unsigned start = 0;
        CUVIDPICPARAMS picture = {.nBitstreamDataLen = (unsigned)whole, .pBitstreamData = (const unsigned char *)head,
                                  .nNumSlices = 1, .pSliceDataOffsets = &start, .ref_pic_flag = 1,
                                  .intra_pic_flag = head->kind == KEY, .field_pic_flag = head->field != 0,
                                  .bottom_field_flag = head->field == 2, .second_field = head->field == 2};
        if (head->codec == cudaVideoCodec_HEVC) {
            CUVIDHEVCPICPARAMS *hevc = &picture.CodecSpecific.hevc;
            for (int i = 0; i < 16; i++) hevc->RefPicIdx[i] = -1;
            hevc->IrapPicFlag = head->kind == KEY;
            if (head->kind != KEY) {
                hevc->RefPicIdx[0] = parser->reference;
                hevc->NumPocStCurrBefore = 1 + head->missing;
                for (int i = 0; i < hevc->NumPocStCurrBefore && i < 8; i++)
                    hevc->RefPicSetStCurrBefore[i] = (unsigned char)i;
            }
        }
        TRY(decode(parser, &picture, head->order, head->shown, packet->timestamp));
    }
    return OK;
}

API CUresult cuvidCreateVideoParser(void **handle, CUVIDPARSERPARAMS *params) {
    record("cuvidCreateVideoParser %s delay %u clock %u surfaces %u", codec_name(params->CodecType),
           params->ulMaxDisplayDelay, params->ulClockRate, params->ulMaxNumDecodeSurfaces);
    TRY(injected(__func__));
    if (!params->pfnSequenceCallback || !params->pfnDecodePicture || !params->ulMaxNumDecodeSurfaces) return INVALID_VALUE;
    Parser *parser = calloc(1, sizeof *parser);
    parser->params = *params;
    parser->reference = parser->hidden = -1;
    world.parsers++;
    *handle = parser;
    return OK;
}
API CUresult cuvidParseVideoData(void *handle, CUVIDSOURCEDATAPACKET *packet) {
    record("cuvidParseVideoData %lu flags %#lx pts %lld", packet->payload_size, packet->flags, packet->timestamp);
    TRY(injected(__func__));
    Parser *parser = handle;
    if (parser->inside) return violation("a parser is used twice at a time", INVALID_VALUE);
    if (packet->flags != (CUVID_PKT_ENDOFPICTURE | CUVID_PKT_TIMESTAMP))
        return violation("a unit that may wait for the next", INVALID_VALUE);
    if (!packet->payload_size) return violation("a unit without data", INVALID_VALUE);
    parser->inside = 1;
    int h264 = parser->params.CodecType == cudaVideoCodec_H264;
    CUresult result = h264 ? parse_h264(parser, packet) : parse_tiny(parser, packet);
    parser->inside = 0;
    return result;
}
API CUresult cuvidDestroyVideoParser(void *handle) {
    record("cuvidDestroyVideoParser");
    Parser *parser = handle;
    if (parser->inside) return violation("a parser is destroyed from its own callback", INVALID_VALUE);
    free(parser);
    world.parsers--;
    return OK;
}
