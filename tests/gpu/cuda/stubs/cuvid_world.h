// What the fake libnvcuvid holds: its lock, its faults, what it recorded, and its way to the fake libcuda.
//
// Faults are read from the environment at each call:
//   FAKE_NVDEC_CODECS   what the GPU decodes ("h264,hevc,vp8,vp9,av1"); the last three and HEVC at 10 bits too
//   FAKE_NVDEC_MAX, FAKE_NVDEC_MIN   coded sizes (4096x4096, 16x16)    FAKE_NVDEC_OUTPUTS  mask for 10 bits (3: both)
//   FAKE_NVDEC_FAIL     name:code[,name:code]   these calls return that code, without effect
//   FAKE_NVDEC_STATUS   decode status of every picture, or "unsupported"
//   FAKE_NVDEC_DELAY    so many pictures the parser of H.264 and HEVC holds back to put them in order (0)
//   FAKE_NVDEC_STUCK    1: mapping a picture does not return while it is set
// Mistakes that the real library answers with a crash or with silence are counted as "violations", and logged.
#pragma once
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ipcm.h"
#include "nvcuvid_types.h"

typedef int CUresult;
enum { OK = 0, INVALID_VALUE = 1, INVALID_HANDLE = 400, REFUSED_BY_CALLBACK = 999, NOT_SUPPORTED = 801 };
#define API __attribute__((visibility("default")))
#define TRY(expression)                    \
    do {                                   \
        CUresult result_ = (expression);   \
        if (result_) return result_;       \
    } while (0)

#define MOST_LOG (1 << 20)
static struct {
    pthread_mutex_t lock;
    long long decoders, parsers, mapped, most_mapped, violations, decoded;
    char log[MOST_LOG + 256];
    size_t used;
} world = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void record(const char *format, ...) {
    va_list arguments;
    pthread_mutex_lock(&world.lock);
    if (world.used < MOST_LOG) {
        va_start(arguments, format);
        world.used += (size_t)vsnprintf(world.log + world.used, 250, format, arguments);
        va_end(arguments);
        world.log[world.used++] = '\n';
        world.log[world.used] = 0;
    }
    pthread_mutex_unlock(&world.lock);
}
static CUresult violation(const char *what, CUresult answer) {
    record("VIOLATION %s", what);
    world.violations++;
    return answer;
}

static const char *setting(const char *name, const char *otherwise) {
    const char *text = getenv(name);
    return text ? text : otherwise;
}
static void size_setting(const char *name, const char *otherwise, unsigned *width, unsigned *height) {
    if (sscanf(setting(name, otherwise), "%ux%u", width, height) != 2) *width = *height = 0;
}
static int listed(const char *list, const char *word) {
    size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)); at += length)
        if ((at == list || at[-1] == ',') && (!at[length] || at[length] == ',' || at[length] == ':')) return (int)(at - list) + 1;
    return 0;
}
static CUresult injected(const char *call) {
    const char *list = setting("FAKE_NVDEC_FAIL", "");
    int at = listed(list, call);
    return at ? atoi(list + at - 1 + strlen(call) + 1) : OK;
}

// The fake libcuda of this process, which the client has opened.
static void *cuda(const char *name) {
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
    void *function = library ? dlsym(library, name) : NULL;
    if (!function) abort();
    return function;
}
static CUresult needs_context(void) { // and a GPU that is not lost
    size_t free_, total;
    return ((CUresult(*)(size_t *, size_t *))cuda("cuMemGetInfo_v2"))(&free_, &total);
}
static CUresult take(unsigned long long *address, size_t bytes) {
    return ((CUresult(*)(unsigned long long *, size_t))cuda("cuMemAlloc_v2"))(address, bytes);
}
static void give_back(unsigned long long address) {
    if (address) ((CUresult(*)(unsigned long long))cuda("cuMemFree_v2"))(address);
}
typedef struct {
    size_t src_x, src_y;
    int src_type;
    const void *src_host;
    unsigned long long src_device;
    void *src_array;
    size_t src_pitch, dst_x, dst_y;
    int dst_type;
    void *dst_host;
    unsigned long long dst_device;
    void *dst_array;
    size_t dst_pitch, width, height;
} Copy2D;
static CUresult copy(unsigned long long to, size_t to_pitch, const void *from, size_t width, size_t height, void *stream) {
    Copy2D job = {.src_type = 2, .src_device = (unsigned long long)from, .src_pitch = width, .dst_type = 2,
                  .dst_device = to, .dst_pitch = to_pitch, .width = width, .height = height};
    return ((CUresult(*)(const Copy2D *, void *))cuda("cuMemcpy2DAsync_v2"))(&job, stream);
}

// ---- what the two sides of a picture say to each other ----

// Other codecs than H.264 are a container of the fake's own: units of one or more of these, each with its samples,
// NV12 or P016 of the shown size.
typedef struct __attribute__((packed)) {
    char magic[2]; // "TV"
    uint8_t codec, kind, shown, bits, chroma, full_range, matrix, missing;
    uint16_t order, width, height, coded_width, coded_height, left, top;
    uint8_t field, damaged; // field: 0 frame, 1 first, 2 second of two
    uint32_t bytes;
} Tiny;
enum { INTER, KEY, SHOW_EXISTING };

enum { SHOWN_WIDTH = 1000, SHOWN_HEIGHT }; // in CodecReserved: what the slice data does not say

static const char *const CODEC_NAMES[] = {[4] = "h264", [8] = "hevc", [9] = "vp8", [10] = "vp9", [11] = "av1"};
static const char *codec_name(int codec) { return codec >= 0 && codec <= 11 && CODEC_NAMES[codec] ? CODEC_NAMES[codec] : "?"; }
