"""What executes a pass of the network: PyTorch, ONNX Runtime, TensorRT, behind one interface (base.py).

Engines are imported when they are chosen: nothing here needs torch until then.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gpu.errors import DeviceError
from gpu.wan.engines.base import PassEngine
from gpu.wan.engines.store import EngineStore

__all__ = ["Opened", "PassEngineKind", "open_pass_engine"]

PassEngineKind = Literal["auto", "eager", "graphs", "onnxruntime", "tensorrt", "tensorrt-rtx"]


@dataclass(frozen=True, slots=True)
class Opened:
    """An engine, and in words why it is this one."""

    engine: PassEngine
    kind: PassEngineKind
    why: str


def open_pass_engine(
    network: Any,
    kind: PassEngineKind = "auto",
    device: str | None = None,
    dtype: Any = None,
    graphs: Path | None = None,
    store: EngineStore | None = None,
    threads: int = 0,
) -> Opened:
    """An engine for a gpu.wan.network.Network, which it takes over.

    `device`: torch's name; None: the first GPU, or the CPU. `dtype`: torch's float type; None: bfloat16 on a
    GPU (float16 for ONNX Runtime), float32 on the CPU. `graphs`: the folder that graphs are exported to;
    `store`: where built engines are kept. TensorRT needs both, and each shape prepared before it is opened.

    "auto" takes CUDA graphs on a GPU and eager PyTorch on the CPU: the reference's own numbers, any shape at
    once, nothing to build. ONNX Runtime and TensorRT are taken when they are asked for.
    Raises DeviceError when the engine cannot be had here, naming the remedy."""
    import torch

    device = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
    gpu = device.startswith("cuda")
    why = f"{kind} was asked for"
    if kind == "auto":
        kind = "graphs" if gpu else "eager"
        why = (
            f"on {device}: eager's numbers without its launches, nothing to build"
            if gpu
            else "no GPU: the reference, any shape at once, nothing to export"
        )
    usual = (torch.float16 if kind == "onnxruntime" else torch.bfloat16) if gpu else torch.float32
    dtype = dtype or usual
    engine: PassEngine
    if kind == "eager":
        from gpu.wan.engines.eager import EagerEngine

        engine = EagerEngine(network, device, dtype)
    elif kind == "graphs":
        from gpu.wan.engines.graphs import GraphEngine

        engine = GraphEngine(network, device, dtype)
        why += f"; passes run un-recorded: {engine.why}" if engine.why else ""
    elif kind == "onnxruntime":
        from gpu.wan.engines.ort import OrtPassEngine

        engine = OrtPassEngine(network, device, dtype, graphs, threads)
    elif kind in ("tensorrt", "tensorrt-rtx"):
        engine = _tensorrt(network, kind, device, dtype, graphs, store)
    else:
        raise DeviceError(
            f"unknown engine {kind!r}: choose auto, eager, graphs, onnxruntime, tensorrt or tensorrt-rtx"
        )
    return Opened(engine, kind, why)


def _tensorrt(
    network: Any, kind: str, device: str, dtype: Any, graphs: Path | None, store: EngineStore | None
) -> PassEngine:
    from gpu.wan.engines.tensorrt import TensorRtEngine
    from gpu.wan.engines.trt_library import architecture_of, library_for

    if graphs is None or store is None:
        raise DeviceError(f"{kind} keeps graphs and built engines: name a folder and a store for them")
    architecture = architecture_of(device)
    fits = library_for(architecture)
    if fits != kind:
        raise DeviceError(f"{device} ({architecture}) is run by {fits}, not {kind}: ask for that")
    return TensorRtEngine.of_network(network, store, graphs, device, dtype)
