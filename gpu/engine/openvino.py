"""An engine on OpenVINO's CPU plugin. Owns the compiled graphs; knows nothing of what they compute."""

from __future__ import annotations

import ctypes
import hashlib
import threading
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gpu import threads as named
from gpu.engine.base import CheckedEngine, Shapes, Tensor, source_of
from gpu.errors import DeviceError, ModelError

NAME = "openvino"  # of the threads it makes, which would have that of who first calls it
# One compiled graph that has all threads serves every stream of the same size: weights are held once. Entries
# live as long as an engine uses them.
_compiled: weakref.WeakValueDictionary[tuple[object, ...], _Compiled] = weakref.WeakValueDictionary()
_compiled_lock = threading.Lock()


class _Compiled:
    """A compiled graph with the names and types of its ports."""

    def __init__(self, model: str | bytes, threads: int, shapes: Shapes | None) -> None:
        try:
            import openvino as ov
        except (ImportError, OSError) as exc:
            raise DeviceError(f"OpenVINO cannot be loaded ({exc}): pip install openvino") from exc
        core = ov.Core()
        try:
            graph = core.read_model(model)
            if shapes:
                _fix_shapes(graph, shapes)
            dynamic = [port.any_name for port in graph.inputs if port.partial_shape.is_dynamic]
            if dynamic:
                raise ModelError(f"inputs {dynamic} have free dimensions: name them in shapes=")
            config: dict[str, Any] = {
                "PERFORMANCE_HINT": "LATENCY",
                "INFERENCE_PRECISION_HINT": "f32",  # the same numbers on every machine, bf16 ones too
                "NUM_STREAMS": "1",
                "ENABLE_CPU_PINNING": False,  # codecs share the cores
            }
            if threads:
                config["INFERENCE_NUM_THREADS"] = threads
            self.compiled = core.compile_model(graph, "CPU", config)
        except RuntimeError as exc:
            raise DeviceError(
                f"OpenVINO cannot compile this model ({_last_line(exc)}): "
                "check the file, or use the onnxruntime engine"
            ) from exc
        self.inputs = {port.any_name: tuple(int(d) for d in port.shape) for port in self.compiled.inputs}
        self.dtypes = {port.any_name: np.dtype(port.element_type.to_dtype()) for port in self.compiled.inputs}
        self.results = {
            port.any_name: (tuple(int(d) for d in port.shape), np.dtype(port.element_type.to_dtype()))
            for port in self.compiled.outputs
        }
        self._tensor = ov.Tensor

    def view(self, array: Tensor) -> Any:
        """The array as OpenVINO sees it: the same memory."""
        return self._tensor(array, shared_memory=True)


def _fix_shapes(graph: Any, shapes: Shapes) -> None:
    try:
        graph.reshape({name: list(dims) for name, dims in shapes.items()})
    except RuntimeError as exc:
        names = [port.any_name for port in graph.inputs]
        raise ModelError(
            f"shapes={dict(shapes)} does not fit the graph with inputs {names}: {_last_line(exc)}"
        ) from exc


def _last_line(exc: RuntimeError) -> str:
    return str(exc).strip().splitlines()[-1]


def _shared(source: str | bytes, shapes: Shapes | None) -> _Compiled:
    digest = hashlib.sha256(source if isinstance(source, bytes) else Path(source).read_bytes()).hexdigest()
    key = (digest, tuple(sorted((name, tuple(dims)) for name, dims in (shapes or {}).items())))
    with _compiled_lock:
        known = _compiled.get(key)
    if known is not None:
        return known
    made = _Compiled(source, 0, shapes)
    with _compiled_lock:  # others may have compiled meanwhile; of two equal graphs the first is kept
        return _compiled.setdefault(key, made)


class OpenVinoEngine(CheckedEngine):
    """One graph on OpenVINO (CPU, f32, latency first). Deterministic: same tensors in, same bytes out."""

    def __init__(self, model: str | Path | bytes, threads: int = 0, shapes: Shapes | None = None) -> None:
        """`threads` 0: as many as OpenVINO finds, and the compiled graph is shared with those of its like.

        With fewer, others are meant to run beside it, and it has a compiled graph of its own: requests to one
        graph wait for each other, or, where it is compiled for several at once, go to threads of OpenVINO's
        and back, a fifth of the time of small graphs. Raises DeviceError, or ModelError for a free dimension.
        """
        source = source_of(model)
        with named.made_as(NAME):
            shared = _Compiled(source, threads, shapes) if threads else _shared(source, shapes)
        super().__init__(
            f"OpenVINO, {threads or 'all'} threads", shared.inputs, shared.dtypes, tuple(shared.results)
        )
        self._compiled: _Compiled | None = shared
        self._request: Any = shared.compiled.create_infer_request()
        self._runs = False
        self._results = shared.results
        self._view: Any = shared.view

    def close(self) -> None:
        super().close()
        self._request = self._view = self._compiled = None

    def _execute(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        results = {name: np.empty(shape, dtype) for name, (shape, dtype) in self._results.items()}
        # The plugin reads and writes these very arrays: nothing is copied, and what leaves is the caller's.
        for i, array in enumerate(results.values()):
            self._request.set_output_tensor(i, self._view(array))
        contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in inputs.items()}
        for name, tensor in contiguous.items():
            self._request.set_tensor(name, self._view(_writeable(tensor)))
        if self._runs:
            self._request.infer({}, share_outputs=True)
        else:  # the first run makes threads too
            with named.made_as(NAME):
                self._request.infer({}, share_outputs=True)
            self._runs = True
        return results


def _writeable(array: Tensor) -> Tensor:
    """The same memory: OpenVINO takes no array that numpy was told to protect, and would copy it every time.
    An input is only read; the array must outlive the view."""
    if array.flags.writeable:
        return array
    memory: Any = (ctypes.c_char * array.nbytes).from_address(array.ctypes.data)
    return np.frombuffer(memory, array.dtype).reshape(array.shape)
