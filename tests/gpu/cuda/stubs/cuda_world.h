// What the fake libcuda holds: its lock, its faults, what it recorded, and the registry of everything alive.
//
// Faults are read from the environment at each call:
//   FAKE_CUDA_DEVICES     how many GPUs (1)            FAKE_CUDA_NAME     their name (Fake GPU)
//   FAKE_CUDA_CC          compute capability (8.9)     FAKE_CUDA_VERSION  CUDA version of the driver (13000)
//   FAKE_CUDA_MEMORY      bytes of a GPU (8 GiB)       FAKE_CUDA_KERNELS  library with relens_cpu_launch
//   FAKE_CUDA_LOST_AFTER  after so many calls, counted while it is set, the GPU is lost (700) until the world is reset
//   FAKE_CUDA_FAIL        name:code[,name:code]        these calls return that code, without effect
//   FAKE_CUDA_STUCK       1: work is taken in and never done
//   FAKE_CUDA_DEFERRED    1: work of a stream is done no sooner than somebody asks for it, so that what does not wait
//                         for an event sees memory as it was before
//   FAKE_CUDA_CRASH       "segv" or "exit": cuInit ends the process       FAKE_CUDA_HANG  1: cuInit never returns
#pragma once
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

typedef int CUresult;
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;

enum {
    OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101,
    INVALID_IMAGE = 200, INVALID_CONTEXT = 201, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600,
    ILLEGAL_ADDRESS = 700, CONTEXT_IS_DESTROYED = 709, LAUNCH_FAILED = 719, CAPTURE_UNSUPPORTED = 900,
    CAPTURE_INVALIDATED = 901, CAPTURE_UNMATCHED = 903, CAPTURE_UNJOINED = 904, CAPTURED_EVENT = 907, TIMEOUT = 909,
};

typedef enum { MEMORY, PINNED, STREAM, EVENT, MODULE, FUNCTION, GRAPH, EXEC, CONTEXT, KINDS } Kind;
static const char *const KIND_NAMES[KINDS] = {"memory", "pinned", "streams", "events", "modules", "functions", "graphs",
                                              "execs", "contexts"};

typedef struct Thing {  // the head of everything that has a handle
    Kind kind;
    struct Thing *next;
} Thing;
typedef struct {
    Thing thing;
    unsigned char *bytes;
    size_t size;
    int counted;  // in device_bytes
} Block;  // device or pinned memory
typedef struct {
    Thing thing;
    int device, references;
} Context;

#define MOST_LOG (4 << 20)
static struct {
    pthread_mutex_t lock;
    int initialized, lost;
    long lost_count;
    Thing *alive, *freed;  // freed: memory kept to tell use after free from memory of others
    long long counts[KINDS], calls, launches, hangs, bytes[3], device_bytes;
    char *log;
    size_t log_used;
    Context *contexts[8];
} world = {.lock = PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP};
static __thread Context *current[64];
static __thread int depth;

static const char *setting(const char *name, const char *otherwise) {
    const char *text = getenv(name);
    return text && *text ? text : otherwise;
}
static long long number(const char *name, long long otherwise) {
    const char *text = setting(name, NULL);
    return text ? atoll(text) : otherwise;
}
static int on(const char *name) { return number(name, 0) != 0; }

static void *born(Kind kind, size_t size) {
    Thing *thing = calloc(1, size);
    thing->kind = kind;
    thing->next = world.alive;
    world.alive = thing;
    world.counts[kind]++;
    return thing;
}
static int lives(const void *handle, Kind kind) {
    for (Thing *thing = world.alive; thing; thing = thing->next)
        if (thing == handle) return thing->kind == kind;
    return 0;
}
static void unlink_thing(Thing *gone) {
    for (Thing **at = &world.alive; *at; at = &(*at)->next)
        if (*at == gone) {
            *at = gone->next;
            world.counts[gone->kind]--;
            return;
        }
}
static Block *block_at(Thing *list, CUdeviceptr address, Kind kind) {
    for (Thing *thing = list; thing; thing = thing->next) {
        Block *block = (Block *)thing;
        if (thing->kind == kind && address >= (CUdeviceptr)block->bytes && address < (CUdeviceptr)block->bytes + block->size)
            return block;
    }
    return NULL;
}
// Whether device memory may be touched there: not beyond a live block, not in a freed one. Memory of other libraries
// (a decoder's surfaces) is not known here, and allowed.
static int touchable(CUdeviceptr address, size_t size) {
    if (!size) return 1;
    Block *block = block_at(world.alive, address, MEMORY);
    if (block) return address + size <= (CUdeviceptr)block->bytes + block->size;
    return address > 4096 && !block_at(world.freed, address, MEMORY);
}

static void record(const char *format, ...) {
    va_list arguments;
    if (!world.log) world.log = calloc(1, MOST_LOG + 1);
    va_start(arguments, format);
    int room = (int)(MOST_LOG - world.log_used), wrote = vsnprintf(world.log + world.log_used, room, format, arguments);
    va_end(arguments);
    if (wrote + 1 >= room) {  // full: what does not fit is left out
        world.log[world.log_used] = 0;
        return;
    }
    world.log_used += wrote;
    world.log[world.log_used++] = '\n';
    world.log[world.log_used] = 0;
}

static CUresult injected(const char *call) {
    const char *list = setting("FAKE_CUDA_FAIL", ""), *at = list;
    size_t length = strlen(call);
    while ((at = strstr(at, call))) {
        if ((at == list || at[-1] == ',') && at[length] == ':') return atoi(at + length + 1);
        at += length;
    }
    return OK;
}
static CUresult fault(const char *call) {
    world.calls++;
    const char *after = setting("FAKE_CUDA_LOST_AFTER", NULL);
    if (!after) world.lost_count = 0;
    else if (world.lost_count++ >= atol(after)) world.lost = 1;
    if (world.lost) return ILLEGAL_ADDRESS;
    return injected(call);
}
static CUresult needs_context(void) {
    if (!world.initialized) return NOT_INITIALIZED;
    if (!depth) return INVALID_CONTEXT;
    return current[depth - 1]->references ? OK : CONTEXT_IS_DESTROYED;
}

static inline void leave(int *held) {
    (void)held;
    pthread_mutex_unlock(&world.lock);
}
#define HOLD                                              \
    pthread_mutex_lock(&world.lock);                      \
    __attribute__((cleanup(leave), unused)) int held = 1
#define TRY(expression)                    \
    do {                                   \
        CUresult result_ = (expression);   \
        if (result_) return result_;       \
    } while (0)
// Of each function: takes the lock, writes the call down, and fails as the environment says.
#define ENTER(...)            \
    HOLD;                     \
    record(__VA_ARGS__);      \
    TRY(fault(__func__))
#define ENTER_CONTEXT(...)    \
    ENTER(__VA_ARGS__);       \
    TRY(needs_context())
#define EXPECT(handle, kind)  \
    if (!lives(handle, kind)) return INVALID_HANDLE
