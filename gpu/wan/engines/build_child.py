"""The child process of builder.py: one order in, progress and one answer out, as lines of JSON.

The library may crash, hang or take tens of gigabytes here; whoever asked loses one build by it. The end of
standard input asks it to stop, also when the parent has died.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpu.errors import DeviceError, RelensError
from gpu.wan.engines.build_shares import Shares
from gpu.wan.engines.builder import BuildPlan, Built, Cancelled
from gpu.wan.engines.trt_library import TrtLibrary, load, logger_of
from gpu.wan.engines.trt_network import decompose_attention, in_place_updates, parse

_NICE = 5  # streams that run beside it come first
_NO_WHOLE_ATTENTION = "is_decomposable"  # in the library's message when it has no fused kernel (1.7, 11.x)


def main() -> int:
    say = _Mouth()
    order = json.loads(sys.stdin.buffer.readline())
    target = Path(order.pop("target"))
    stop = threading.Event()
    threading.Thread(target=_listen, args=(stop,), daemon=True).start()
    os.nice(_NICE)
    try:
        built = build(_plan(order), target, say, stop)
    except RelensError as exc:
        kind = next((each.__name__ for each in type(exc).__mro__ if each.__name__ in _SPOKEN), "DeviceError")
        say(error=kind, message=str(exc))
    except MemoryError:
        say(error="NoMemory", message="not enough memory is left to build the engine: free some")
    else:
        say(built=asdict(built))
    return 0


_SPOKEN = ("ModelError", "NoMemory", "DeviceError")


class _Mouth:
    """Writes messages to what was standard output; libraries that print now reach standard error instead."""

    def __init__(self) -> None:
        self._file = os.fdopen(os.dup(1), "wb", buffering=0)
        self._lock = threading.Lock()  # progress comes from the library's own threads
        os.dup2(2, 1)

    def __call__(self, **message: Any) -> None:
        with self._lock:
            self._file.write(json.dumps(message).encode() + b"\n")


def _listen(stop: threading.Event) -> None:
    while sys.stdin.buffer.read(1):
        pass
    stop.set()


def _plan(order: dict[str, Any]) -> BuildPlan:
    for name in ("architectures", "in_place"):
        order[name] = tuple(order[name])
    for name in ("graph", "timing_cache"):
        order[name] = None if order[name] is None else Path(order[name])
    return BuildPlan(**order)


def build(plan: BuildPlan, target: Path, say: _Mouth, stop: threading.Event) -> Built:
    """Parse and build, once more with attention taken apart where the library has no kernel for it whole."""
    library = load(plan.library)
    apart = plan.decompose == "always"
    say(share=0.0, what="reading the graph")
    while True:
        try:
            return _build(plan, library, target, apart, say, stop)
        except _NoWholeAttention as exc:
            if apart or plan.decompose == "never":
                raise DeviceError(
                    f"{library.words} has no kernel for the graph's attention ({exc}): use fp16 or bf16"
                ) from exc
            apart = True


class _NoWholeAttention(Exception):
    pass


def _build(
    plan: BuildPlan, library: TrtLibrary, target: Path, apart: bool, say: _Mouth, stop: threading.Event
) -> Built:
    trt, started = library.trt, time.monotonic()
    logger = logger_of(library)
    builder = _builder(library)
    parsed = parse(library, builder, plan.graph)
    in_place = in_place_updates(library, parsed.network, plan.in_place)
    if apart:
        apart = decompose_attention(library, parsed.network) > 0
    read = time.monotonic()

    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, plan.workspace_bytes)
    if plan.level is not None:
        config.builder_optimization_level = plan.level
    if plan.architectures:
        config.num_compute_capabilities = len(plan.architectures)
        for place, architecture in enumerate(plan.architectures):
            config.set_compute_capability(getattr(trt.ComputeCapability, architecture.upper()), place)
    monitor = _monitor(library, say, stop)
    config.progress_monitor = monitor
    if hasattr(trt.BuilderFlag, "REQUIRE_USER_ALLOCATION"):  # a pass allocates nothing: it can be recorded
        config.set_flag(trt.BuilderFlag.REQUIRE_USER_ALLOCATION)
    cache = _timing_cache(library, config, plan.timing_cache)

    image = builder.build_serialized_network(parsed.network, config)
    if image is None:
        why = logger.taken()
        if stop.is_set():
            raise Cancelled("cancelled")
        if _NO_WHOLE_ATTENTION in why:
            raise _NoWholeAttention(why)
        raise DeviceError(f"{library.words} could not build {plan.graph.name}: {why or 'it did not say why'}")
    with target.open("wb") as file:
        file.write(image)  # IHostMemory is a buffer: no copy
    if cache is not None and plan.timing_cache is not None:
        _keep(cache, plan.timing_cache)
    return Built(
        engine_bytes=image.nbytes,
        nodes=parsed.nodes,
        layers=parsed.network.num_layers,
        parse_s=read - started,
        build_s=time.monotonic() - read,
        peak_rss_bytes=_peak_rss(),
        in_place=in_place,
        decomposed=apart,
        version=library.version,
    )


def _peak_rss() -> int:
    """Of this process since it began. (getrusage's may be that of the process it was started from.)"""
    try:
        with open("/proc/self/status", encoding="ascii") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _builder(library: TrtLibrary) -> Any:
    try:
        return library.trt.Builder(logger_of(library))
    except TypeError as exc:  # pybind's "factory function returned nullptr": TensorRT without a GPU
        raise DeviceError(
            f"{library.words} cannot build on this machine ({logger_of(library).taken() or exc}): "
            "it needs the GPU it builds for; run `relens doctor`"
        ) from exc


def _monitor(library: TrtLibrary, say: _Mouth, stop: threading.Event) -> Any:
    base: Any = library.trt.IProgressMonitor
    shares = Shares()

    class Monitor(base):
        def __init__(self) -> None:
            base.__init__(self)  # pybind11 wants its own called, by name

        def phase_start(self, name: str, parent: str | None, steps: int) -> None:
            shares.begin(name, parent, steps)
            self._tell()

        def step_complete(self, name: str, step: int) -> bool:
            shares.step(name, step)
            self._tell()
            return not stop.is_set()

        def phase_finish(self, name: str) -> None:
            shares.end(name)
            self._tell()

        def _tell(self) -> None:
            told = shares.news()
            if told is not None:
                say(share=told[0], what=told[1])

    return Monitor()


def _timing_cache(library: TrtLibrary, config: Any, path: Path | None) -> Any:
    """TensorRT's times of kernels from earlier builds; the library itself refuses those of another version or
    GPU. None for TensorRT-RTX, which times nothing (its cache does nothing since 1.2)."""
    if path is None or library.is_rtx:
        return None
    held = path.read_bytes() if path.is_file() else b""
    cache = config.create_timing_cache(held) or config.create_timing_cache(b"")
    if not config.set_timing_cache(cache, ignore_mismatch=False):
        cache = config.create_timing_cache(b"")
        config.set_timing_cache(cache, ignore_mismatch=False)
    return cache


def _keep(cache: Any, path: Path) -> None:
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        part.write_bytes(memoryview(cache.serialize()))
        part.replace(path)
    except OSError as exc:  # the engine is built all the same
        print(f"timing cache not kept: {exc}", file=sys.stderr)
    finally:
        part.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
