"""A checkpoint to a network that is ready to run: read, named, compared, merged, moved."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpu.checkpoints.fault import unusable
from gpu.checkpoints.fit import fit, move
from gpu.checkpoints.lora import Lora, changes, merge
from gpu.checkpoints.names import network_of
from gpu.checkpoints.needs import need
from gpu.checkpoints.read import read
from gpu.errors import ModelError
from gpu.wan.config import WanConfig

if TYPE_CHECKING:
    from gpu.wan.network import Network

_PATCH = "patch_embedding.weight"


def load_network(
    path: Path | str,
    config: WanConfig,
    dtype: Any,
    device: str = "cpu",
    prefer_ema: bool = True,
    loras: Sequence[Lora] = (),
    *,
    widen: bool = False,
) -> Network:
    """The network of `config` with a checkpoint's weights, without gradients.

    `path`: a file, an index of shards or a folder (read.py). `dtype`: torch's float type of the weights;
    those of timestep and modulation are float32 whatever it is. On the CPU what needs no conversion stays
    mapped from the file, which must not be written to meanwhile. `loras` are merged in float32, before the
    conversion. `widen`: a checkpoint that takes no source becomes one that does, its new input weights zero
    (for training and tests: such a network does not look at the source).
    Raises ModelError for whatever cannot be loaded, naming the tensors; NoMemory when the device is full;
    DeviceError without PyTorch."""
    torch = need("torch")
    from gpu.wan.network import FLOAT32, Network

    path = Path(path)
    state = read_network(path, config, prefer_ema)
    if widen:
        _widen(state, config)
    with torch.device("meta"):
        network = Network(config)
    fit(state, network, path, config.name, config)
    added = changes(loras, {name: tuple(tensor.shape) for name, tensor in state.items()}, config.name)

    def kept_in(name: str) -> Any:
        return torch.float32 if any(part in name for part in FLOAT32) else dtype

    def merged(name: str, tensor: Any) -> Any:
        return merge(tensor, added[name]) if name in added else tensor

    move(state, network, kept_in, device, merged)
    return network


def read_network(path: Path, config: WanConfig, prefer_ema: bool = True) -> dict[str, Any]:
    """A checkpoint's tensors by Wan's names, mapped from the file and not yet compared with anything."""
    held = read(path, config.name)
    try:
        return network_of(held, prefer_ema)
    except ModelError as exc:
        raise unusable(path, f"is not usable: {exc}", config.name) from exc


def _widen(state: dict[str, Any], config: WanConfig) -> None:
    """Zeros for the source's channels behind those of the noisy latent."""
    weight: Any = state.get(_PATCH)
    if weight is None or weight.dim() != 5 or weight.shape[1] != config.latent_channels:
        return
    made = weight.new_zeros(weight.shape[0], config.in_channels, *weight.shape[2:])
    made[:, : weight.shape[1]] = weight
    state[_PATCH] = made
