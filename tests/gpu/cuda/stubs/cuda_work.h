// The fake's streams: what was handed in, when it is done, and what a capture recorded.
#pragma once
#include "cuda_world.h"

typedef struct Stream Stream;
typedef struct {
    Thing thing;
    char name[128];
} Function;
typedef struct {
    Thing thing;
    int timing, captured;
    long recorded, done;  // generations
    Stream *stream;       // where it was recorded last
    struct timespec at;
} Event;

typedef struct Op {
    enum { COPY, FILL, LAUNCH, MARK, AWAIT, RUN_GRAPH } what;
    unsigned char *to, *from, *own;  // own: a copy of host memory that the caller may change after the call
    size_t to_pitch, from_pitch, width, height;
    int byte, way;
    Function function;
    unsigned dims[6];
    uint64_t values[64];
    int value_count;
    Event *event;
    long generation;
    struct Graph *graph;
    struct Op *next;
} Op;
typedef struct Graph {
    Thing thing;
    Op *first, **last;
    int invalid;
} Graph;
struct Stream {
    Thing thing;
    Op *first, **last;
    Graph *capture;
    int origin, rejoined;
};
static Stream legacy = {.thing = {.kind = STREAM}, .last = &legacy.first};  // stream 0: its work is done at once
enum { HOST_TO_DEVICE, DEVICE_TO_HOST, DEVICE_TO_DEVICE };

static void free_op(Op *op) {
    free(op->own);
    free(op);
}
static void free_graph(Graph *graph) {
    while (graph->first) {
        Op *op = graph->first;
        graph->first = op->next;
        free_op(op);
    }
    unlink_thing(&graph->thing);
    free(graph);
}

static int (*kernels(void))(const char *, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned, void **) {
    const char *path = setting("FAKE_CUDA_KERNELS", NULL);
    void *library = path ? dlopen(path, RTLD_NOW) : NULL;
    return library ? dlsym(library, "relens_cpu_launch") : NULL;
}
static int kernel_exists(const char *name) {
    const char *path = setting("FAKE_CUDA_KERNELS", NULL);
    void *library = path ? dlopen(path, RTLD_NOW) : NULL;
    return !strcmp(name, "fake_add") || (library && dlsym(library, name));
}
// The fake's own kernel, for tests of the driver layer alone: adds `delta` to each of `count` bytes.
static void fake_add(void **arguments) {
    unsigned char *bytes = *(unsigned char **)arguments[0];
    unsigned count = *(unsigned *)arguments[1], delta = *(unsigned *)arguments[2];
    for (unsigned i = 0; i < count; i++) bytes[i] += (unsigned char)delta;
}

static CUresult drain(Stream *stream);
static CUresult drain_until(Event *event, long generation);

static CUresult perform(Op *op) {
    switch (op->what) {
    case COPY:
        if (op->way != HOST_TO_DEVICE && !touchable((CUdeviceptr)op->from, op->width)) return ILLEGAL_ADDRESS;
        if (op->way != DEVICE_TO_HOST && !touchable((CUdeviceptr)op->to, op->width)) return ILLEGAL_ADDRESS;
        for (size_t row = 0; row < op->height; row++)
            memmove(op->to + row * op->to_pitch, op->from + row * op->from_pitch, op->width);
        world.bytes[op->way] += op->width * op->height;
        return OK;
    case FILL:
        if (!touchable((CUdeviceptr)op->to, op->width)) return ILLEGAL_ADDRESS;
        memset(op->to, op->byte, op->width);
        return OK;
    case LAUNCH: {
        void *arguments[64];
        for (int i = 0; i < 64; i++) arguments[i] = &op->values[i];
        world.launches++;
        if (!strcmp(op->function.name, "fake_add")) return fake_add(arguments), OK;
        const unsigned *d = op->dims;
        return kernels()(op->function.name, d[0], d[1], d[2], d[3], d[4], d[5], arguments) ? LAUNCH_FAILED : OK;
    }
    case MARK:
        if (lives(op->event, EVENT)) {
            op->event->done = op->generation;
            clock_gettime(CLOCK_MONOTONIC, &op->event->at);
        }
        return OK;
    case AWAIT:
        return lives(op->event, EVENT) ? drain_until(op->event, op->generation) : OK;
    case RUN_GRAPH:
        for (Op *step = op->graph->first; step; step = step->next) TRY(perform(step));
        return OK;
    }
    return OK;
}
static CUresult perform_next(Stream *stream) {
    Op *op = stream->first;
    stream->first = op->next;
    if (!stream->first) stream->last = &stream->first;
    CUresult result = perform(op);
    free_op(op);
    if (result) world.lost = 1;  // as on the device: an error in a kernel or copy ends the context
    return result;
}
static CUresult drain(Stream *stream) {
    while (stream->first) TRY(perform_next(stream));
    return OK;
}
static CUresult drain_until(Event *event, long generation) {
    while (event->done < generation && event->stream && lives(event->stream, STREAM) && event->stream->first)
        TRY(perform_next(event->stream));
    return OK;
}
static CUresult drain_all(void) {
    if (on("FAKE_CUDA_STUCK")) {  // here the real driver would wait for ever
        world.hangs++;
        return TIMEOUT;
    }
    for (Thing *thing = world.alive; thing; thing = thing->next)
        if (thing->kind == STREAM) TRY(drain((Stream *)thing));
    return OK;
}

// Hands a copy of `op` in: to the capture, or to the stream's queue, which is worked off at once unless told otherwise.
static CUresult hand_in(Stream *stream, const Op *op) {
    Op *own = malloc(sizeof *own);
    *own = *op;
    own->next = NULL;
    if (stream->capture) {
        if (op->own) stream->capture->invalid = 1;
        *stream->capture->last = own;
        stream->capture->last = &own->next;
        if (!stream->origin) stream->rejoined = 0;
        return op->own ? CAPTURE_UNSUPPORTED : OK;
    }
    *stream->last = own;
    stream->last = &own->next;
    int later = stream != &legacy && (on("FAKE_CUDA_STUCK") || on("FAKE_CUDA_DEFERRED"));
    return later ? OK : drain(stream);
}
// Whether a stream is done. When work is put off: not yet at the first look, and done by the second.
static CUresult ask(Stream *stream) {
    if (stream->capture) {
        stream->capture->invalid = 1;
        return CAPTURE_UNSUPPORTED;
    }
    if (!stream->first) return OK;
    if (on("FAKE_CUDA_STUCK")) return NOT_READY;
    CUresult result = drain(stream);
    return result ? result : NOT_READY;
}
