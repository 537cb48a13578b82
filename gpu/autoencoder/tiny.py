"""TAEW2.1, the tiny autoencoder of Wan 2.1's latents, streaming. Owns weights, and what a stream remembers.

Its latents are the network's own, without mean and standard deviation (madebyollin/taehv, README: "exactly
what diffusion models use"; LiveEdit, Self-Forcing and StreamDiffusionV2 hand the network's latents over as
they are).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gpu.autoencoder.base import (
    FRAMES,
    LIVEEDIT_PIXELS,
    Pixels,
    check_frames,
    check_latents,
    check_size,
)
from gpu.autoencoder.cost import tiny_state_bytes
from gpu.autoencoder.device import device_errors
from gpu.autoencoder.tiny_network import Decoder, Encoder, StateTensor, TinyNetwork
from gpu.checkpoints.fault import first_few, unusable
from gpu.checkpoints.read import read
from gpu.errors import ModelError
from gpu.wan.config import LIVEEDIT_1_3B

MODEL = LIVEEDIT_1_3B.name  # whose download brings the file


class TinyAutoencoder:
    """The weights on a device. float16 is upstream's choice on GPUs; bfloat16 shows steps in smooth areas."""

    def __init__(
        self,
        network: TinyNetwork,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        pixels: Pixels = LIVEEDIT_PIXELS,
    ) -> None:
        """`pixels`: what black and white were to Wan's autoencoder when the network was trained (base.py)."""
        with device_errors(f"on {device} for the tiny autoencoder"):
            self.network = network.to(device=device, dtype=dtype).eval().requires_grad_(False)
        self.device, self.dtype, self.pixels = device, dtype, pixels
        self.name = f"TAEW2.1, {str(dtype).removeprefix('torch.')}"

    @classmethod
    def load(
        cls,
        path: Path | str,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        pixels: Pixels = LIVEEDIT_PIXELS,
    ) -> TinyAutoencoder:
        """From `taew2_1.pth` or `taew2_1.safetensors`. Raises ModelError for any other file."""
        path = Path(path)
        with torch.device("meta"):
            network = TinyNetwork()
        network.load_state_dict(_fitted(path, read(path, MODEL), network), assign=True)
        return cls(network, device, dtype, pixels)

    @classmethod
    def random(
        cls,
        seed: int,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        pixels: Pixels = LIVEEDIT_PIXELS,
    ) -> TinyAutoencoder:
        """Untrained weights: pictures come out as noise, but of sane size. The same for the same seed."""
        generator = torch.Generator().manual_seed(seed)
        with torch.device("meta"):
            network = TinyNetwork()
        weights = {
            name: _sample(name, parameter.shape, generator)
            for name, parameter in network.state_dict().items()
        }
        network.load_state_dict(weights, assign=True)
        return cls(network, device, dtype, pixels)

    def open(self, width: int, height: int) -> TinyStream:
        """A stream of pictures of that size. Raises ModelError unless both are multiples of 8, NoMemory."""
        check_size(width, height)
        with device_errors(f"for a stream of {width}x{height}"):
            return TinyStream(self, width, height)

    def state_bytes(self, width: int, height: int) -> int:
        """What one stream holds between calls: 120 MB at 832x480 in float16."""
        return tiny_state_bytes(width, height, self.dtype.itemsize)


class TinyStream:
    """One stream. Latent by latent, so that every step has the same shape and splitting changes nothing."""

    def __init__(self, autoencoder: TinyAutoencoder, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._of = autoencoder
        self._encoder = Half(autoencoder, autoencoder.network.encoder, width, height)
        self._decoder = Half(autoencoder, autoencoder.network.decoder, width, height)

    @torch.inference_mode()
    def encode(self, frames: Tensor) -> Tensor:
        """See AutoencoderStream."""
        check_frames(frames.shape, self.width, self.height)
        with device_errors(f"to encode {self.width}x{self.height}"):
            pixels = frames.to(self._of.device, torch.float32)
            if self._of.pixels == "unit":
                pixels = pixels * 0.5 + 0.5  # Wan's 0..1 of its own -1..1, which are TAEHV's 0..1
            pixels = pixels.to(self._of.dtype)
            latents = [self._encoder.step(group[None]) for group in pixels.split(FRAMES)]
            return torch.cat(latents, 1).transpose(1, 2).float()

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """See AutoencoderStream."""
        check_latents(latents.shape, self.width, self.height)
        with device_errors(f"to decode {self.width}x{self.height}"):
            given = latents.to(self._of.device, self._of.dtype).transpose(1, 2)
            frames = torch.cat([self._decoder.step(latent) for latent in given.split(1, 1)], 1)[0].float()
            return (frames * 2 - 1).clamp_(0, 1) if self._of.pixels == "unit" else frames

    def close(self) -> None:
        self._encoder.close()
        self._decoder.close()


class Half:
    """One way of one stream: a step's network, and the tensors it remembers."""

    def __init__(self, of: TinyAutoencoder, network: Encoder | Decoder, width: int, height: int) -> None:
        self._network: nn.Module | None = network
        self._state = [_zeros(each, of) for each in network.state(1, width, height)]

    def step(self, x: Tensor) -> Tensor:
        """Raises ModelError once closed."""
        if self._network is None:
            raise ModelError("this stream is closed: open another")
        y, *self._state = self._network(x, *self._state)
        return y

    def close(self) -> None:
        self._network, self._state = None, []


def _zeros(tensor: StateTensor, of: TinyAutoencoder) -> Tensor:
    return torch.zeros(tensor.shape, device=of.device, dtype=of.dtype)


def _sample(name: str, shape: torch.Size, generator: torch.Generator) -> Tensor:
    """Uniform, keeping a picture's variance through a ReLU; a block adds a tenth to what it is given."""
    if len(shape) < 2:
        return torch.full(shape, 0.5 if name == "decoder.22.bias" else 0.0)  # grey
    spread = (6.0 / shape[1:].numel()) ** 0.5
    if name.endswith(".conv.4.weight") or name == "decoder.22.weight":
        spread *= 0.1
    return (torch.rand(shape, generator=generator) * 2 - 1) * spread


def _fitted(path: Path, held: dict[str, Any], network: TinyNetwork) -> dict[str, Tensor]:
    """The tensors by the network's names, in its shapes. Raises ModelError naming what does not fit."""
    expected = {name: parameter.shape for name, parameter in network.state_dict().items()}
    fitted: dict[str, Tensor] = {}
    wrong: list[str] = []
    for name, shape in expected.items():
        tensor = held.get(name)
        if not isinstance(tensor, Tensor):
            wrong.append(f"{name} is missing")
            continue
        # A TGrow may be stored with more pictures than are made here: the last ones count (taehv.py).
        if name.startswith("decoder.") and tensor.ndim == 4 and tensor.shape[1:] == (shape[1], 1, 1):
            tensor = tensor[-shape[0] :]
        if tensor.shape != shape or not tensor.is_floating_point():
            wrong.append(f"{name} is {tensor.dtype} {list(tensor.shape)}, not {list(shape)}")
        fitted[name] = tensor.clone()  # not mapped: the file may go
    wrong += [f"{name} is unknown" for name in held if name not in expected]
    if wrong:
        raise unusable(path, f"does not hold TAEHV for 16 channels: {first_few(wrong)}", MODEL)
    return fitted
