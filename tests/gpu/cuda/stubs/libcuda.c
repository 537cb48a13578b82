// A stand-in for the NVIDIA driver's libcuda.so.1, for tests: device memory is malloc's, kernels run on the CPU, and
// faults come from the environment (cuda_world.h). Stricter than the real one where that finds mistakes: memory starts
// as 0xA5, freed memory is remembered, every call without a current context fails.
#include "cuda_work.h"

#define API __attribute__((visibility("default"))) CUresult

// ---- for the tests ---------------------------------------------------------------------------------------------
__attribute__((visibility("default"))) long long fake_cuda_count(const char *what) {
    HOLD;
    for (int kind = 0; kind < KINDS; kind++)
        if (!strcmp(what, KIND_NAMES[kind])) return world.counts[kind];
    if (!strcmp(what, "calls")) return world.calls;
    if (!strcmp(what, "launches")) return world.launches;
    if (!strcmp(what, "hangs")) return world.hangs;
    if (!strcmp(what, "lost")) return world.lost;
    if (!strcmp(what, "depth")) return depth;
    if (!strcmp(what, "device_bytes")) return world.device_bytes;
    static const char *const ways[] = {"h2d", "d2h", "d2d"};
    for (int way = 0; way < 3; way++)
        if (!strcmp(what, ways[way])) return world.bytes[way];
    return -1;
}
__attribute__((visibility("default"))) const char *fake_cuda_log(void) {
    HOLD;
    return world.log ? world.log : "";
}
// Forgets calls, counts of work and a lost GPU. What is alive stays alive, and counted.
__attribute__((visibility("default"))) void fake_cuda_reset(void) {
    HOLD;
    world.lost = 0;
    world.lost_count = world.calls = world.launches = world.hangs = 0;
    memset(world.bytes, 0, sizeof world.bytes);
    world.log_used = 0;
    if (world.log) world.log[0] = 0;
}

// As the reset, and what is alive takes no memory any more: another test begins, on a GPU of its own.
__attribute__((visibility("default"))) void fake_cuda_fresh(void) {
    HOLD;
    fake_cuda_reset();
    for (Thing *thing = world.alive; thing; thing = thing->next)
        if (thing->kind == MEMORY) ((Block *)thing)->counted = 0;
    world.device_bytes = 0;
}

// ---- the driver and its devices --------------------------------------------------------------------------------
API cuInit(unsigned flags) {
    const char *crash = setting("FAKE_CUDA_CRASH", "");
    if (!strcmp(crash, "segv")) *(volatile int *)8 = 0;
    if (!strcmp(crash, "exit")) _exit(1);
    while (on("FAKE_CUDA_HANG")) sleep(1);
    ENTER("cuInit %u", flags);
    if (number("FAKE_CUDA_DEVICES", 1) < 1) return NO_DEVICE;
    world.initialized = 1;
    return OK;
}
API cuDriverGetVersion(int *version) {
    ENTER("cuDriverGetVersion");
    *version = (int)number("FAKE_CUDA_VERSION", 13000);
    return OK;
}
API cuDeviceGetCount(int *count) {
    ENTER("cuDeviceGetCount");
    *count = (int)number("FAKE_CUDA_DEVICES", 1);
    return world.initialized ? OK : NOT_INITIALIZED;
}
static CUresult known(CUdevice device) {
    if (!world.initialized) return NOT_INITIALIZED;
    return device >= 0 && device < number("FAKE_CUDA_DEVICES", 1) && device < 8 ? OK : INVALID_DEVICE;
}
API cuDeviceGet(CUdevice *device, int ordinal) {
    ENTER("cuDeviceGet %d", ordinal);
    *device = ordinal;
    return known(ordinal);
}
API cuDeviceGetName(char *name, int length, CUdevice device) {
    ENTER("cuDeviceGetName %d", device);
    snprintf(name, length, "%s", setting("FAKE_CUDA_NAME", "Fake GPU"));
    return known(device);
}
API cuDeviceGetUuid_v2(unsigned char *uuid, CUdevice device) {
    ENTER("cuDeviceGetUuid_v2 %d", device);
    for (int i = 0; i < 16; i++) uuid[i] = (unsigned char)(16 * i + device);
    return known(device);
}
API cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    ENTER("cuDeviceTotalMem_v2 %d", device);
    *bytes = number("FAKE_CUDA_MEMORY", 8LL << 30);
    return known(device);
}
API cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
    ENTER("cuDeviceGetAttribute %d %d", attribute, device);
    int major = 8, minor = 9;
    sscanf(setting("FAKE_CUDA_CC", "8.9"), "%d.%d", &major, &minor);
    *value = attribute == 75 ? major : attribute == 76 ? minor : attribute == 16 ? 8 : 0;
    return known(device);
}

// ---- contexts --------------------------------------------------------------------------------------------------
API cuDevicePrimaryCtxRetain(void **context, CUdevice device) {
    ENTER("cuDevicePrimaryCtxRetain %d", device);
    TRY(known(device));
    Context **place = &world.contexts[device];
    if (!*place) {
        *place = born(CONTEXT, sizeof **place);
        (*place)->device = device;
    }
    (*place)->references++;
    *context = *place;
    return OK;
}
API cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    ENTER("cuDevicePrimaryCtxRelease_v2 %d", device);
    TRY(known(device));
    Context *context = world.contexts[device];
    if (!context || !context->references) return INVALID_CONTEXT;
    if (!--context->references) {
        world.contexts[device] = NULL;
        unlink_thing(&context->thing);  // never freed: stacks of threads may still name it
    }
    return OK;
}
API cuCtxPushCurrent_v2(void *context) {
    HOLD;
    EXPECT(context, CONTEXT);
    if (depth >= 64) return INVALID_VALUE;
    current[depth++] = context;
    return OK;
}
API cuCtxPopCurrent_v2(void **context) {
    HOLD;
    if (!depth) return INVALID_CONTEXT;
    depth--;
    if (context) *context = current[depth];
    return OK;
}
API cuCtxGetCurrent(void **context) {
    HOLD;
    *context = depth ? current[depth - 1] : NULL;
    return OK;
}
API cuCtxSynchronize(void) {
    ENTER_CONTEXT("cuCtxSynchronize");
    return drain_all();
}

// ---- memory ----------------------------------------------------------------------------------------------------
static Block *allocate(Kind kind, size_t size) {
    Block *block = born(kind, sizeof *block);
    if (posix_memalign((void **)&block->bytes, 512, size)) abort();
    memset(block->bytes, 0xA5, size);
    block->size = size;
    return block;
}
API cuMemGetInfo_v2(size_t *free_, size_t *total) {
    ENTER_CONTEXT("cuMemGetInfo_v2");
    *total = number("FAKE_CUDA_MEMORY", 8LL << 30);
    *free_ = *total - world.device_bytes;
    return OK;
}
API cuMemAlloc_v2(CUdeviceptr *address, size_t size) {
    ENTER_CONTEXT("cuMemAlloc_v2 %zu", size);
    if (!size) return INVALID_VALUE;
    if (world.device_bytes + (long long)size > number("FAKE_CUDA_MEMORY", 8LL << 30)) return OUT_OF_MEMORY;
    world.device_bytes += size;
    Block *block = allocate(MEMORY, size);
    block->counted = 1;
    *address = (CUdeviceptr)block->bytes;
    return OK;
}
API cuMemAllocPitch_v2(CUdeviceptr *address, size_t *pitch, size_t width, size_t height, unsigned element) {
    (void)element;
    *pitch = (width + 511) / 512 * 512;
    return cuMemAlloc_v2(address, *pitch * height);
}
API cuMemFree_v2(CUdeviceptr address) {
    ENTER_CONTEXT("cuMemFree_v2");
    Block *block = block_at(world.alive, address, MEMORY);
    if (!block || (CUdeviceptr)block->bytes != address) return INVALID_VALUE;
    TRY(drain_all());
    if (block->counted) world.device_bytes -= block->size;
    unlink_thing(&block->thing);
    memset(block->bytes, 0xDD, block->size);
    block->thing.next = world.freed;
    world.freed = &block->thing;
    size_t kept = 0;
    for (Thing **at = &world.freed; *at;) {  // the newest 64 MiB are remembered
        Block *old = (Block *)*at;
        kept += old->size;
        if (kept <= (64u << 20)) at = &(*at)->next;
        else {
            *at = old->thing.next;
            free(old->bytes);
            free(old);
        }
    }
    return OK;
}
API cuMemHostAlloc(void **address, size_t size, unsigned flags) {
    ENTER_CONTEXT("cuMemHostAlloc %zu %u", size, flags);
    *address = allocate(PINNED, size)->bytes;
    return OK;
}
API cuMemFreeHost(void *address) {
    ENTER_CONTEXT("cuMemFreeHost");
    Block *block = block_at(world.alive, (CUdeviceptr)address, PINNED);
    if (!block || block->bytes != address) return INVALID_VALUE;
    TRY(drain_all());
    unlink_thing(&block->thing);
    free(block->bytes);
    free(block);
    return OK;
}

// ---- copies ----------------------------------------------------------------------------------------------------
static CUresult stream_of(void *handle, Stream **stream) {
    *stream = handle ? handle : &legacy;
    if (handle) EXPECT(handle, STREAM);
    return OK;
}
// Host memory that is not page-locked is read before the call returns, and written before it returns.
static CUresult copy(Stream *stream, Op *op) {
    op->what = COPY;
    if (op->way == HOST_TO_DEVICE && !block_at(world.alive, (CUdeviceptr)op->from, PINNED)) {
        op->own = malloc(op->width * op->height + 1);
        for (size_t row = 0; row < op->height; row++)
            memcpy(op->own + row * op->width, op->from + row * op->from_pitch, op->width);
        op->from = op->own;
        op->from_pitch = op->width;
    }
    int waits = op->way == DEVICE_TO_HOST && !block_at(world.alive, (CUdeviceptr)op->to, PINNED);
    if (waits && stream->capture) return CAPTURE_UNSUPPORTED;
    if (waits && on("FAKE_CUDA_STUCK")) {
        world.hangs++;
        return TIMEOUT;
    }
    TRY(hand_in(stream, op));
    return waits ? drain(stream) : OK;
}
static CUresult line(void *handle, CUdeviceptr to, CUdeviceptr from, size_t size, int way) {
    Stream *stream;
    TRY(stream_of(handle, &stream));
    Op op = {.to = (void *)to, .from = (void *)from, .width = size, .height = 1, .way = way};
    return copy(stream, &op);
}
API cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t size, void *stream) {
    ENTER_CONTEXT("cuMemcpyHtoDAsync_v2 %zu", size);
    return line(stream, to, (CUdeviceptr)from, size, HOST_TO_DEVICE);
}
API cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t size, void *stream) {
    ENTER_CONTEXT("cuMemcpyDtoHAsync_v2 %zu", size);
    return line(stream, (CUdeviceptr)to, from, size, DEVICE_TO_HOST);
}
API cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t size, void *stream) {
    ENTER_CONTEXT("cuMemcpyDtoDAsync_v2 %zu", size);
    return line(stream, to, from, size, DEVICE_TO_DEVICE);
}
typedef struct {
    size_t src_x, src_y;
    int src_type;
    const void *src_host;
    CUdeviceptr src_device;
    void *src_array;
    size_t src_pitch, dst_x, dst_y;
    int dst_type;
    void *dst_host;
    CUdeviceptr dst_device;
    void *dst_array;
    size_t dst_pitch, width, height;
} Copy2D;
API cuMemcpy2DAsync_v2(const Copy2D *job, void *handle) {
    ENTER_CONTEXT("cuMemcpy2DAsync_v2 %zux%zu %d->%d", job->width, job->height, job->src_type, job->dst_type);
    Stream *stream;
    TRY(stream_of(handle, &stream));
    if (job->width > job->src_pitch || job->width > job->dst_pitch) return INVALID_VALUE;
    if (job->src_type < 1 || job->src_type > 2 || job->dst_type < 1 || job->dst_type > 2) return INVALID_VALUE;
    CUdeviceptr from = job->src_type == 1 ? (CUdeviceptr)job->src_host : job->src_device;
    CUdeviceptr to = job->dst_type == 1 ? (CUdeviceptr)job->dst_host : job->dst_device;
    Op op = {.to = (unsigned char *)to + job->dst_y * job->dst_pitch + job->dst_x, .to_pitch = job->dst_pitch,
             .from = (unsigned char *)from + job->src_y * job->src_pitch + job->src_x, .from_pitch = job->src_pitch,
             .width = job->width, .height = job->height,
             .way = job->src_type == 1 ? HOST_TO_DEVICE : job->dst_type == 1 ? DEVICE_TO_HOST : DEVICE_TO_DEVICE};
    size_t reach_to = (job->height - 1) * job->dst_pitch + job->width, reach_from = (job->height - 1) * job->src_pitch + job->width;
    if (job->dst_type == 2 && !touchable((CUdeviceptr)op.to, reach_to)) return INVALID_VALUE;
    if (job->src_type == 2 && !touchable((CUdeviceptr)op.from, reach_from)) return INVALID_VALUE;
    return copy(stream, &op);
}
API cuMemsetD8Async(CUdeviceptr to, unsigned char byte, size_t size, void *handle) {
    ENTER_CONTEXT("cuMemsetD8Async %u %zu", byte, size);
    Stream *stream;
    TRY(stream_of(handle, &stream));
    Op op = {.what = FILL, .to = (void *)to, .byte = byte, .width = size};
    return hand_in(stream, &op);
}
#include "cuda_order.h"
