"""What runs a full-size model's network, by what an operator asked for. Knows engines by name, no weights."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch

from gpu.errors import DeviceError
from gpu.models.liveedit_spec import CANVASES, CONFIGS, shape_of
from gpu.models.settings import ModelSettings
from gpu.wan.cost import large_weights, parameters
from gpu.wan.engines.base import PassEngine
from gpu.wan.engines.eager import EagerEngine
from gpu.wan.engines.fp8 import check_fits, to_fp8
from gpu.wan.engines.trt_library import architecture_of, library_for, load
from gpu.wan.memory import FLOAT_BYTES

log = logging.getLogger(__name__)

FP8_ENGINES = ("auto", "graphs", "eager", "tensorrt")
STORE_BYTES = 60 << 30  # of engine files: some 3 GB each, four canvases, a few versions of a driver


def float_of(device: str) -> Any:
    """torch's float type of the network's weights there."""
    return torch.bfloat16 if device.startswith("cuda") else torch.float32


def picture_float_of(device: str) -> Any:
    """As float_of, of the tiny autoencoder: bfloat16 shows steps in smooth areas."""
    return torch.float16 if device.startswith("cuda") else torch.float32


def check_engine(name: str, settings: ModelSettings, device: str) -> None:
    """Whether what `settings` ask for can run there, before weights are read for it.

    Raises DeviceError or ModelError, naming the remedy."""
    kind = settings.engine
    if settings.fp8:
        if kind not in FP8_ENGINES:
            raise DeviceError(f"fp8 is not for pass_engine {kind}: set that to {' or '.join(FP8_ENGINES)}")
        check_fits(CONFIGS[name], device)
    if kind == "tensorrt":
        if not device.startswith("cuda"):
            raise DeviceError("pass_engine tensorrt needs a GPU, and PyTorch finds none: set it to auto")
        load(library_for(architecture_of(device)))


def engine_of(name: str, network: Any, settings: ModelSettings, device: str) -> PassEngine:
    """The engine that `settings.engine` asks for; it takes the network over. TensorRT's builds what is not
    there yet, for every canvas: minutes each.

    Raises as check_engine, and what building raises."""
    kind, dtype, gpu = settings.engine, float_of(device), device.startswith("cuda")
    check_engine(name, settings, device)
    if settings.fp8 and kind != "tensorrt":  # which wants the network as it is, and quantises its graphs
        to_fp8(network.to(device))
    if kind == "eager" or (kind == "auto" and not gpu):
        return EagerEngine(network, device, dtype)
    if kind in ("auto", "graphs"):
        from gpu.wan.engines.graphs import GraphEngine

        return GraphEngine(network, device, dtype)
    if kind == "onnxruntime":
        from gpu.wan.engines.ort import OrtPassEngine

        network.to(device)  # its conditioning is PyTorch's all the same
        return OrtPassEngine(
            network, device, torch.float16 if gpu else dtype, threads=torch.get_num_threads()
        )
    return _tensorrt(name, network, settings, device)


def _tensorrt(name: str, network: Any, settings: ModelSettings, device: str) -> PassEngine:
    from gpu.wan.engines.store import EngineStore
    from gpu.wan.engines.tensorrt import TensorRtEngine

    folder = (
        Path(settings.models_dir).expanduser()
        if settings.models_dir
        else Path.home() / ".cache/relens/models"
    )
    graphs = folder / "graphs"
    network.to(device)
    store = EngineStore(folder / "engines", STORE_BYTES)
    engine = TensorRtEngine.of_network(network, store, graphs, device, float_of(device), settings.fp8)
    for width, height in _canvases(name):
        shape = shape_of(name, (width, height), settings)
        engine.prepare(shape, mask_cache=settings.mask_cache, told=_telling(f"{width}x{height}"))
    return engine


def _canvases(name: str) -> list[tuple[int, int]]:
    """Each as it is, and upright."""
    return [size for width, height in CANVASES[name] for size in ((width, height), (height, width))]


def engine_bytes(name: str, settings: ModelSettings) -> int:
    """GPU memory that engines take beside the network: each of TensorRT's holds weights of its own. (The
    instruction's layers are not in them, and counted all the same.)"""
    if settings.engine != "tensorrt":
        return 0
    config, floats = CONFIGS[name], FLOAT_BYTES["bfloat16"]
    each = parameters(config) * floats
    if settings.fp8:
        each -= large_weights(config) * (floats - 1)
    return len(_canvases(name)) * (2 if settings.mask_cache else 1) * each


def _telling(what: str) -> Any:
    """Logs a build's progress, each tenth once."""
    said = -1

    def tell(share: float, doing: str) -> None:
        nonlocal said
        if int(share * 10) > said:
            said = int(share * 10)
            log.info("engine for %s: %d %%, %s", what, round(share * 100), doing)

    return tell
