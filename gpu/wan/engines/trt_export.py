"""The graphs that TensorRT builds engines of: a network's passes, in FP8 where that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from gpu.wan.config import StreamShape
from gpu.wan.engines.fp8_graph import quantise_graph
from gpu.wan.engines.key import weights_files
from gpu.wan.engines.store import Progress
from gpu.wan.export import Mask, export_pass
from gpu.wan.network import Network

# (shape, batch, mask_cache, pruned, progress) -> ONNX file. What the progress raises goes through.
Exporter = Callable[[StreamShape, int, bool, bool, Progress], Path]


def exporter(
    network: Network, graphs: Path, dtype: torch.dtype, fp8: bool = False, mask: Mask = "row"
) -> Exporter:
    """Writes graphs into the folder `graphs`; `dtype` and `mask` as export_pass's.

    With `fp8` the network runs a stream first, once for a shape, to see what numbers its layers are given:
    seconds on a GPU. It must not be in FP8 itself. Raises, when called, what export_pass, ranges and
    quantise_graph raise."""

    def export(shape: StreamShape, batch: int, mask_cache: bool, pruned: bool, told: Progress) -> Path:
        graph = export_pass(network, shape, graphs, batch, mask_cache, pruned, dtype, mask)
        if not fp8:
            return graph
        from gpu.wan.engines.fp8_ranges import ranges

        weights = " ".join(weights_files(graph))  # their names hold their digests (weights.py)
        return quantise_graph(graph, network, ranges(network, weights, shape, graphs, mask_cache, told))

    return export
