"""PyTorch as it is: the reference that the other engines are held against, on any device torch knows."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from gpu.errors import DeviceError, ModelError
from gpu.wan.bindings import Kind, bindings
from gpu.wan.config import StreamShape, WanConfig
from gpu.wan.network import Network, cast

_FIXED: Mapping[Kind, torch.dtype] = {"float32": torch.float32, "int64": torch.int64, "bool": torch.bool}


class EagerPass:
    """One stream's tensors, and the network called on them.

    `full`: the owner may set it once every slot of the ring holds a latent. The mask is then not looked at,
    which lets a GPU use its fastest attention."""

    def __init__(self, network: Network, shape: StreamShape, batch: int, tensors: dict[str, Tensor]) -> None:
        self._network: Network | None = network
        self._shape, self._batch, self._tensors = shape, batch, tensors
        self._mask_cache = "kept" in tensors
        self.full = False

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
        """One pass, see engines/base.py. Raises ModelError once closed, or for a pruned pass without a mask
        cache; DeviceError when the device fails or has no memory left."""
        if self._network is None:
            raise ModelError("this pass is closed: open another")
        if pruned and not self._mask_cache:
            raise ModelError("a pruned pass needs a pass opened with mask_cache")
        left_out = {"flow"} | ({"attend"} if self.full else set()) | (set() if pruned else {"kept"})
        given = {name: tensor for name, tensor in self._tensors.items() if name not in left_out}
        try:
            with torch.inference_mode():
                self._tensors["flow"].copy_(self._network(**given))
        except torch.OutOfMemoryError as error:
            raise DeviceError(f"no memory left for a pass at {self._shape}: {error}") from error
        except torch.AcceleratorError as error:
            raise DeviceError(f"the device failed in a pass: {error}") from error

    def close(self) -> None:
        """Let the tensors go. Idempotent."""
        self._network = None
        self._tensors = {}


class EagerEngine:
    """A network in PyTorch. It takes `network` over: its weights move to the device and to `dtype`."""

    def __init__(self, network: Network, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        try:
            self._network: Network | None = cast(network, dtype).to(device).requires_grad_(False).eval()
        except torch.OutOfMemoryError as error:
            raise DeviceError(f"no memory on {device} for the weights of {network.config.name}") from error
        self._config, self._device, self._dtype = network.config, device, dtype

    @property
    def name(self) -> str:
        return f"PyTorch {torch.__version__}, {str(self._dtype).removeprefix('torch.')}, {self._device}"

    @property
    def config(self) -> WanConfig:
        return self._config

    @property
    def device(self) -> str:
        return self._device

    @property
    def dtype(self) -> torch.dtype:
        return self._dtype

    def open(self, shape: StreamShape, batch: int = 1, mask_cache: bool = False) -> EagerPass:
        """See engines/base.py."""
        if self._network is None:
            raise ModelError("this engine is closed: load the model again")
        wanted = bindings(self._config, shape, batch, mask_cache, pruned=mask_cache)
        try:
            tensors = {
                one.name: torch.zeros(one.shape, dtype=_FIXED.get(one.kind, self._dtype), device=self._device)
                for one in wanted
            }
        except torch.OutOfMemoryError as error:
            raise DeviceError(f"no memory left on {self._device} for a stream at {shape}") from error
        return EagerPass(self._network, shape, batch, tensors)

    def close(self) -> None:
        """Let the weights go; passes that are open keep theirs until they are closed. Idempotent."""
        self._network = None
