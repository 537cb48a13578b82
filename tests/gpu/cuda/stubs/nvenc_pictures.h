// The fake encoder's pictures: buffers registered and mapped, encoded, and their bytes handed out; a part of nvenc.c.

static int nvEncCreateBitstreamBuffer(void *handle, void *params) {
    ENTER(handle);
    NEED_READY;
    NEED(params, NV_ENC_ERR_INVALID_PTR, "null");
    VERSION(params, NV_ENC_CREATE_BITSTREAM_BUFFER);
    Thing *output = calloc(1, sizeof *output);
    output->room = 2 * ipcm_most_bytes((int32_t)U32(session->params, NV_ENC_INITIALIZE_PARAMS__encodeWidth),
                                       (int32_t)U32(session->params, NV_ENC_INITIALIZE_PARAMS__encodeHeight));
    output->data = malloc(output->room);
    output->next = session->outputs;
    session->outputs = output;
    PTR(params, NV_ENC_CREATE_BITSTREAM_BUFFER__bitstreamBuffer) = output;
    return NV_ENC_SUCCESS;
}
static int nvEncDestroyBitstreamBuffer(void *handle, void *buffer) {
    ENTER(handle);
    Thing *output = find(session->outputs, buffer);
    NEED(output, NV_ENC_ERR_INVALID_PTR, "no such bitstream");
    NEED(!output->locked, NV_ENC_ERR_INVALID_CALL, "locked");
    drop(&session->outputs, output, 1);
    return NV_ENC_SUCCESS;
}
static int nvEncRegisterResource(void *handle, void *params) {
    ENTER(handle);
    NEED_READY;
    NEED(params, NV_ENC_ERR_INVALID_PTR, "null");
    VERSION(params, NV_ENC_REGISTER_RESOURCE);
    uint8_t *data = PTR(params, NV_ENC_REGISTER_RESOURCE__resourceToRegister);
    NEED(U32(params, NV_ENC_REGISTER_RESOURCE__resourceType) == NV_ENC_INPUT_RESOURCE_TYPE_CUDADEVICEPTR,
         NV_ENC_ERR_UNSUPPORTED_PARAM, "resource type");
    NEED(data, NV_ENC_ERR_INVALID_PTR, "no memory");
    NEED(U32(params, NV_ENC_REGISTER_RESOURCE__bufferFormat) == NV_ENC_BUFFER_FORMAT_NV12, NV_ENC_ERR_INVALID_PARAM,
         "not NV12");
    Thing *input = calloc(1, sizeof *input);
    *input = (Thing){.next = session->inputs, .data = data, .pitch = U32(params, NV_ENC_REGISTER_RESOURCE__pitch),
                     .width = U32(params, NV_ENC_REGISTER_RESOURCE__width),
                     .height = U32(params, NV_ENC_REGISTER_RESOURCE__height)};
    if (input->pitch < input->width || !input->width || !input->height) {
        free(input);
        return refuse(session, NV_ENC_ERR_RESOURCE_REGISTER_FAILED, "pitch or size");
    }
    session->inputs = input;
    PTR(params, NV_ENC_REGISTER_RESOURCE__registeredResource) = input;
    record("register %ux%u pitch %u", input->width, input->height, input->pitch);
    return NV_ENC_SUCCESS;
}
static int nvEncUnregisterResource(void *handle, void *resource) {
    ENTER(handle);
    Thing *input = find(session->inputs, resource);
    NEED(input, NV_ENC_ERR_RESOURCE_NOT_REGISTERED, "not registered");
    NEED(!input->mapped, NV_ENC_ERR_INVALID_CALL, "still mapped");
    drop(&session->inputs, input, 0);
    record("unregister");
    return NV_ENC_SUCCESS;
}
static int nvEncMapInputResource(void *handle, void *params) {
    ENTER(handle);
    NEED(params, NV_ENC_ERR_INVALID_PTR, "null");
    VERSION(params, NV_ENC_MAP_INPUT_RESOURCE);
    Thing *input = find(session->inputs, PTR(params, NV_ENC_MAP_INPUT_RESOURCE__registeredResource));
    NEED(input, NV_ENC_ERR_RESOURCE_NOT_REGISTERED, "not registered");
    NEED(!input->mapped, NV_ENC_ERR_MAP_FAILED, "mapped twice");
    input->mapped = 1;
    PTR(params, NV_ENC_MAP_INPUT_RESOURCE__mappedResource) = (uint8_t *)input + 1;  // not the registered handle
    U32(params, NV_ENC_MAP_INPUT_RESOURCE__mappedBufferFmt) = NV_ENC_BUFFER_FORMAT_NV12;
    return NV_ENC_SUCCESS;
}
static Thing *mapped(Session *session, void *handle) {
    Thing *input = find(session->inputs, (uint8_t *)handle - 1);
    return input && input->mapped ? input : NULL;
}
static int nvEncUnmapInputResource(void *handle, void *resource) {
    ENTER(handle);
    Thing *input = mapped(session, resource);
    NEED(input, NV_ENC_ERR_RESOURCE_NOT_MAPPED, "not mapped");
    input->mapped = 0;
    return NV_ENC_SUCCESS;
}

// ---- what a picture becomes ------------------------------------------------------------------------------------
static void whole_nal(ipcm_writer *w, int type, const uint8_t *data, size_t pitch, uint32_t width, uint32_t rows) {
    static const uint8_t start[] = {0, 0, 0, 1};
    for (int i = 0; i < 4; i++) ipcm_raw_byte(w, start[i]);
    w->zeros = 0;
    ipcm_byte(w, (uint8_t)(type << 1));  // HEVC's header of two bytes (7.3.1.2)
    ipcm_byte(w, 1);
    for (uint32_t y = 0; y < rows; y++)
        for (uint32_t x = 0; x < width; x++) ipcm_byte(w, data[y * pitch + x]);
    ipcm_byte(w, 0x80);
}
static void obu(ipcm_writer *w, int type, const uint8_t *data, size_t pitch, uint32_t width, uint32_t rows) {
    uint32_t size = width * rows;
    ipcm_raw_byte(w, (uint8_t)(type << 3 | 2));  // obu_has_size_field (AV1 5.3.2)
    do {
        ipcm_raw_byte(w, (uint8_t)((size & 127) | (size > 127 ? 128 : 0)));
        size >>= 7;
    } while (size);
    for (uint32_t y = 0; y < rows; y++)
        for (uint32_t x = 0; x < width; x++) ipcm_raw_byte(w, data[y * pitch + x]);
}
static int write_h264(Session *session, const Thing *input, Thing *output, int idr, int headers) {
    uint8_t *vui = PART(PART(session->config, NV_ENC_CONFIG__encodeCodecConfig), NV_ENC_CONFIG_H264__h264VUIParameters);
    int told = U32(vui, NV_ENC_CONFIG_H264_VUI_PARAMETERS__videoSignalTypePresentFlag) != 0;
    ipcm_format format = {
        .width = (int32_t)input->width, .height = (int32_t)input->height, .profile_idc = session->profile,
        .full_range = told && U32(vui, NV_ENC_CONFIG_H264_VUI_PARAMETERS__videoFullRangeFlag),
        .has_colour = told && U32(vui, NV_ENC_CONFIG_H264_VUI_PARAMETERS__colourDescriptionPresentFlag),
        .primaries = (int32_t)U32(vui, NV_ENC_CONFIG_H264_VUI_PARAMETERS__colourPrimaries),
        .transfer = (int32_t)U32(vui, NV_ENC_CONFIG_H264_VUI_PARAMETERS__transferCharacteristics),
        .matrix = (int32_t)U32(vui, NV_ENC_CONFIG_H264_VUI_PARAMETERS__colourMatrix)};
    ipcm_slice slice = {.is_idr = idr, .frame_num = session->frame_num, .idr_pic_id = session->idr_count};
    int64_t used = ipcm_write(output->data, output->room, &format, &slice, headers, input->data, input->pitch,
                              input->data + (size_t)input->pitch * input->height, input->pitch);
    output->used = used < 0 ? 0 : (size_t)used;
    return used < 0 ? NV_ENC_ERR_GENERIC : NV_ENC_SUCCESS;
}
// HEVC: VPS, SPS and PPS with the size and colour in them, then one slice. AV1: the delimiter, the header, a frame.
static int write_raw(Session *session, const Thing *input, Thing *output, int idr, int headers) {
    ipcm_writer w = {.out = output->data, .room = output->room};
    uint8_t head[8] = {(uint8_t)(input->width >> 8), (uint8_t)input->width, (uint8_t)(input->height >> 8),
                       (uint8_t)input->height, 0xC0, 0, 0, 0x80};
    uint8_t *config = PART(session->config, NV_ENC_CONFIG__encodeCodecConfig);
    if (session->codec == 1) {
        uint8_t *vui = PART(config, NV_ENC_CONFIG_HEVC__hevcVUIParameters);
        head[5] = (uint8_t)U32(vui, NV_ENC_CONFIG_H264_VUI_PARAMETERS__videoFullRangeFlag);
        head[6] = (uint8_t)U32(vui, NV_ENC_CONFIG_H264_VUI_PARAMETERS__colourMatrix);
        if (headers)
            for (int type = 32; type <= 34; type++) whole_nal(&w, type, head, 8, 8, 1);
        whole_nal(&w, idr ? 19 : 1, input->data, input->pitch, input->width, input->height * 3 / 2);
    } else {
        head[5] = (uint8_t)U32(config, NV_ENC_CONFIG_AV1__colorRange);
        head[6] = (uint8_t)U32(config, NV_ENC_CONFIG_AV1__matrixCoefficients);
        obu(&w, 2, head, 8, 0, 1);
        if (headers) obu(&w, 1, head, 8, 8, 1);
        obu(&w, 6, input->data, input->pitch, input->width, input->height * 3 / 2);
    }
    output->used = w.used;
    return w.overflow ? NV_ENC_ERR_GENERIC : NV_ENC_SUCCESS;
}
static int repeats_headers(const Session *session) {
    uint8_t *config = PART(session->config, NV_ENC_CONFIG__encodeCodecConfig);
    return session->codec == 0   ? BIT(config, NV_ENC_CONFIG_H264__repeatSPSPPS)
           : session->codec == 1 ? BIT(config, NV_ENC_CONFIG_HEVC__repeatSPSPPS)
                                 : BIT(config, NV_ENC_CONFIG_AV1__repeatSeqHdr);
}
static int nvEncEncodePicture(void *handle, void *params) {
    ENTER(handle);
    NEED_READY;
    NEED(params, NV_ENC_ERR_INVALID_PTR, "null");
    VERSION(params, NV_ENC_PIC_PARAMS);
    if (world.busy < atoll(setting("FAKE_NVENC_BUSY", "0"))) {
        world.busy++;
        return NV_ENC_ERR_ENCODER_BUSY;
    }
    NEED(session->pictures < (uint32_t)atol(setting("FAKE_NVENC_LOST_AFTER", "1000000000")), NV_ENC_ERR_DEVICE_NOT_EXIST,
         "gone");
    Thing *input = mapped(session, PTR(params, NV_ENC_PIC_PARAMS__inputBuffer));
    Thing *output = find(session->outputs, PTR(params, NV_ENC_PIC_PARAMS__outputBitstream));
    NEED(input, NV_ENC_ERR_RESOURCE_NOT_MAPPED, "input is not mapped");
    NEED(output && !output->full && !output->locked, NV_ENC_ERR_INVALID_PARAM, "bitstream unknown or not read yet");
    NEED(U32(params, NV_ENC_PIC_PARAMS__bufferFmt) == NV_ENC_BUFFER_FORMAT_NV12, NV_ENC_ERR_INVALID_PARAM, "not NV12");
    NEED(U32(params, NV_ENC_PIC_PARAMS__pictureStruct) == NV_ENC_PIC_STRUCT_FRAME, NV_ENC_ERR_INVALID_PARAM, "structure");
    NEED(U32(params, NV_ENC_PIC_PARAMS__inputWidth) == input->width && input->width == U32(session->params, NV_ENC_INITIALIZE_PARAMS__encodeWidth) &&
             U32(params, NV_ENC_PIC_PARAMS__inputHeight) == input->height && input->height == U32(session->params, NV_ENC_INITIALIZE_PARAMS__encodeHeight) &&
             U32(params, NV_ENC_PIC_PARAMS__inputPitch) == input->pitch,
         NV_ENC_ERR_INVALID_PARAM, "size");
    uint8_t *rate = PART(session->config, NV_ENC_CONFIG__rcParams);
    if (U32(session->config, NV_ENC_CONFIG__frameIntervalP) != 1 || BIT(rate, NV_ENC_RC_PARAMS__enableLookahead))
        return NV_ENC_ERR_NEED_MORE_INPUT;  // B-frames or lookahead hold pictures back
    if (session->stream) {  // the work before it on that stream is waited for; on others it is not
        int (*wait)(void *) = (int (*)(void *))cuda("cuStreamSynchronize");
        NEED(wait && wait(session->stream) == 0, NV_ENC_ERR_GENERIC, "the input stream does not end");
    }
    uint32_t flags = U32(params, NV_ENC_PIC_PARAMS__encodePicFlags), gop = U32(session->config, NV_ENC_CONFIG__gopLength);
    int idr = !session->pictures || session->idr_wanted || (flags & NV_ENC_PIC_FLAG_FORCEIDR) ||
              (gop != NVENC_INFINITE_GOPLENGTH && gop && session->pictures % gop == 0);
    int headers = !session->pictures || (flags & NV_ENC_PIC_FLAG_OUTPUT_SPSPPS) || (idr && repeats_headers(session));
    session->frame_num = idr ? 0 : (session->frame_num + 1) & 255;
    int status = (session->codec ? write_raw : write_h264)(session, input, output, idr, headers);
    NEED(!status, status, "no room");
    session->idr_wanted = 0;
    session->idr_count += (uint32_t)idr;
    session->pictures++;
    world.pictures++;
    world.keyframes += idr;
    output->full = 1;
    output->type = idr ? NV_ENC_PIC_TYPE_IDR : 0;
    output->stamp = U64(params, NV_ENC_PIC_PARAMS__inputTimeStamp);
    record("encode %s flags %u", idr ? "idr" : "p", flags);
    return NV_ENC_SUCCESS;
}
static int nvEncLockBitstream(void *handle, void *params) {
    while (atoi(setting("FAKE_NVENC_STUCK", "0"))) usleep(1000);
    ENTER(handle);
    NEED(params, NV_ENC_ERR_INVALID_PTR, "null");
    VERSION(params, NV_ENC_LOCK_BITSTREAM);
    Thing *output = find(session->outputs, PTR(params, NV_ENC_LOCK_BITSTREAM__outputBitstream));
    NEED(output, NV_ENC_ERR_INVALID_PTR, "no such bitstream");
    NEED(output->full && !output->locked, NV_ENC_ERR_INVALID_CALL, "empty or locked");
    NEED(!BIT(params, NV_ENC_LOCK_BITSTREAM__doNotWait), NV_ENC_ERR_LOCK_BUSY, "not done yet");
    output->locked = 1;
    PTR(params, NV_ENC_LOCK_BITSTREAM__bitstreamBufferPtr) = output->data;
    U32(params, NV_ENC_LOCK_BITSTREAM__bitstreamSizeInBytes) = (uint32_t)output->used;
    U32(params, NV_ENC_LOCK_BITSTREAM__pictureType) = output->type;
    U64(params, NV_ENC_LOCK_BITSTREAM__outputTimeStamp) = output->stamp;
    return NV_ENC_SUCCESS;
}
static int nvEncUnlockBitstream(void *handle, void *buffer) {
    ENTER(handle);
    Thing *output = find(session->outputs, buffer);
    NEED(output && output->locked, NV_ENC_ERR_INVALID_CALL, "not locked");
    memset(output->data, 0xEE, output->used);  // who keeps the pointer sees it
    output->locked = output->full = 0;
    return NV_ENC_SUCCESS;
}

// ---- the library -----------------------------------------------------------------------------------------------
static uint32_t newest(void) {
    unsigned major = 13, minor = 0;
    sscanf(setting("FAKE_NVENC_VERSION", "13.0"), "%u.%u", &major, &minor);
    return major << 4 | minor;
}
EXPORT int NvEncodeAPIGetMaxSupportedVersion(uint32_t *version) {
    if (!version) return NV_ENC_ERR_INVALID_PTR;
    *version = newest();
    return NV_ENC_SUCCESS;
}
EXPORT int NvEncodeAPICreateInstance(void *list) {
    HOLD;
    Session *session = NULL;
    NEED(list, NV_ENC_ERR_INVALID_PTR, "null");
    VERSION(list, NV_ENCODE_API_FUNCTION_LIST);
    NEED((NVENCAPI_MAJOR_VERSION << 4 | NVENCAPI_MINOR_VERSION) <= newest(), NV_ENC_ERR_INVALID_VERSION, "driver too old");
#define OFFER(name) PTR(list, NV_ENCODE_API_FUNCTION_LIST__##name) = (void *)name
    OFFER(nvEncOpenEncodeSessionEx);
    OFFER(nvEncDestroyEncoder);
    OFFER(nvEncGetEncodeGUIDCount);
    OFFER(nvEncGetEncodeGUIDs);
    OFFER(nvEncGetEncodeProfileGUIDCount);
    OFFER(nvEncGetEncodeProfileGUIDs);
    OFFER(nvEncGetEncodeCaps);
    OFFER(nvEncGetEncodePresetConfigEx);
    OFFER(nvEncInitializeEncoder);
    OFFER(nvEncReconfigureEncoder);
    OFFER(nvEncSetIOCudaStreams);
    OFFER(nvEncGetLastErrorString);
    OFFER(nvEncCreateBitstreamBuffer);
    OFFER(nvEncDestroyBitstreamBuffer);
    OFFER(nvEncRegisterResource);
    OFFER(nvEncUnregisterResource);
    OFFER(nvEncMapInputResource);
    OFFER(nvEncUnmapInputResource);
    OFFER(nvEncEncodePicture);
    OFFER(nvEncLockBitstream);
    OFFER(nvEncUnlockBitstream);
    return NV_ENC_SUCCESS;
}
