"""An engine on ONNX Runtime's CPU provider. Owns the session; knows nothing of what the graph computes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gpu.engine.base import CheckedEngine, Shapes, Tensor, source_of
from gpu.errors import DeviceError, ModelError

_DTYPES = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int32)": np.int32,
    "tensor(int64)": np.int64,
    "tensor(bool)": np.bool_,
}


class OrtEngine(CheckedEngine):
    """One graph on ONNX Runtime (CPU, f32). Deterministic: same tensors in, same bytes out."""

    def __init__(self, model: str | Path | bytes, threads: int = 0, shapes: Shapes | None = None) -> None:
        """`threads` 0: ONNX Runtime's choice. Raises DeviceError, or ModelError for a free dimension."""
        try:
            import onnxruntime as ort
        except (ImportError, OSError) as exc:
            raise DeviceError(f"ONNX Runtime cannot be loaded ({exc}): pip install onnxruntime") from exc
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Spinning threads collapse when a codec shares their core.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        try:
            session = ort.InferenceSession(source_of(model), options, providers=["CPUExecutionProvider"])
        except DeviceError:
            raise
        except Exception as exc:  # ORT's exception classes are private to its extension module
            raise DeviceError(
                f"ONNX Runtime cannot load this model ({str(exc).strip().splitlines()[-1]}): "
                "check the file, or use the openvino engine"
            ) from exc
        super().__init__(
            f"ONNX Runtime, {threads or 'all'} threads",
            _static_shapes(session, shapes or {}),
            {port.name: np.dtype(_DTYPES[port.type]) for port in session.get_inputs()},
            tuple(port.name for port in session.get_outputs()),
        )
        self._session: Any = session

    def close(self) -> None:
        super().close()
        self._session = None

    def _execute(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        results = self._session.run(self._outputs, dict(inputs))
        return dict(zip(self._outputs, results, strict=True))


def _static_shapes(session: Any, shapes: Shapes) -> dict[str, tuple[int, ...]]:
    """Every input's static shape: the graph's own, or the one asked for where it has free dimensions."""
    static: dict[str, tuple[int, ...]] = {}
    for port in session.get_inputs():
        dims = shapes.get(port.name, port.shape)
        free = any(not isinstance(dim, int) for dim in dims)
        own = list(port.shape)
        misfit = len(dims) != len(own) or any(
            isinstance(have, int) and have != want for have, want in zip(own, dims, strict=False)
        )
        if free:
            raise ModelError(f"input {port.name!r} has free dimensions {own}: name it in shapes=")
        if misfit:
            raise ModelError(f"input {port.name!r} is {own} in the graph and cannot be {list(dims)}")
        static[port.name] = tuple(int(dim) for dim in dims)
    unknown = sorted(shapes.keys() - static.keys())
    if unknown:
        raise ModelError(f"shapes= names unknown inputs {unknown}; the graph has {sorted(static)}")
    return static
