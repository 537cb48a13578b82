"""The network through TensorRT or TensorRT-RTX: engines built once for a shape, every stream's tensors bound.

An engine of its own runs the pruned pass, on the same tensors and the same scratch memory; each holds the
weights once. What differs between the two libraries is known to trt_library.py and trt_plan.py.
"""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpu.errors import DeviceError, ModelError, NoMemory
from gpu.wan.bindings import Kind, bindings
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.engines.builder import TIMEOUT_S, BuildPlan, Told, build_engine, in_place_of, part_of
from gpu.wan.engines.fp8 import check_fits
from gpu.wan.engines.key import EngineKey, driver_major, graph_digest, shapes_of, weights_files
from gpu.wan.engines.store import EngineStore, Progress
from gpu.wan.engines.trt_cuda import Cuda, TorchCuda, Work
from gpu.wan.engines.trt_export import Exporter, exporter
from gpu.wan.engines.trt_library import TrtLibrary, architecture_of, library_for, load
from gpu.wan.engines.trt_plan import Bound, Plan

_FIXED: Mapping[Kind, torch.dtype] = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool}
_GRAPH = 0.2  # of the way to an engine: its graph, and what FP8 must know of the network's numbers
_Asked = tuple[StreamShape, int, bool]  # shape, batch, mask_cache


class TensorRtPass:
    """One stream's tensors, and contexts bound to them."""

    def __init__(
        self,
        cuda: Cuda,
        shape: StreamShape,
        batch: int,
        tensors: dict[str, Tensor],
        runs: tuple[Work, ...],
        context_bytes: int,
    ) -> None:
        """`runs`: the full pass, and the pruned one where there is one."""
        self._cuda, self._shape, self._batch = cuda, shape, batch
        self._tensors, self._runs = tensors, runs
        self._last: Work | None = None
        self._bytes = context_bytes

    @property
    def shape(self) -> StreamShape:
        return self._shape

    @property
    def batch(self) -> int:
        return self._batch

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        return self._tensors

    @property
    def context_bytes(self) -> int:
        """Device memory that this pass holds beside its tensors."""
        return self._bytes

    def run(self, pruned: bool = False) -> None:
        """One pass, see engines/base.py."""
        if not self._runs:
            raise ModelError("this pass is closed: open another")
        if pruned and len(self._runs) < 2:
            raise ModelError("a pruned pass needs a pass opened with mask_cache")
        with guarded("a pass"):
            self._runs[pruned]()
            self._last = self._cuda.mark()

    def close(self) -> None:
        """Let contexts and tensors go once the GPU is done with them. Idempotent.

        Raises DeviceError when it is not done in time; they are let go all the same."""
        last, self._last = self._last, None
        try:
            if last is not None:
                with guarded("a pass that was closed"):
                    last()
        finally:
            self._runs, self._tensors = (), {}


class TensorRtEngine:
    """A network as engines of TensorRT, one set for each shape that was prepared."""

    def __init__(
        self,
        config: WanConfig,
        export: Exporter,
        store: EngineStore,
        library: TrtLibrary,
        architecture: str,
        device: str = "cuda:0",
        dtype: torch.dtype = torch.bfloat16,
        cuda: Cuda | None = None,
        flags: tuple[str, ...] = (),
    ) -> None:
        """`export` gives the graph of a pass, its floats in `dtype`; `flags`: what else the graph is, for
        people and for the key ("fp8"). See `of_network` for the usual way to make one."""
        self._config, self._export, self._store = config, export, store
        self._library, self._architecture, self._flags = library, architecture, flags
        self._device, self._dtype = device, dtype
        self._cuda = cuda or TorchCuda(device)
        self._plans: dict[_Asked, tuple[Plan, ...]] = {}
        self._closed = False
        self._lock = threading.Lock()

    @classmethod
    def of_network(
        cls,
        network: Any,
        store: EngineStore,
        graphs: Path,
        device: str = "cuda:0",
        dtype: torch.dtype = torch.bfloat16,
        fp8: bool = False,
    ) -> TensorRtEngine:
        """Of a gpu.wan.network.Network, by the library that suits the GPU; its graphs are written into the
        folder `graphs`. `fp8`: its large layers multiply 8-bit floats; the network must lie on the GPU and
        is left as it is. Raises DeviceError where there is no such GPU or library, or, as ModelError too,
        where there is no FP8."""
        architecture = architecture_of(device)
        if fp8:
            check_fits(network.config, device)
        library = load(library_for(architecture))
        export, flags = exporter(network, graphs, dtype, fp8), ("fp8",) if fp8 else ()
        return cls(network.config, export, store, library, architecture, device, dtype, flags=flags)

    @property
    def name(self) -> str:
        kind = str(self._dtype).removeprefix("torch.")
        flags = (flag.upper() for flag in self._flags)
        return ", ".join((self._library.words, *flags, kind, self._architecture.upper()))

    @property
    def config(self) -> WanConfig:
        return self._config

    @property
    def device(self) -> str:
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    def prepare(
        self,
        shape: StreamShape,
        batch: int = 1,
        mask_cache: bool = False,
        told: Told | None = None,
        cancelled: threading.Event | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        """Build what `open` needs for a shape, or find it in the store, and load it: minutes, the first time.
        Blocks: call it from a thread.

        Raises ModelError, DeviceError, NoMemory and builder.Cancelled, as build_engine."""
        self._check_open()
        asked = (shape, batch, mask_cache)
        if asked in self._plans:
            return
        passes = (False, True) if mask_cache else (False,)
        plans = []
        for place, pruned in enumerate(passes):
            progress = part_of(told, place / len(passes), (place + 1) / len(passes))
            path = self._file(asked, pruned, progress, cancelled, timeout_s)
            with guarded("loading an engine"):
                plans.append(Plan(self._library, path))
        with self._lock:
            self._check_open()
            self._plans.setdefault(asked, tuple(plans))

    def _file(
        self,
        asked: _Asked,
        pruned: bool,
        progress: Progress,
        cancelled: threading.Event | None,
        timeout_s: float,
    ) -> Path:
        shape, batch, mask_cache = asked
        progress(0.0, "writing the graph")
        graph = self._export(shape, batch, mask_cache, pruned, part_of(progress, 0.0, _GRAPH, cancelled))
        tensors = bindings(self._config, shape, batch, mask_cache, pruned)
        rtx = self._library.is_rtx
        plan = BuildPlan(
            graph,
            self._library.name,
            (self._architecture,) if rtx else (),
            in_place_of(tensors),
            timing_cache=None if rtx else graph.parent / f"timing-{self._architecture}.cache",
        )
        key = EngineKey(
            graph_digest(graph),
            self._library.name,
            self._library.version,
            self._architecture,
            0 if rtx else driver_major(),  # RTX engines are finished by the driver of the machine they run on
            shapes_of(tensors),
            (*self._flags, *plan.flags()),
        )
        target = graph.with_suffix(".engine")

        def build(progress: Progress) -> Path:
            build_engine(plan, target, progress, cancelled, timeout_s)
            return target

        try:
            return self._store.get(key, build, part_of(progress, _GRAPH, 1.0), timeout_s, self._least(graph))
        finally:
            target.unlink(missing_ok=True)

    def _least(self, graph: Path) -> int:
        """Bytes of the weights alone, which FP8 halves at most."""
        held = sum((graph.parent / name).stat().st_size for name in weights_files(graph))
        return held // 2 if "fp8" in self._flags else held

    def open(self, shape: StreamShape, batch: int = 1, mask_cache: bool = False) -> TensorRtPass:
        """See engines/base.py; the shape must have been prepared."""
        self._check_open()
        with self._lock:
            plans = self._plans.get((shape, batch, mask_cache))
        if plans is None:
            raise ModelError(f"no engine is prepared for {shape}, {batch} at once: prepare it first")
        wanted = bindings(self._config, shape, batch, mask_cache, pruned=mask_cache)
        with guarded(f"a stream at {shape.width}x{shape.height}"):
            tensors = {
                one.name: torch.zeros(one.shape, dtype=_FIXED.get(one.kind, self._dtype), device=self._device)
                for one in wanted
            }
            most = max(1, *(plan.context_bytes for plan in plans))
            scratch = torch.empty(most, dtype=torch.uint8, device=self._device)
            # A full pass makes every delta anew; only a pruned one reads them.
            deltas = frozenset(one.name for one in wanted if one.name.startswith("delta."))
            bound = [
                Bound(plan, tensors, scratch, unread)
                for plan, unread in zip(plans, (deltas, frozenset[str]()), strict=False)
            ]
            runs = tuple(_Run(each, scratch, self._cuda, not self._library.is_rtx) for each in bound)
            for tensor in tensors.values():  # the first runs wrote into them
                tensor.zero_()
        return TensorRtPass(
            self._cuda, shape, batch, tensors, runs, most + sum(each.copied_bytes for each in bound)
        )

    def _check_open(self) -> None:
        if self._closed:
            raise ModelError("this engine is closed: load the model again")

    def close(self) -> None:
        """Let the weights go; passes that are open keep theirs until they are closed. Idempotent."""
        with self._lock:
            self._closed = True
            self._plans = {}


class _Run:
    """Queues a context's run, after a first one; holds what a recording of it needs."""

    def __init__(self, bound: Bound, scratch: Tensor, cuda: Cuda, capture: bool) -> None:
        """`capture`: as a CUDA graph of torch's. TensorRT-RTX makes one itself."""
        self._scratch = scratch
        # Not a method of this object: it must go, and with it the memory, as soon as nobody holds it.
        self._work = functools.partial(_enqueue, bound, cuda)
        self._queue = cuda.record(self._work, capture)

    def __call__(self) -> None:
        self._queue()


def _enqueue(bound: Bound, cuda: Cuda) -> None:
    bound.enqueue(cuda.stream())


@contextlib.contextmanager
def guarded(what: str) -> Iterator[None]:
    """What torch raises of a device, as errors of ours."""
    try:
        yield
    except torch.OutOfMemoryError as exc:
        raise NoMemory(f"no GPU memory is left for {what} ({exc}): end other streams") from exc
    except torch.AcceleratorError as exc:
        raise DeviceError(f"the GPU failed in {what} ({exc}): see `relens doctor`") from exc
