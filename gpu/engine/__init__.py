"""Engines: things that execute a model graph, behind one interface of named tensors."""

from __future__ import annotations

from pathlib import Path

from gpu.engine.base import Engine, EngineKind, Shapes, Tensor, source_of
from gpu.errors import DeviceError

__all__ = ["Engine", "EngineKind", "Shapes", "Tensor", "open_engine"]


def open_engine(
    model: str | Path | bytes, kind: EngineKind = "auto", threads: int = 0, shapes: Shapes | None = None
) -> Engine:
    """Compile an ONNX graph. `shapes` fixes free dimensions ({input name: dims}); `threads` 0: its choice.

    "auto" takes OpenVINO, and ONNX Runtime where OpenVINO cannot be had or does not know an operator.
    Raises DeviceError when no engine can take the model, ModelError when `shapes` does not fit it.
    """
    from gpu.engine.openvino import OpenVinoEngine
    from gpu.engine.ort import OrtEngine

    model = source_of(model)
    if kind == "openvino":
        return OpenVinoEngine(model, threads, shapes)
    if kind == "onnxruntime":
        return OrtEngine(model, threads, shapes)
    if kind != "auto":
        raise DeviceError(f"unknown engine {kind!r}: choose auto, openvino or onnxruntime")
    try:
        return OpenVinoEngine(model, threads, shapes)
    except DeviceError as first:
        try:
            return OrtEngine(model, threads, shapes)
        except DeviceError as second:
            raise DeviceError(f"no engine takes this model: {first}; {second}") from second
