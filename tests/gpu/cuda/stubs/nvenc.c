// A stand-in for the NVIDIA driver's libnvidia-encode.so.1, on top of the fake libcuda: it checks what the real one
// would refuse, and a little more (the session's context must be current), and writes real H.264 of I_PCM macroblocks
// (ipcm.h) straight from the device memory it is given. HEVC and AV1 come as containers of their own: the right NAL
// units or OBUs around raw NV12. Rates are recorded, not kept. Where fields are: nvenc_layout.h.
//
// Read from the environment at each call:
//   FAKE_NVENC_CODECS          "h264,hevc,av1" (the default); "none": a GPU without NVENC
//   FAKE_NVENC_SESSIONS        most sessions at once (8)      FAKE_NVENC_LIMIT_STATUS  what is said beyond them (10)
//   FAKE_NVENC_VERSION         newest API, "13.0"             FAKE_NVENC_MIN           smallest picture, "32x32"
//   FAKE_NVENC_LOST_AFTER      after so many pictures of a session the device does not exist
//   FAKE_NVENC_FAIL            function:status[,...]: these calls are refused
//   FAKE_NVENC_BUSY            so many calls of nvEncEncodePicture are answered "busy" first
//   FAKE_NVENC_STUCK           1: nvEncLockBitstream does not return while it is set
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include "ipcm.h"
#include "nvenc_layout.h"

#define EXPORT __attribute__((visibility("default")))
#define U32(base, name) (*(uint32_t *)((uint8_t *)(base) + AT_##name))
#define U64(base, name) (*(uint64_t *)((uint8_t *)(base) + AT_##name))
#define PTR(base, name) (*(void **)((uint8_t *)(base) + AT_##name))
#define PART(base, name) ((uint8_t *)(base) + AT_##name)
#define BIT(base, name) (((uint8_t *)(base))[BIT_##name / 8] >> (BIT_##name % 8) & 1)

typedef struct {
    uint32_t a;
    uint16_t b, c;
    uint8_t d[8];
} Guid;
static const struct {
    const char *name;
    Guid codec;
    struct {
        Guid guid;
        int number;
    } profiles[3];
    int profile_count, most;
} CODECS[] = {
    {"h264", NV_ENC_CODEC_H264_GUID,
     {{NV_ENC_H264_PROFILE_BASELINE_GUID, 66}, {NV_ENC_H264_PROFILE_MAIN_GUID, 77}, {NV_ENC_H264_PROFILE_HIGH_GUID, 100}},
     3, 4096},
    {"hevc", NV_ENC_CODEC_HEVC_GUID, {{NV_ENC_HEVC_PROFILE_MAIN_GUID, 1}, {NV_ENC_HEVC_PROFILE_MAIN10_GUID, 2}}, 2, 8192},
    {"av1", NV_ENC_CODEC_AV1_GUID, {{NV_ENC_AV1_PROFILE_MAIN_GUID, 0}}, 1, 8192},
};

typedef struct Thing {
    struct Thing *next;
    int mapped, full, locked;
    uint8_t *data;  // device memory of an input, or the bytes of an output
    uint32_t pitch, width, height, type;
    size_t used, room;
    uint64_t stamp;
} Thing;
typedef struct Session {
    struct Session *next;
    void *context, *stream;
    int initialized, codec, profile, idr_wanted;
    uint32_t pictures, frame_num, idr_count;
    uint8_t params[SIZE_NV_ENC_INITIALIZE_PARAMS], config[SIZE_NV_ENC_CONFIG];
    Thing *inputs, *outputs;
    char why[256];
} Session;

static struct {
    pthread_mutex_t lock;
    Session *sessions;
    uint8_t params[SIZE_NV_ENC_INITIALIZE_PARAMS], config[SIZE_NV_ENC_CONFIG];
    long long opened, pictures, keyframes, reconfigured, resets, left, busy;
    char log[1 << 20];
    size_t log_used;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

static const char *setting(const char *name, const char *otherwise) {
    const char *text = getenv(name);
    return text && *text ? text : otherwise;
}
static void record(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    size_t room = sizeof world.log - world.log_used;
    int wrote = vsnprintf(world.log + world.log_used, room, format, arguments);
    va_end(arguments);
    if ((size_t)wrote + 2 < room) {
        world.log_used += (size_t)wrote;
        world.log[world.log_used++] = '\n';
    }
    world.log[world.log_used] = 0;
}
static int refuse(Session *session, int status, const char *why) {
    if (session) snprintf(session->why, sizeof session->why, "%s", why);
    record("refused %d %s", status, why);
    return status;
}
static void *cuda(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/libcuda.so.1", setting("RELENS_NVIDIA_LIBRARIES", "."));
    void *library = dlopen(path, RTLD_NOW | RTLD_NOLOAD);
    return library ? dlsym(library, name) : NULL;
}
static int lost(void) {
    long long (*count)(const char *) = (long long (*)(const char *))cuda("fake_cuda_count");
    return count && count("lost") > 0;
}
static void *current_context(void) {
    void *context = NULL;
    int (*get)(void **) = (int (*)(void **))cuda("cuCtxGetCurrent");
    if (get) get(&context);
    return context;
}
static int injected(const char *call) {
    const char *list = setting("FAKE_NVENC_FAIL", ""), *at = list;
    size_t length = strlen(call);
    while ((at = strstr(at, call))) {
        if ((at == list || at[-1] == ',') && at[length] == ':') return atoi(at + length + 1);
        at += length;
    }
    return 0;
}
static int offers(int codec) {
    const char *list = setting("FAKE_NVENC_CODECS", "h264,hevc,av1"), *at = strstr(list, CODECS[codec].name);
    return at != NULL;
}
static int codec_of(Guid guid) {
    for (int i = 0; i < 3; i++)
        if (offers(i) && !memcmp(&guid, &CODECS[i].codec, sizeof guid)) return i;
    return -1;
}
static Thing *find(Thing *list, const void *handle) {
    for (; list; list = list->next)
        if (list == handle) return list;
    return NULL;
}
static void drop(Thing **list, Thing *gone, int own_data) {
    for (; *list; list = &(*list)->next)
        if (*list == gone) {
            *list = gone->next;
            if (own_data) free(gone->data);
            free(gone);
            return;
        }
}
static int pixels(const char *name, const char *otherwise, int *height) {
    int width = 0;
    sscanf(setting(name, otherwise), "%dx%d", &width, height);
    return width;
}
static void release(int *held) {
    (void)held;
    pthread_mutex_unlock(&world.lock);
}
#define HOLD                              \
    pthread_mutex_lock(&world.lock);      \
    __attribute__((cleanup(release), unused)) int held = 1
// Of each function with a session: takes the lock, finds the session, and fails as it should.
#define ENTER(handle)                                                                                             \
    HOLD;                                                                                                         \
    Session *session = world.sessions;                                                                            \
    while (session && session != (handle)) session = session->next;                                               \
    if (!session) return refuse(NULL, NV_ENC_ERR_INVALID_ENCODERDEVICE, "no such session");                       \
    if (lost()) return refuse(session, NV_ENC_ERR_GENERIC, "the context is dead");                                \
    if (injected(__func__)) return refuse(session, injected(__func__), "as the test asked");                      \
    if (current_context() != session->context)                                                                    \
        return refuse(session, NV_ENC_ERR_INVALID_DEVICE, "the session's context is not current")
#define VERSION(base, kind) \
    if (U32(base, kind##__version) != kind##_VER) return refuse(session, NV_ENC_ERR_INVALID_VERSION, #kind)
#define NEED(condition, status, why) \
    if (!(condition)) return refuse(session, status, why)
#define NEED_READY NEED(session->initialized, NV_ENC_ERR_ENCODER_NOT_INITIALIZED, "initialize first")

// ---- for the tests ---------------------------------------------------------------------------------------------
EXPORT long long fake_nvenc_count(const char *what) {
    HOLD;
    long long sessions = 0, registered = 0, mapped = 0, bitstreams = 0, locked = 0;
    for (Session *s = world.sessions; s; s = s->next, sessions++) {
        for (Thing *t = s->inputs; t; t = t->next, registered++) mapped += t->mapped;
        for (Thing *t = s->outputs; t; t = t->next, bitstreams++) locked += t->locked;
    }
    const struct {
        const char *name;
        long long value;
    } known[] = {{"sessions", sessions}, {"registered", registered}, {"mapped", mapped}, {"bitstreams", bitstreams},
                 {"locked", locked}, {"left", world.left}, {"opened", world.opened}, {"pictures", world.pictures},
                 {"keyframes", world.keyframes}, {"reconfigured", world.reconfigured}, {"resets", world.resets}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (!strcmp(known[i].name, what)) return known[i].value;
    return -1;
}
EXPORT const char *fake_nvenc_log(void) { return world.log; }
// The NV_ENC_INITIALIZE_PARAMS and NV_ENC_CONFIG given last.
EXPORT void fake_nvenc_last(void *params, void *config) {
    HOLD;
    memcpy(params, world.params, sizeof world.params);
    memcpy(config, world.config, sizeof world.config);
}
EXPORT void fake_nvenc_reset(void) {
    HOLD;
    world.opened = world.pictures = world.keyframes = world.reconfigured = world.resets = world.left = world.busy = 0;
    world.log_used = world.log[0] = 0;
}

// ---- sessions --------------------------------------------------------------------------------------------------
static int nvEncOpenEncodeSessionEx(void *params, void **handle) {
    HOLD;
    Session *session = NULL;
    long most = atol(setting("FAKE_NVENC_SESSIONS", "8")), count = 0;
    NEED(params && handle, NV_ENC_ERR_INVALID_PTR, "null");
    VERSION(params, NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS);
    NEED(U32(params, NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS__apiVersion) == NVENCAPI_VERSION, NV_ENC_ERR_INVALID_VERSION,
         "API version");
    NEED(U32(params, NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS__deviceType) == NV_ENC_DEVICE_TYPE_CUDA,
         NV_ENC_ERR_UNSUPPORTED_DEVICE, "not CUDA");
    void *context = PTR(params, NV_ENC_OPEN_ENCODE_SESSION_EX_PARAMS__device);
    NEED(!lost(), NV_ENC_ERR_GENERIC, "the context is dead");
    NEED(context && context == current_context(), NV_ENC_ERR_INVALID_DEVICE, "no context, or not current");
    NEED(!injected(__func__), injected(__func__), "as the test asked");
    NEED(offers(0) || offers(1) || offers(2), NV_ENC_ERR_UNSUPPORTED_DEVICE, "no NVENC");
    for (Session *s = world.sessions; s; s = s->next) count += s->context != NULL;
    session = calloc(1, sizeof *session);
    session->next = world.sessions;
    *handle = world.sessions = session;  // also after a failure: the header asks that it be destroyed then too
    NEED(count < most, atoi(setting("FAKE_NVENC_LIMIT_STATUS", "10")), "too many sessions");
    session->context = context;
    world.opened++;
    record("open");
    return NV_ENC_SUCCESS;
}
static int nvEncDestroyEncoder(void *handle) {
    HOLD;
    for (Session **at = &world.sessions; *at; at = &(*at)->next)
        if (*at == handle) {
            Session *session = *at;
            while (session->inputs) {
                world.left += 1 + session->inputs->mapped;
                drop(&session->inputs, session->inputs, 0);
            }
            while (session->outputs) {
                world.left += 1 + session->outputs->locked;
                drop(&session->outputs, session->outputs, 1);
            }
            *at = session->next;
            free(session);
            record("destroy");
            return NV_ENC_SUCCESS;
        }
    return NV_ENC_ERR_INVALID_ENCODERDEVICE;
}
static int nvEncGetEncodeGUIDCount(void *handle, uint32_t *count) {
    ENTER(handle);
    NEED(count, NV_ENC_ERR_INVALID_PTR, "null");
    *count = (uint32_t)(offers(0) + offers(1) + offers(2));
    return NV_ENC_SUCCESS;
}
static int nvEncGetEncodeGUIDs(void *handle, Guid *guids, uint32_t room, uint32_t *count) {
    ENTER(handle);
    NEED(guids && count, NV_ENC_ERR_INVALID_PTR, "null");
    *count = 0;
    for (int i = 0; i < 3; i++)
        if (offers(i) && *count < room) guids[(*count)++] = CODECS[i].codec;
    return NV_ENC_SUCCESS;
}
static int nvEncGetEncodeProfileGUIDCount(void *handle, Guid codec, uint32_t *count) {
    ENTER(handle);
    NEED(codec_of(codec) >= 0, NV_ENC_ERR_UNSUPPORTED_PARAM, "codec");
    *count = (uint32_t)CODECS[codec_of(codec)].profile_count;
    return NV_ENC_SUCCESS;
}
static int nvEncGetEncodeProfileGUIDs(void *handle, Guid codec, Guid *guids, uint32_t room, uint32_t *count) {
    ENTER(handle);
    int index = codec_of(codec);
    NEED(index >= 0, NV_ENC_ERR_UNSUPPORTED_PARAM, "codec");
    for (*count = 0; *count < room && (int)*count < CODECS[index].profile_count; ++*count)
        guids[*count] = CODECS[index].profiles[*count].guid;
    return NV_ENC_SUCCESS;
}
static int nvEncGetEncodeCaps(void *handle, Guid codec, void *params, int *value) {
    ENTER(handle);
    int index = codec_of(codec), height = 0, width = pixels("FAKE_NVENC_MIN", "32x32", &height);
    NEED(index >= 0, NV_ENC_ERR_UNSUPPORTED_PARAM, "codec");
    NEED(params && value, NV_ENC_ERR_INVALID_PTR, "null");
    VERSION(params, NV_ENC_CAPS_PARAM);
    switch (U32(params, NV_ENC_CAPS_PARAM__capsToQuery)) {
        case NV_ENC_CAPS_WIDTH_MAX:
        case NV_ENC_CAPS_HEIGHT_MAX: *value = CODECS[index].most; break;
        case NV_ENC_CAPS_WIDTH_MIN: *value = width; break;
        case NV_ENC_CAPS_HEIGHT_MIN: *value = height; break;
        case NV_ENC_CAPS_SUPPORT_10BIT_ENCODE: *value = index > 0; break;
        case NV_ENC_CAPS_ASYNC_ENCODE_SUPPORT: *value = 0; break;  // Windows only
        case NV_ENC_CAPS_NUM_ENCODER_ENGINES: *value = 2; break;
        default: *value = 1;
    }
    return NV_ENC_SUCCESS;
}
// A preset with everything in it that a live encoder must change.
static int nvEncGetEncodePresetConfigEx(void *handle, Guid codec, Guid preset, uint32_t tuning, void *params) {
    ENTER(handle);
    const Guid p4 = NV_ENC_PRESET_P4_GUID;
    NEED(codec_of(codec) >= 0 && !memcmp(&preset, &p4, sizeof p4), NV_ENC_ERR_UNSUPPORTED_PARAM, "codec or preset");
    NEED(tuning >= 1 && tuning <= 4, NV_ENC_ERR_INVALID_PARAM, "tuning");
    VERSION(params, NV_ENC_PRESET_CONFIG);
    uint8_t *config = PART(params, NV_ENC_PRESET_CONFIG__presetCfg);
    VERSION(config, NV_ENC_CONFIG);
    U32(config, NV_ENC_CONFIG__gopLength) = 250;
    U32(config, NV_ENC_CONFIG__frameIntervalP) = tuning == NV_ENC_TUNING_INFO_ULTRA_LOW_LATENCY ? 1 : 3;
    U32(config, NV_ENC_CONFIG__frameFieldMode) = NV_ENC_PARAMS_FRAME_FIELD_MODE_FRAME;
    uint8_t *rate = PART(config, NV_ENC_CONFIG__rcParams);
    U32(rate, NV_ENC_RC_PARAMS__version) = NV_ENC_RC_PARAMS_VER;
    rate[BIT_NV_ENC_RC_PARAMS__enableLookahead / 8] |= 1 << BIT_NV_ENC_RC_PARAMS__enableLookahead % 8;
    U32(rate, NV_ENC_RC_PARAMS__multiPass) = 1;
    return NV_ENC_SUCCESS;
}
static int take_config(Session *session, void *params, int again) {
    VERSION(params, NV_ENC_INITIALIZE_PARAMS);
    uint8_t *config = PTR(params, NV_ENC_INITIALIZE_PARAMS__encodeConfig);
    NEED(config, NV_ENC_ERR_INVALID_PTR, "no config");
    VERSION(config, NV_ENC_CONFIG);
    uint8_t *rate = PART(config, NV_ENC_CONFIG__rcParams);
    VERSION(rate, NV_ENC_RC_PARAMS);
    int codec = codec_of(*(Guid *)PART(params, NV_ENC_INITIALIZE_PARAMS__encodeGUID)), profile = -1, least_high;
    NEED(codec >= 0, NV_ENC_ERR_UNSUPPORTED_PARAM, "codec");
    uint32_t width = U32(params, NV_ENC_INITIALIZE_PARAMS__encodeWidth);
    uint32_t height = U32(params, NV_ENC_INITIALIZE_PARAMS__encodeHeight);
    int least_wide = pixels("FAKE_NVENC_MIN", "32x32", &least_high), most = CODECS[codec].most;
    NEED((int)width >= least_wide && (int)height >= least_high && (int)width <= most && (int)height <= most,
         NV_ENC_ERR_INVALID_PARAM, "size");
    for (int i = 0; i < CODECS[codec].profile_count; i++)
        if (!memcmp(PART(config, NV_ENC_CONFIG__profileGUID), &CODECS[codec].profiles[i].guid, sizeof(Guid)))
            profile = CODECS[codec].profiles[i].number;
    NEED(profile >= 0, NV_ENC_ERR_UNSUPPORTED_PARAM, "profile");
    NEED(U32(params, NV_ENC_INITIALIZE_PARAMS__tuningInfo), NV_ENC_ERR_INVALID_PARAM, "a preset needs tuning");
    NEED(!U32(params, NV_ENC_INITIALIZE_PARAMS__enableEncodeAsync), NV_ENC_ERR_UNSUPPORTED_PARAM, "async is Windows'");
    NEED(U32(params, NV_ENC_INITIALIZE_PARAMS__frameRateNum) && U32(params, NV_ENC_INITIALIZE_PARAMS__frameRateDen),
         NV_ENC_ERR_INVALID_PARAM, "frame rate");
    NEED(U32(rate, NV_ENC_RC_PARAMS__averageBitRate), NV_ENC_ERR_INVALID_PARAM, "bitrate");
    if (codec == 0) {
        uint8_t *h264 = PART(config, NV_ENC_CONFIG__encodeCodecConfig);
        NEED(profile != 66 || U32(h264, NV_ENC_CONFIG_H264__entropyCodingMode) != NV_ENC_H264_ENTROPY_CODING_MODE_CABAC,
             NV_ENC_ERR_INVALID_PARAM, "CABAC in baseline");
        NEED(U32(h264, NV_ENC_CONFIG_H264__chromaFormatIDC) == 1, NV_ENC_ERR_INVALID_PARAM, "chroma format");
    }
    if (again) {
        NEED(!memcmp(config + AT_NV_ENC_CONFIG__gopLength, session->config + AT_NV_ENC_CONFIG__gopLength, 8) &&
                 width == U32(session->params, NV_ENC_INITIALIZE_PARAMS__encodeWidth) &&
                 height == U32(session->params, NV_ENC_INITIALIZE_PARAMS__encodeHeight) && codec == session->codec,
             NV_ENC_ERR_UNSUPPORTED_PARAM, "GOP, size and codec are fixed");
    }
    memcpy(session->params, params, sizeof session->params);
    memcpy(session->config, config, sizeof session->config);
    memcpy(world.params, params, sizeof world.params);
    memcpy(world.config, config, sizeof world.config);
    session->codec = codec;
    session->profile = profile;
    record("%s %s %ux%u %u bit/s %u/%u fps", again ? "reconfigure" : "initialize", CODECS[codec].name, width, height,
           U32(rate, NV_ENC_RC_PARAMS__averageBitRate), U32(params, NV_ENC_INITIALIZE_PARAMS__frameRateNum),
           U32(params, NV_ENC_INITIALIZE_PARAMS__frameRateDen));
    return NV_ENC_SUCCESS;
}
static int nvEncInitializeEncoder(void *handle, void *params) {
    ENTER(handle);
    NEED(params, NV_ENC_ERR_INVALID_PTR, "null");
    NEED(!session->initialized, NV_ENC_ERR_INVALID_CALL, "twice");
    int status = take_config(session, params, 0);
    session->initialized = !status;
    return status;
}
static int nvEncReconfigureEncoder(void *handle, void *params) {
    ENTER(handle);
    NEED_READY;
    NEED(params, NV_ENC_ERR_INVALID_PTR, "null");
    VERSION(params, NV_ENC_RECONFIGURE_PARAMS);
    int status = take_config(session, PART(params, NV_ENC_RECONFIGURE_PARAMS__reInitEncodeParams), 1);
    if (status) return status;
    int reset = BIT(params, NV_ENC_RECONFIGURE_PARAMS__resetEncoder);
    session->idr_wanted |= reset | BIT(params, NV_ENC_RECONFIGURE_PARAMS__forceIDR);
    world.reconfigured++;
    world.resets += reset;
    return NV_ENC_SUCCESS;
}
static int nvEncSetIOCudaStreams(void *handle, void **input, void **output) {
    ENTER(handle);
    NEED(input && output, NV_ENC_ERR_INVALID_PTR, "null");
    session->stream = *input;
    return NV_ENC_SUCCESS;
}
static const char *nvEncGetLastErrorString(void *handle) {
    for (Session *s = world.sessions; s; s = s->next)
        if (s == handle) return s->why;
    return "";
}
#include "nvenc_pictures.h"
