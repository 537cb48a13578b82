"""The network on ONNX Runtime: graphs of a pass, bound to the torch tensors of each stream.

The ring is never copied: a graph's ring output is bound to the memory of its input, and TensorScatter then
writes the block only. Weights are mapped from the one file of the exported graphs and used where they lie, by
all sessions together.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gpu.errors import DeviceError, ModelError, NoMemory
from gpu.wan.bindings import Kind, bindings
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.export import WRITTEN, export_pass
from gpu.wan.network import Network

_FIXED: Mapping[Kind, torch.dtype] = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool}
_ELEMENTS = {
    torch.float32: np.float32,
    torch.float16: np.float16,
    torch.int64: np.int64,
    torch.bool: np.bool_,
}


class OrtPass:
    """One stream's tensors, bound to the sessions of its full and its pruned pass."""

    def __init__(
        self,
        shape: StreamShape,
        batch: int,
        tensors: dict[str, Tensor],
        sessions: tuple[_Session, ...],
    ) -> None:
        self._shape, self._batch, self._tensors = shape, batch, tensors
        self._bound: list[tuple[_Session, Any]] = [(one, one.bind(tensors)) for one in sessions]
        self._closed = False

    @property
    def shape(self) -> StreamShape:
        return self._shape

    @property
    def batch(self) -> int:
        return self._batch

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        return self._tensors

    def run(self, pruned: bool = False) -> None:
        """One pass, see engines/base.py; on CUDA too it waits until it is done.

        Raises ModelError once closed, or for a pruned pass without a mask cache; DeviceError when ONNX
        Runtime fails."""
        if self._closed:
            raise ModelError("this pass is closed: open another")
        if pruned and len(self._bound) == 1:
            raise ModelError("a pruned pass needs a pass opened with mask_cache")
        session, binding = self._bound[int(pruned)]
        session.run(binding)

    def close(self) -> None:
        """Let the tensors and the sessions go. Idempotent."""
        self._closed = True
        self._bound, self._tensors = [], {}


class _Session:
    """One graph, loaded: shared by all passes of its shape."""

    def __init__(self, graph: Path, device: str, threads: int) -> None:
        ort = _runtime()
        options = ort.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        entries = {
            # Spinning threads collapse when a codec shares their core.
            "session.intra_op.allow_spinning": "0",
            "session.inter_op.allow_spinning": "0",
            # Packed weights would be a copy for each session; next to a pass's multiplications the
            # packing is nothing.
            "session.disable_prepacking": "1",
        }
        provider: Any = "CPUExecutionProvider"
        self._cuda = device.startswith("cuda")
        if self._cuda:
            # An operator that ran on the CPU would copy the ring there and back.
            entries["session.disable_cpu_ep_fallback"] = "1"
            provider = ("CUDAExecutionProvider", {"device_id": _number(device)})
        for key, value in entries.items():
            options.add_session_config_entry(key, value)
        try:
            self._session = ort.InferenceSession(str(graph), options, providers=[provider])
        except Exception as exc:  # ORT's exception classes are private to its extension module
            raise DeviceError(
                f"ONNX Runtime {ort.__version__} cannot load {graph.name} on {device} "
                f"({_last_line(exc)}): use the eager engine"
            ) from exc
        self._device = ("cuda", _number(device)) if self._cuda else ("cpu", 0)

    def bind(self, tensors: Mapping[str, Tensor]) -> Any:
        """An I/O binding to the tensors' own memory; they must outlive it, and not move."""
        binding = self._session.io_binding()
        for port in self._session.get_inputs():
            binding.bind_input(port.name, *self._place(tensors[port.name]))
        for port in self._session.get_outputs():
            binding.bind_output(port.name, *self._place(tensors[port.name.removesuffix(WRITTEN)]))
        return binding

    def _place(self, tensor: Tensor) -> tuple[Any, ...]:
        return (*self._device, _ELEMENTS[tensor.dtype], list(tensor.shape), tensor.data_ptr())

    def run(self, binding: Any) -> None:
        if self._cuda:
            torch.cuda.current_stream(self._device[1]).synchronize()  # ONNX Runtime has a stream of its own
        try:
            self._session.run_with_iobinding(binding)
        except Exception as exc:  # as above
            raise DeviceError(f"ONNX Runtime failed in a pass: {_last_line(exc)}") from exc


class OrtPassEngine:
    """A network on ONNX Runtime's CPU or CUDA provider. `network` is only read, and may go once the shapes in
    use are open."""

    def __init__(
        self,
        network: Network,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        folder: Path | None = None,
        threads: int = 0,
    ) -> None:
        """`folder`: where graphs and weights are exported to; None: a temporary one, gone with the engine.
        `threads` 0: ONNX Runtime's choice.

        Raises DeviceError where ONNX Runtime is not installed or does not know the device or type."""
        providers = _runtime().get_available_providers()
        if device.startswith("cuda") and "CUDAExecutionProvider" not in providers:
            raise DeviceError(
                f"ONNX Runtime knows no {device} here: pip install onnxruntime-gpu, or use another engine"
            )
        if dtype not in ((torch.float32, torch.float16) if device.startswith("cuda") else (torch.float32,)):
            raise DeviceError(f"ONNX Runtime has no kernels of {dtype} on {device}: use another engine")
        self._network: Network | None = network
        self._config, self._device, self._dtype, self._threads = network.config, device, dtype, threads
        self._temporary = TemporaryDirectory(prefix="relens-") if folder is None else None
        self._folder = Path(self._temporary.name) if self._temporary else folder
        self._lock = threading.Lock()
        self._sessions: weakref.WeakValueDictionary[tuple[object, ...], _Session] = (
            weakref.WeakValueDictionary()
        )

    @property
    def name(self) -> str:
        where = self._device if self._device != "cpu" else f"{self._threads or 'all'} threads"
        return f"ONNX Runtime {_runtime().__version__}, {str(self._dtype).removeprefix('torch.')}, {where}"

    @property
    def config(self) -> WanConfig:
        return self._config

    @property
    def device(self) -> str:
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    def open(self, shape: StreamShape, batch: int = 1, mask_cache: bool = False) -> OrtPass:
        """See engines/base.py. The first pass of a shape is exported and loaded, others of it share both."""
        kinds = ((mask_cache, False), (True, True)) if mask_cache else ((False, False),)
        with self._lock:  # of two who want one shape, one exports
            sessions = tuple(self._session(shape, batch, *kind) for kind in kinds)
        wanted = bindings(self._config, shape, batch, mask_cache, pruned=mask_cache)
        try:
            tensors = {
                one.name: torch.zeros(one.shape, dtype=_FIXED.get(one.kind, self._dtype), device=self._device)
                for one in wanted
            }
        except torch.OutOfMemoryError as exc:
            raise NoMemory(f"no memory left on {self._device} for a stream at {shape}") from exc
        return OrtPass(shape, batch, tensors, sessions)

    def _session(self, shape: StreamShape, batch: int, mask_cache: bool, pruned: bool) -> _Session:
        if self._network is None or self._folder is None:
            raise ModelError("this engine is closed: load the model again")
        key = (shape, batch, mask_cache, pruned)
        session = self._sessions.get(key)
        if session is None:
            graph = export_pass(
                self._network, shape, self._folder, batch, mask_cache, pruned, self._dtype, mask="whole"
            )
            session = self._sessions[key] = _Session(graph, self._device, self._threads)
        return session

    def close(self) -> None:
        """Let the weights go; passes that are open keep theirs until they are closed. Idempotent."""
        with self._lock:
            self._network = self._folder = None
            if self._temporary is not None:
                self._temporary.cleanup()


def _runtime() -> Any:
    try:
        import onnxruntime
    except (ImportError, OSError) as exc:
        raise DeviceError(f"ONNX Runtime cannot be loaded ({exc}): pip install onnxruntime") from exc
    return onnxruntime


def _number(device: str) -> int:
    return torch.device(device).index or 0


def _last_line(exc: Exception) -> str:
    return (str(exc).strip().splitlines() or [type(exc).__name__])[-1]
