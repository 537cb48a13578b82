"""What every part of `liveedit` measures with: the device, the network, sizes, engines, and the time left."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from bench.error import BenchError
from gpu.wan.config import LIVEEDIT_1_3B, TOY, StreamShape, WanConfig
from gpu.wan.engines.base import PassEngine
from gpu.wan.network import Network, random_network
from gpu.wan.sampler import Sampling
from gpu.wan.stream import EditStream

SEED = 5


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is run. Canvases in pixels; `rows` columns of the matrices that are multiplied."""

    config: WanConfig
    canvases: tuple[tuple[int, int], ...]
    sink: int
    window: int
    blocks: int  # that are timed
    matrix: int
    repeats: int


FULL = Scale(LIVEEDIT_1_3B, ((832, 480), (640, 352)), 3, 9, 16, 8192, 30)
TINY = Scale(TOY, ((96, 64),), 3, 3, 4, 256, 5)


class World:
    """One device, the time that is left, and engines made one at a time."""

    def __init__(self, device: str, dry_run: bool, limit_s: float, engines: tuple[str, ...]) -> None:
        self.device = device or ("cuda:0" if torch.cuda.is_available() else "cpu")
        self.on_gpu = self.device.startswith("cuda")
        self.scale = TINY if dry_run else FULL
        self.dtype = torch.bfloat16 if self.on_gpu else torch.float32
        self.kinds = engines
        self.matrix_flops = 0.0  # a second, of this machine; `matrix_rate` finds it
        self._until_s = time.monotonic() + limit_s

    def left_s(self) -> float:
        return self._until_s - time.monotonic()

    def machine(self) -> dict[str, str]:
        """In words: the GPU, or that there is none, and torch."""
        if not self.on_gpu:
            return {"gpu": "a CPU", "driver": f"torch {torch.__version__}"}
        of = torch.cuda.get_device_properties(self.device)
        name = f"{of.name} (SM {of.major}.{of.minor}, {of.total_memory / 2**30:.0f} GiB)"
        return {"gpu": name, "driver": f"torch {torch.__version__}, CUDA {torch.version.cuda}"}

    def shape(self, canvas: tuple[int, int], block: int) -> StreamShape:
        return StreamShape(*canvas, block, self.scale.sink, self.scale.window)

    @contextmanager
    def engine(self, kind: str) -> Iterator[tuple[PassEngine, Any]]:
        """(an engine, an instruction's keys and values). Raises BenchError where the kind cannot be had."""
        network = self._network()
        with torch.inference_mode():
            text = torch.zeros(1, network.config.text_len, network.config.text_dim, device=self.device)
            text[:, :8] = torch.randn(
                8, network.config.text_dim, generator=torch.Generator().manual_seed(SEED)
            )
            cross = network.condition(text)
        engine = self._make(kind, network)
        del network
        try:
            yield engine, cross
        finally:
            engine.close()
            del engine, cross
            self.tidy()

    def stream(self, engine: PassEngine, cross: Any, shape: StreamShape, sampling: Sampling) -> EditStream:
        stream = EditStream(engine, shape, sampling)
        stream.condition(cross)
        return stream

    def source(self, shape: StreamShape, number: int) -> torch.Tensor:
        """A block of source latents, the same for the same number."""
        made = torch.randn(
            (1, self.scale.config.latent_channels, shape.block, *shape.latent_size),
            generator=torch.Generator().manual_seed(1000 + number),
        )
        return made.to(self.device)

    def wait(self) -> None:
        if self.on_gpu:
            torch.cuda.synchronize(self.device)

    def times_ms(self, work: Callable[[int], object], count: int) -> list[float]:
        """How long each of `count` runs takes, the device's work included."""
        taken = []
        for number in range(count):
            self.wait()
            began_s = time.perf_counter()
            work(number)
            self.wait()
            taken.append((time.perf_counter() - began_s) * 1e3)
            if self.left_s() < 0:
                break
        return taken

    def tidy(self) -> None:
        gc.collect()
        if self.on_gpu:
            torch.cuda.empty_cache()

    def _network(self) -> Network:
        network: Network = random_network(self.scale.config, SEED, self.dtype).to(self.device)
        return network

    def _make(self, kind: str, network: Network) -> PassEngine:
        from gpu.wan.engines.eager import EagerEngine

        if kind == "eager":
            return EagerEngine(network, self.device, self.dtype)
        if not self.on_gpu:
            raise BenchError(f"{kind} needs a GPU")
        from gpu.wan.engines.graphs import GraphEngine

        if kind == "graphs":
            return GraphEngine(network, self.device, self.dtype)
        if kind == "fp8":
            from gpu.wan.engines.fp8 import to_fp8

            return GraphEngine(to_fp8(network), self.device, self.dtype)
        raise BenchError(f"there is no engine {kind!r} to measure: eager, graphs or fp8")
