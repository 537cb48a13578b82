"""PyTorch with CUDA graphs: the eager pass recorded once, then replayed by one launch.

The kernels are eager's, and so are the numbers; what goes is the host's time for each of a thousand launches.
Where nothing can be recorded the same network runs un-recorded, and `why` says so.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, cuda

from gpu.errors import DeviceError, NoMemory
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.engines.eager import EagerEngine, EagerPass
from gpu.wan.network import Network

log = logging.getLogger(__name__)
_WARM_UP = 2  # runs before a recording: libraries choose their kernels and take their workspaces in these


class GraphPass:
    """One stream's tensors, and a graph for each way a pass is run.

    `full`: as EagerPass's: the owner may set it once every slot of the ring holds a latent."""

    def __init__(self, eager: EagerPass, graphs: Mapping[tuple[bool, bool], Any]) -> None:
        """`graphs` by (pruned, full); none: the pass runs un-recorded."""
        self._eager, self._graphs = eager, dict(graphs)
        self.full = False
        self._closed = False

    @property
    def shape(self) -> StreamShape:
        return self._eager.shape

    @property
    def batch(self) -> int:
        return self._eager.batch

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        return self._eager.tensors

    def run(self, pruned: bool = False) -> None:
        """One pass, see engines/base.py. Raises ModelError once closed, or for a pruned pass without a mask
        cache; DeviceError when the device fails."""
        graph = self._graphs.get((pruned, self.full))
        if graph is None:  # un-recorded, or an error of the owner's, which eager names
            self._eager.full = self.full
            self._eager.run(pruned)
            return
        try:
            graph.replay()
        except torch.AcceleratorError as exc:
            raise DeviceError(f"the device failed in a pass: {exc}") from exc

    def close(self) -> None:
        """Let the tensors and what was recorded go. Idempotent."""
        graphs, self._graphs = self._graphs, {}
        for graph in graphs.values():
            graph.reset()
        self._eager.close()


class GraphEngine:
    """A network in PyTorch whose passes are recorded. It takes `network` over, as EagerEngine does."""

    def __init__(
        self,
        network: Network,
        device: str = "cuda:0",
        dtype: torch.dtype = torch.bfloat16,
        compiled: bool = False,
    ) -> None:
        """`compiled`: through torch.compile first, which takes minutes when a shape is opened."""
        self._eager = EagerEngine(network, device, dtype)
        self._compiled: Any = _compile(network) if compiled else None
        self._lock = threading.Lock()  # one recording at a time
        self.why = _unable(device)  # why passes run un-recorded; "" where they are recorded

    @property
    def name(self) -> str:
        how = "un-recorded" if self.why else "CUDA graphs"
        return f"{self._eager.name}, {how}{', compiled' if self._compiled is not None else ''}"

    @property
    def config(self) -> WanConfig:
        return self._eager.config

    @property
    def device(self) -> str:
        return self._eager.device

    @property
    def dtype(self) -> torch.dtype:
        return self._eager.dtype

    def open(self, shape: StreamShape, batch: int = 1, mask_cache: bool = False) -> GraphPass:
        """See engines/base.py. Other threads may use the device meanwhile."""
        eager = self._eager.open(shape, batch, mask_cache)
        with self._lock:
            if self._compiled is not None:
                eager = self._compiled_pass(eager, mask_cache)
            graphs = {} if self.why else self._record(eager, mask_cache)
        return GraphPass(eager, graphs)

    def _compiled_pass(self, eager: EagerPass, mask_cache: bool) -> EagerPass:
        compiled = EagerPass(self._compiled, eager.shape, eager.batch, dict(eager.tensors))
        try:
            _try(compiled, mask_cache)
        except DeviceError:
            raise
        except Exception as exc:  # the compiler's: no C++ compiler, no Triton, an operator it does not know
            log.warning("torch.compile failed, passes run without it: %s", _first_line(exc))
            self._compiled = None
            return eager
        finally:
            _zero(eager)
        return compiled

    def _record(self, eager: EagerPass, mask_cache: bool) -> dict[tuple[bool, bool], Any]:
        try:
            with cuda.device(self.device):
                side = cuda.Stream()
                side.wait_stream(cuda.current_stream())
                with cuda.stream(side):
                    for _ in range(_WARM_UP):
                        _try(eager, mask_cache)
                cuda.current_stream().wait_stream(side)
                return self._captured(eager, mask_cache, side)
        finally:
            eager.full = False
            _zero(eager)

    def _captured(self, eager: EagerPass, mask_cache: bool, side: Any) -> dict[tuple[bool, bool], Any]:
        graphs: dict[tuple[bool, bool], Any] = {}
        pool = cuda.graph_pool_handle()  # one stream's graphs run one after the other: one memory
        try:
            for pruned, eager.full in _ways(mask_cache):
                graph = cuda.CUDAGraph()
                # Other threads go on using the device.
                with cuda.graph(graph, pool=pool, stream=side, capture_error_mode="thread_local"):
                    eager.run(pruned)
                graphs[pruned, eager.full] = graph
        except (RuntimeError, DeviceError) as exc:
            for graph in graphs.values():
                graph.reset()
            if isinstance(exc.__cause__ or exc, torch.OutOfMemoryError):
                raise NoMemory(f"no memory left on {self.device} for a stream at {eager.shape}") from exc
            self.why = f"recording failed: {_first_line(exc)}"  # a kernel that cannot be recorded
            log.warning("CUDA graphs: %s; passes run un-recorded", self.why)
            return {}
        return graphs

    def close(self) -> None:
        """Let the weights go; passes that are open keep theirs until they are closed. Idempotent."""
        self._compiled = None
        self._eager.close()


def _unable(device: str) -> str:
    if not device.startswith("cuda"):
        return f"there are no CUDA graphs on {device}"
    return ""


def _compile(network: Network) -> Any:
    return torch.compile(network, dynamic=False)


def _ways(mask_cache: bool) -> list[tuple[bool, bool]]:
    """How a pass may be run: (pruned, full)."""
    return [
        (pruned, full) for pruned in ((False, True) if mask_cache else (False,)) for full in (False, True)
    ]


def _try(eager: EagerPass, mask_cache: bool) -> None:
    """Run each way once, on a ring that is full: where nothing is attended to, no numbers come out."""
    eager.tensors["attend"].fill_(True)
    for pruned, eager.full in _ways(mask_cache):
        eager.run(pruned)


def _zero(eager: EagerPass) -> None:
    """As a stream is opened: what was tried, left traces."""
    for tensor in eager.tensors.values():
        tensor.zero_()


def _first_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[0]
