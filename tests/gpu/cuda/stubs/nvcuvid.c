// A stand-in for the NVIDIA driver's libnvcuvid.so.1, for tests: it decodes H.264 of I_PCM macroblocks (ipcm.h) and, for
// the other codecs, a container of its own (cuvid_world.h), into the fake libcuda's memory, on its streams. Stricter
// than the real one where that finds mistakes.
#include "cuvid_parser.h"

#define MOST_SURFACES 64
#define MOST_OUTPUTS 8
#define STAGES 64 // post-processed pictures whose copy a stream may not have done yet

typedef struct Decoder {
    struct Decoder *next;
    CUVIDDECODECREATEINFO info;
    unsigned long long surfaces[MOST_SURFACES], outputs[MOST_OUTPUTS];
    int status[MOST_SURFACES], mapped[MOST_OUTPUTS]; // status 0: nothing decoded
    unsigned char *stages[STAGES];
    unsigned pitch, stage;
} Decoder;
static Decoder *alive;

#define ENTER(...)                                            \
    do {                                                      \
        record(__VA_ARGS__);                                  \
        TRY(injected(__func__));                              \
        TRY(needs_context());                                 \
    } while (0)

// ---- for the tests ----
API long long fake_nvdec_count(const char *what) {
    if (!strcmp(what, "decoders")) return world.decoders;
    if (!strcmp(what, "parsers")) return world.parsers;
    if (!strcmp(what, "mapped")) return world.mapped;
    if (!strcmp(what, "most_mapped")) return world.most_mapped;
    if (!strcmp(what, "violations")) return world.violations;
    if (!strcmp(what, "decoded")) return world.decoded;
    return -1;
}
API const char *fake_nvdec_log(void) { return world.log; }
API void fake_nvdec_reset(void) {
    world.violations = world.decoded = 0;
    world.most_mapped = world.mapped;
    world.used = 0;
    world.log[0] = 0;
}

// ---- capabilities ----
static void caps_of(CUVIDDECODECAPS *caps) {
    int ten = caps->nBitDepthMinus8 == 2 && caps->eCodecType != cudaVideoCodec_H264 && caps->eCodecType != cudaVideoCodec_VP8;
    unsigned width, height;
    caps->bIsSupported = caps->eChromaFormat == cudaVideoChromaFormat_420 && (caps->nBitDepthMinus8 == 0 || ten) &&
                         listed(setting("FAKE_NVDEC_CODECS", "h264,hevc,vp8,vp9,av1"), codec_name(caps->eCodecType));
    if (!caps->bIsSupported) return;
    caps->nNumNVDECs = 2;
    caps->nOutputFormatMask = ten ? (unsigned short)atoi(setting("FAKE_NVDEC_OUTPUTS", "3")) : 1;
    size_setting("FAKE_NVDEC_MAX", "4096x4096", &caps->nMaxWidth, &caps->nMaxHeight);
    size_setting("FAKE_NVDEC_MIN", "16x16", &width, &height);
    caps->nMinWidth = (unsigned short)width;
    caps->nMinHeight = (unsigned short)height;
    caps->nMaxMBCount = caps->nMaxWidth * caps->nMaxHeight / 256;
}
API CUresult cuvidGetDecoderCaps(CUVIDDECODECAPS *caps) {
    ENTER("cuvidGetDecoderCaps %s %u", codec_name(caps->eCodecType), caps->nBitDepthMinus8 + 8);
    caps_of(caps);
    return OK;
}

// ---- decoders ----
static int lives(const void *handle) {
    for (Decoder *decoder = alive; decoder; decoder = decoder->next)
        if (decoder == handle) return 1;
    return 0;
}
#define EXPECT(handle)                                                            \
    Decoder *decoder = handle;                                                    \
    if (!lives(decoder)) return violation("a decoder that is not alive", INVALID_HANDLE)

static size_t sample(const Decoder *decoder) { return decoder->info.bitDepthMinus8 ? 2 : 1; }
static size_t out_sample(const Decoder *decoder) { return decoder->info.OutputFormat == cudaVideoSurfaceFormat_P016 ? 2 : 1; }

static CUresult check(const CUVIDDECODECREATEINFO *info) {
    CUVIDDECODECAPS caps = {.eCodecType = info->CodecType, .eChromaFormat = info->ChromaFormat,
                            .nBitDepthMinus8 = (unsigned)info->bitDepthMinus8};
    const ShortRect *area = &info->display_area;
    caps_of(&caps);
    if (!caps.bIsSupported) return NOT_SUPPORTED;
    if (info->ulMaxWidth > caps.nMaxWidth || info->ulMaxHeight > caps.nMaxHeight ||
        info->ulMaxWidth * info->ulMaxHeight / 256 > caps.nMaxMBCount || info->ulWidth < caps.nMinWidth ||
        info->ulHeight < caps.nMinHeight || info->ulWidth > info->ulMaxWidth || info->ulHeight > info->ulMaxHeight ||
        !(caps.nOutputFormatMask >> info->OutputFormat & 1) || info->ulTargetWidth < 2 || info->ulTargetHeight < 2 ||
        info->ulTargetWidth % 2 || info->ulTargetHeight % 2 || !info->ulNumDecodeSurfaces ||
        info->ulNumDecodeSurfaces > MOST_SURFACES || !info->ulNumOutputSurfaces ||
        info->ulNumOutputSurfaces > MOST_OUTPUTS || info->DeinterlaceMode != cudaVideoDeinterlaceMode_Weave ||
        info->ulIntraDecodeOnly || area->left < 0 || area->top < 0 || area->right <= area->left ||
        area->bottom <= area->top || area->right > (int)info->ulWidth || area->bottom > (int)info->ulHeight)
        return INVALID_VALUE;
    return OK;
}
static void release(Decoder *decoder) {
    for (int i = 0; i < MOST_SURFACES; i++) give_back(decoder->surfaces[i]);
    for (int i = 0; i < MOST_OUTPUTS; i++) give_back(decoder->outputs[i]);
    for (int i = 0; i < STAGES; i++) free(decoder->stages[i]);
    free(decoder);
}
API CUresult cuvidCreateDecoder(void **handle, CUVIDDECODECREATEINFO *info) {
    ENTER("cuvidCreateDecoder %s %lux%lu within %lux%lu target %lux%lu surfaces %lu output %d", codec_name(info->CodecType),
          info->ulWidth, info->ulHeight, info->ulMaxWidth, info->ulMaxHeight, info->ulTargetWidth, info->ulTargetHeight,
          info->ulNumDecodeSurfaces, info->OutputFormat);
    TRY(check(info));
    Decoder *decoder = calloc(1, sizeof *decoder);
    decoder->info = *info;
    size_t bytes = info->ulMaxWidth * info->ulMaxHeight * sample(decoder) * 3 / 2;
    decoder->pitch = (unsigned)((info->ulMaxWidth * out_sample(decoder) + 511) / 512 * 512);
    CUresult result = OK;
    for (unsigned i = 0; i < info->ulNumDecodeSurfaces && !result; i++) result = take(&decoder->surfaces[i], bytes);
    for (unsigned i = 0; i < info->ulNumOutputSurfaces && !result; i++)
        result = take(&decoder->outputs[i], (size_t)decoder->pitch * info->ulMaxHeight * 3 / 2);
    if (result) {
        release(decoder);
        return result;
    }
    decoder->next = alive;
    alive = decoder;
    world.decoders++;
    *handle = decoder;
    return OK;
}
API CUresult cuvidDestroyDecoder(void *handle) {
    ENTER("cuvidDestroyDecoder");
    EXPECT(handle);
    for (int i = 0; i < MOST_OUTPUTS; i++)
        if (decoder->mapped[i]) violation("a decoder is destroyed with a surface mapped", OK);
    for (Decoder **at = &alive; *at; at = &(*at)->next)
        if (*at == decoder) {
            *at = decoder->next;
            break;
        }
    world.decoders--;
    release(decoder);
    return OK;
}
API CUresult cuvidReconfigureDecoder(void *handle, CUVIDRECONFIGUREDECODERINFO *change) {
    ENTER("cuvidReconfigureDecoder %ux%u target %ux%u", change->ulWidth, change->ulHeight, change->ulTargetWidth,
          change->ulTargetHeight);
    EXPECT(handle);
    if (!in_sequence) return violation("reconfigured outside of the sequence callback", INVALID_VALUE);
    for (int i = 0; i < MOST_OUTPUTS; i++)
        if (decoder->mapped[i]) return violation("reconfigured with a surface mapped", INVALID_VALUE);
    CUVIDDECODECREATEINFO info = decoder->info;
    if (change->ulNumDecodeSurfaces > info.ulNumDecodeSurfaces) return INVALID_VALUE;
    info.ulWidth = change->ulWidth;
    info.ulHeight = change->ulHeight;
    info.ulTargetWidth = change->ulTargetWidth;
    info.ulTargetHeight = change->ulTargetHeight;
    info.display_area = change->display_area;
    TRY(check(&info));
    decoder->info = info;
    memset(decoder->status, 0, sizeof decoder->status);
    return OK;
}

static int read_h264(Decoder *decoder, const CUVIDPICPARAMS *picture, unsigned char *to) {
    ipcm_format format = {.width = (int32_t)picture->CodecSpecific.CodecReserved[SHOWN_WIDTH],
                          .height = (int32_t)picture->CodecSpecific.CodecReserved[SHOWN_HEIGHT]};
    ipcm_nal nal;
    ipcm_slice slice;
    size_t offset = 0, pitch = decoder->info.ulWidth;
    if (!ipcm_next_nal(picture->pBitstreamData, picture->nBitstreamDataLen, &offset, &nal)) return -1;
    return ipcm_read_slice(&nal, &format, &slice, to, pitch, to + pitch * decoder->info.ulHeight, pitch);
}
static int read_tiny(Decoder *decoder, const CUVIDPICPARAMS *picture, unsigned char *to) {
    const Tiny *head = (const Tiny *)picture->pBitstreamData;
    const unsigned char *from = (const unsigned char *)(head + 1);
    size_t bytes = sample(decoder), row = head->width * bytes, pitch = decoder->info.ulWidth * bytes;
    if (head->damaged || head->bytes != row * head->height * 3 / 2) return -1;
    for (unsigned y = 0; y < head->height; y++, from += row)
        if (!head->field || y % 2 == head->field - 1u) memcpy(to + (head->top + y) * pitch + head->left * bytes, from, row);
    to += pitch * decoder->info.ulHeight;
    for (unsigned y = 0; y < head->height / 2u; y++, from += row)
        if (!head->field || y % 2 == head->field - 1u) memcpy(to + (head->top / 2 + y) * pitch + head->left * bytes, from, row);
    return 0;
}
API CUresult cuvidDecodePicture(void *handle, CUVIDPICPARAMS *picture) {
    ENTER("cuvidDecodePicture %d", picture->CurrPicIdx);
    EXPECT(handle);
    int index = picture->CurrPicIdx;
    if (index < 0 || index >= (int)decoder->info.ulNumDecodeSurfaces) return INVALID_VALUE;
    if (picture->PicWidthInMbs != (int)(decoder->info.ulWidth + 15) / 16 ||
        picture->FrameHeightInMbs != (int)(decoder->info.ulHeight + 15) / 16)
        return violation("a picture of another size than the decoder's", INVALID_VALUE);
    unsigned char *to = (unsigned char *)decoder->surfaces[index];
    int h264 = decoder->info.CodecType == cudaVideoCodec_H264;
    int damage = h264 ? read_h264(decoder, picture, to) : read_tiny(decoder, picture, to);
    decoder->status[index] = damage ? cuvidDecodeStatus_Error : cuvidDecodeStatus_Success;
    world.decoded++;
    return OK;
}
API CUresult cuvidGetDecodeStatus(void *handle, int index, CUVIDGETDECODESTATUS *status) {
    ENTER("cuvidGetDecodeStatus %d", index);
    EXPECT(handle);
    const char *forced = setting("FAKE_NVDEC_STATUS", "");
    if (!strcmp(forced, "unsupported")) return NOT_SUPPORTED;
    if (index < 0 || index >= (int)decoder->info.ulNumDecodeSurfaces) return INVALID_VALUE;
    status->decodeStatus = *forced ? atoi(forced) : decoder->status[index];
    return OK;
}

// ---- surfaces ----
// Cut to what is shown, scaled to the target (nearest), 10 bits to the upper bits of 16 or to 8.
static void process(const Decoder *decoder, const unsigned char *from, unsigned char *to) {
    const CUVIDDECODECREATEINFO *info = &decoder->info;
    const ShortRect *area = &info->display_area;
    size_t in = sample(decoder), out = out_sample(decoder);
    for (int plane = 0; plane < 2; plane++) {
        size_t shown = (size_t)(area->right - area->left) >> plane, rows = (size_t)(area->bottom - area->top) >> plane;
        for (size_t y = 0; y < info->ulTargetHeight >> plane; y++)
            for (size_t x = 0; x < info->ulTargetWidth; x++) {
                size_t pixel = x >> plane, part = plane ? x & 1 : 0;
                size_t column = pixel * shown / (info->ulTargetWidth >> plane) + (size_t)(area->left >> plane);
                size_t line = y * rows / (info->ulTargetHeight >> plane) + (size_t)(area->top >> plane);
                const unsigned char *at = from + (line * info->ulWidth + (column << plane) + part) * in;
                uint16_t value = in == 1 ? *at : (uint16_t)(at[0] | at[1] << 8);
                if (in == 2 && out == 1) value >>= 8;
                *to++ = (unsigned char)value;
                if (out == 2) *to++ = (unsigned char)(value >> 8);
            }
        from += info->ulWidth * info->ulHeight * in;
    }
}
API CUresult cuvidMapVideoFrame64(void *handle, int index, unsigned long long *address, unsigned *pitch,
                                  CUVIDPROCPARAMS *params) {
    ENTER("cuvidMapVideoFrame64 %d", index);
    EXPECT(handle);
    const CUVIDDECODECREATEINFO *info = &decoder->info;
    if (index < 0 || index >= (int)info->ulNumDecodeSurfaces) return INVALID_VALUE;
    while (atoi(setting("FAKE_NVDEC_STUCK", "0"))) usleep(1000);
    if (!decoder->status[index]) return violation("a surface is mapped in which nothing was decoded", INVALID_VALUE);
    if (!params->output_stream) violation("mapped on the legacy stream, which others wait for", OK);
    unsigned at = 0;
    while (at < info->ulNumOutputSurfaces && decoder->mapped[at]) at++;
    if (at == info->ulNumOutputSurfaces) return violation("more surfaces mapped than asked for", INVALID_VALUE);
    size_t row = info->ulTargetWidth * out_sample(decoder), rows = info->ulTargetHeight * 3 / 2;
    unsigned char **stage = &decoder->stages[decoder->stage++ % STAGES];
    free(*stage);
    *stage = malloc(row * rows);
    process(decoder, (const unsigned char *)decoder->surfaces[index], *stage);
    TRY(copy(decoder->outputs[at], decoder->pitch, *stage, row, rows, params->output_stream));
    decoder->mapped[at] = 1;
    if (++world.mapped > world.most_mapped) world.most_mapped = world.mapped;
    *address = decoder->outputs[at];
    *pitch = decoder->pitch;
    return OK;
}
API CUresult cuvidUnmapVideoFrame64(void *handle, unsigned long long address) {
    ENTER("cuvidUnmapVideoFrame64");
    EXPECT(handle);
    for (int i = 0; i < MOST_OUTPUTS; i++)
        if (decoder->mapped[i] && decoder->outputs[i] == address) {
            decoder->mapped[i] = 0;
            world.mapped--;
            return OK;
        }
    return violation("a surface is unmapped that is not mapped", INVALID_VALUE);
}
