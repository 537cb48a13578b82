// The fake's entry points for streams, events, graphs and modules; a part of libcuda.c.

// ---- streams ---------------------------------------------------------------------------------------------------
API cuStreamCreateWithPriority(void **handle, unsigned flags, int priority) {
    ENTER_CONTEXT("cuStreamCreateWithPriority %u %d", flags, priority);
    Stream *stream = born(STREAM, sizeof *stream);
    stream->last = &stream->first;
    *handle = stream;
    return OK;
}
API cuStreamCreate(void **handle, unsigned flags) { return cuStreamCreateWithPriority(handle, flags, 0); }
API cuStreamDestroy_v2(void *handle) {
    ENTER_CONTEXT("cuStreamDestroy_v2");
    EXPECT(handle, STREAM);
    Stream *stream = handle;
    if (!on("FAKE_CUDA_STUCK")) TRY(drain(stream));
    while (stream->first) {
        Op *op = stream->first;
        stream->first = op->next;
        free_op(op);
    }
    unlink_thing(&stream->thing);
    free(stream);
    return OK;
}
API cuStreamQuery(void *handle) {
    ENTER_CONTEXT("cuStreamQuery");
    Stream *stream;
    TRY(stream_of(handle, &stream));
    return ask(stream);
}
API cuStreamSynchronize(void *handle) {
    ENTER_CONTEXT("cuStreamSynchronize");
    Stream *stream;
    TRY(stream_of(handle, &stream));
    if (stream->first && on("FAKE_CUDA_STUCK")) {
        world.hangs++;
        return TIMEOUT;
    }
    CUresult result = ask(stream);
    return result == NOT_READY ? OK : result;
}
API cuStreamWaitEvent(void *handle, void *event_handle, unsigned flags) {
    ENTER_CONTEXT("cuStreamWaitEvent %u", flags);
    Stream *stream;
    TRY(stream_of(handle, &stream));
    EXPECT(event_handle, EVENT);
    Event *event = event_handle;
    if (event->captured && event->stream && lives(event->stream, STREAM) && event->stream->capture) {
        if (!stream->capture) {  // joins the capture
            stream->capture = event->stream->capture;
            stream->origin = 0;
        } else if (stream->origin)
            event->stream->rejoined = 1;
        return OK;
    }
    Op op = {.what = AWAIT, .event = event, .generation = event->recorded};
    return hand_in(stream, &op);
}

// ---- events ----------------------------------------------------------------------------------------------------
API cuEventCreate(void **handle, unsigned flags) {
    ENTER_CONTEXT("cuEventCreate %u", flags);
    Event *event = born(EVENT, sizeof *event);
    event->timing = !(flags & 2);
    *handle = event;
    return OK;
}
API cuEventDestroy_v2(void *handle) {
    ENTER_CONTEXT("cuEventDestroy_v2");
    EXPECT(handle, EVENT);
    if (!on("FAKE_CUDA_STUCK")) TRY(drain_until(handle, ((Event *)handle)->recorded));
    unlink_thing(handle);
    free(handle);
    return OK;
}
API cuEventRecord(void *handle, void *stream_handle) {
    ENTER_CONTEXT("cuEventRecord");
    Stream *stream;
    TRY(stream_of(stream_handle, &stream));
    EXPECT(handle, EVENT);
    Event *event = handle;
    event->stream = stream == &legacy ? NULL : stream;
    event->captured = stream->capture != NULL;
    if (event->captured) return OK;
    Op op = {.what = MARK, .event = event, .generation = ++event->recorded};
    return hand_in(stream, &op);
}
API cuEventQuery(void *handle) {
    ENTER_CONTEXT("cuEventQuery");
    EXPECT(handle, EVENT);
    Event *event = handle;
    if (event->captured) return CAPTURED_EVENT;
    if (event->done >= event->recorded) return OK;
    if (on("FAKE_CUDA_STUCK")) return NOT_READY;
    CUresult result = drain_until(event, event->recorded);
    return result ? result : NOT_READY;
}
API cuEventSynchronize(void *handle) {
    CUresult result = cuEventQuery(handle);
    if (result != NOT_READY || !on("FAKE_CUDA_STUCK")) return result == NOT_READY ? OK : result;
    HOLD;
    world.hangs++;
    return TIMEOUT;
}
API cuEventElapsedTime(float *milliseconds, void *start, void *end) {
    ENTER_CONTEXT("cuEventElapsedTime");
    EXPECT(start, EVENT);
    EXPECT(end, EVENT);
    Event *a = start, *b = end;
    if (!a->timing || !b->timing || !a->recorded || !b->recorded) return INVALID_HANDLE;
    if (a->done < a->recorded || b->done < b->recorded) return NOT_READY;
    *milliseconds = (b->at.tv_sec - a->at.tv_sec) * 1e3f + (b->at.tv_nsec - a->at.tv_nsec) * 1e-6f;
    return OK;
}

// ---- capture ---------------------------------------------------------------------------------------------------
API cuStreamBeginCapture_v2(void *handle, int mode) {
    ENTER_CONTEXT("cuStreamBeginCapture_v2 %d", mode);
    EXPECT(handle, STREAM);  // the legacy stream cannot be captured
    Stream *stream = handle;
    if (stream->capture) return INVALID_VALUE;
    stream->capture = born(GRAPH, sizeof *stream->capture);
    stream->capture->last = &stream->capture->first;
    stream->origin = 1;
    return OK;
}
API cuStreamEndCapture(void *handle, void **graph_handle) {
    ENTER_CONTEXT("cuStreamEndCapture");
    EXPECT(handle, STREAM);
    Stream *stream = handle;
    Graph *graph = stream->capture;
    *graph_handle = NULL;
    if (!graph || !stream->origin) return CAPTURE_UNMATCHED;
    CUresult result = graph->invalid ? CAPTURE_INVALIDATED : OK;
    for (Thing *thing = world.alive; thing; thing = thing->next) {
        Stream *other = (Stream *)thing;
        if (thing->kind != STREAM || other->capture != graph) continue;
        if (!other->origin && !other->rejoined && !result) result = CAPTURE_UNJOINED;
        other->capture = NULL;
        other->origin = other->rejoined = 0;
    }
    if (result) free_graph(graph);
    else *graph_handle = graph;
    return result;
}
API cuStreamIsCapturing(void *handle, int *status) {
    ENTER_CONTEXT("cuStreamIsCapturing");
    Stream *stream;
    TRY(stream_of(handle, &stream));
    *status = !stream->capture ? 0 : stream->capture->invalid ? 2 : 1;
    return OK;
}
API cuGraphInstantiateWithFlags(void **exec, void *graph_handle, unsigned long long flags) {
    ENTER_CONTEXT("cuGraphInstantiateWithFlags %llu", flags);
    EXPECT(graph_handle, GRAPH);
    Graph *copy = born(EXEC, sizeof *copy);
    copy->last = &copy->first;
    for (Op *op = ((Graph *)graph_handle)->first; op; op = op->next) {
        Op *own = malloc(sizeof *own);
        *own = *op;
        own->next = NULL;
        *copy->last = own;
        copy->last = &own->next;
    }
    *exec = copy;
    return OK;
}
API cuGraphLaunch(void *exec, void *handle) {
    ENTER_CONTEXT("cuGraphLaunch");
    EXPECT(exec, EXEC);
    Stream *stream;
    TRY(stream_of(handle, &stream));
    Op op = {.what = RUN_GRAPH, .graph = exec};
    return hand_in(stream, &op);
}
API cuGraphDestroy(void *handle) {
    ENTER_CONTEXT("cuGraphDestroy");
    EXPECT(handle, GRAPH);
    free_graph(handle);
    return OK;
}
API cuGraphExecDestroy(void *handle) {
    ENTER_CONTEXT("cuGraphExecDestroy");
    EXPECT(handle, EXEC);
    if (!on("FAKE_CUDA_STUCK")) TRY(drain_all());
    free_graph(handle);
    return OK;
}

// ---- modules ---------------------------------------------------------------------------------------------------
API cuModuleLoadData(void **module, const void *image) {
    ENTER_CONTEXT("cuModuleLoadData");
    static const unsigned char elf[] = "\x7f" "ELF", fatbin[] = {0x50, 0xed, 0x55, 0xba};
    int text = !memcmp(image, "//", 2) || !memcmp(image, ".version", 8);
    if (memcmp(image, elf, 4) && memcmp(image, fatbin, 4) && !text) return INVALID_IMAGE;
    *module = born(MODULE, sizeof(Thing));
    return OK;
}
API cuModuleUnload(void *module) {
    ENTER_CONTEXT("cuModuleUnload");
    EXPECT(module, MODULE);
    TRY(drain_all());
    unlink_thing(module);
    free(module);
    return OK;
}
API cuModuleGetFunction(void **handle, void *module, const char *name) {
    ENTER_CONTEXT("cuModuleGetFunction %s", name);
    EXPECT(module, MODULE);
    if (!kernel_exists(name)) return NOT_FOUND;
    for (Thing *thing = world.alive; thing; thing = thing->next)  // one a name: functions are never given back
        if (thing->kind == FUNCTION && !strcmp(((Function *)thing)->name, name)) return *handle = thing, OK;
    Function *function = born(FUNCTION, sizeof *function);
    snprintf(function->name, sizeof function->name, "%s", name);
    *handle = function;
    return OK;
}
API cuLaunchKernel(void *handle, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream_handle, void **arguments, void **extra) {
    HOLD;
    EXPECT(handle, FUNCTION);
    Function *function = handle;
    record("cuLaunchKernel %s %ux%ux%u %ux%ux%u %u", function->name, gx, gy, gz, bx, by, bz, shared);
    TRY(fault(__func__));
    TRY(needs_context());
    Stream *stream;
    TRY(stream_of(stream_handle, &stream));
    if (extra || !gx || !gy || !gz || gy > 65535 || gz > 65535 || !bx || !by || !bz || bx * by * bz > 1024 || bz > 64)
        return INVALID_VALUE;
    Op op = {.what = LAUNCH, .function = *function, .dims = {gx, gy, gz, bx, by, bz}};
    while (arguments && op.value_count < 64 && arguments[op.value_count]) {
        memcpy(&op.values[op.value_count], arguments[op.value_count], 8);  // ctypes' values have room for 16
        op.value_count++;
    }
    return hand_in(stream, &op);
}

// ---- words -----------------------------------------------------------------------------------------------------
__attribute__((visibility("default"))) CUresult cuGetErrorName(CUresult code, const char **name) {
    static const struct {
        int code;
        const char *name;
    } names[] = {
        {0, "CUDA_SUCCESS"}, {1, "CUDA_ERROR_INVALID_VALUE"}, {2, "CUDA_ERROR_OUT_OF_MEMORY"},
        {3, "CUDA_ERROR_NOT_INITIALIZED"}, {100, "CUDA_ERROR_NO_DEVICE"}, {101, "CUDA_ERROR_INVALID_DEVICE"},
        {200, "CUDA_ERROR_INVALID_IMAGE"}, {201, "CUDA_ERROR_INVALID_CONTEXT"}, {209, "CUDA_ERROR_NO_BINARY_FOR_GPU"},
        {214, "CUDA_ERROR_ECC_UNCORRECTABLE"}, {400, "CUDA_ERROR_INVALID_HANDLE"}, {500, "CUDA_ERROR_NOT_FOUND"},
        {600, "CUDA_ERROR_NOT_READY"}, {700, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {709, "CUDA_ERROR_CONTEXT_IS_DESTROYED"},
        {719, "CUDA_ERROR_LAUNCH_FAILED"}, {803, "CUDA_ERROR_SYSTEM_DRIVER_MISMATCH"},
        {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"}, {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED"},
        {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED"}, {904, "CUDA_ERROR_STREAM_CAPTURE_UNJOINED"},
        {907, "CUDA_ERROR_CAPTURED_EVENT"}, {909, "CUDA_ERROR_TIMEOUT"}, {999, "CUDA_ERROR_UNKNOWN"},
    };
    *name = NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (names[i].code == code) return *name = names[i].name, OK;
    return INVALID_VALUE;
}
API cuGetErrorString(CUresult code, const char **text) { return cuGetErrorName(code, text); }
