"""Wan 2.1's own autoencoder through diffusers, streaming: the quality path. Owns weights, a stream's memory.

What a stream gives equals diffusers' encoding and decoding of the whole clip that begins at its fourth frame.
"""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKLWan
from torch import Tensor

from gpu.autoencoder.base import (
    FRAMES,
    LATENT_CHANNELS,
    LATENT_MEAN,
    LATENT_STD,
    LIVEEDIT_PIXELS,
    Pixels,
    check_frames,
    check_latents,
    check_size,
)
from gpu.autoencoder.device import device_errors
from gpu.autoencoder.wan_cost import wan_state_bytes
from gpu.autoencoder.wan_private import Memory, decode_step, encode_step, memory_of, renamed
from gpu.checkpoints.fault import first_few, unusable
from gpu.checkpoints.read import read
from gpu.errors import ModelError
from gpu.wan.config import LIVEEDIT_1_3B

MODEL = LIVEEDIT_1_3B.name  # whose download brings the file
_ORIGINAL = "Wan2.1_VAE.pth"  # its name in Wan's own folders


class WanAutoencoder:
    """The weights on a device. Wan runs it in float32; bfloat16 takes half of what a stream holds."""

    def __init__(
        self,
        vae: AutoencoderKLWan,
        device: str = "cpu",
        pixels: Pixels = LIVEEDIT_PIXELS,
    ) -> None:
        """It runs in the float type that it has. `pixels`: what black and white were to it when the network
        was trained (base.py).

        Raises ModelError for another autoencoder of the family, such as Wan 2.2's."""
        config = vae.config
        if config.z_dim != LATENT_CHANNELS or config.is_residual or config.patch_size is not None:
            raise ModelError(
                f"an autoencoder with {config.z_dim} latent channels is not Wan 2.1's: "
                "take the one of Wan2.1-T2V-1.3B"
            )
        with device_errors(f"on {device} for Wan's autoencoder"):
            self.vae = vae.to(device).eval().requires_grad_(False)
        self.device, self.dtype, self.pixels = device, vae.dtype, pixels
        self.name = f"Wan 2.1's autoencoder, {str(vae.dtype).removeprefix('torch.')}"
        self.mean = torch.tensor(LATENT_MEAN, device=device).view(1, -1, 1, 1, 1)
        self.std = torch.tensor(LATENT_STD, device=device).view(1, -1, 1, 1, 1)

    @classmethod
    def load(
        cls,
        path: Path | str,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        pixels: Pixels = LIVEEDIT_PIXELS,
    ) -> WanAutoencoder:
        """From diffusers' folder (`vae`, or the one it lies in), Wan's own folder, or a file of either's
        weights (`Wan2.1_VAE.pth`). Raises ModelError for anything else."""
        path = Path(path)
        config, weights = _found(path)
        held = read(weights, MODEL)
        if "encoder.conv1.weight" in held:
            held = renamed(held)
        return cls(_built(weights, config, held, dtype), device, pixels)

    @classmethod
    def random(
        cls,
        seed: int,
        device: str = "cpu",
        dtype: torch.dtype = torch.float32,
        pixels: Pixels = LIVEEDIT_PIXELS,
        base_dim: int = 8,
    ) -> WanAutoencoder:
        """Untrained, and small (Wan's `base_dim` is 96): pictures come out as noise. The same for a seed."""
        with torch.device("meta"):
            vae = AutoencoderKLWan(base_dim=base_dim, z_dim=LATENT_CHANNELS)
        generator = torch.Generator().manual_seed(seed)
        weights = {}
        for name, parameter in vae.state_dict().items():
            values = torch.rand(parameter.shape, generator=generator) * 2 - 1
            spread = (3.0 / parameter[0].numel()) ** 0.5 if parameter.ndim > 1 else 0.1
            values = torch.ones_like(values) if name.endswith("gamma") else values * spread
            weights[name] = values.to(dtype)
        vae.load_state_dict(weights, assign=True)
        return cls(vae, device, pixels)

    def open(self, width: int, height: int) -> WanStream:
        """A stream of pictures of that size. Raises ModelError unless both are multiples of 8."""
        check_size(width, height)
        return WanStream(self, width, height)

    def state_bytes(self, width: int, height: int) -> int:
        """What one stream holds once both its ways have run twice: 3.0 GB at 832x480 in bfloat16."""
        return wan_state_bytes(width, height, self.dtype.itemsize, self.vae.config.base_dim)


class WanStream:
    """One stream, latent by latent as Wan does it."""

    def __init__(self, autoencoder: WanAutoencoder, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._of: WanAutoencoder | None = autoencoder
        self._seen = memory_of(autoencoder.vae.encoder)
        self._shown = memory_of(autoencoder.vae.decoder)

    @torch.inference_mode()
    def encode(self, frames: Tensor) -> Tensor:
        """See AutoencoderStream."""
        of = self._open()
        check_frames(frames.shape, self.width, self.height)
        with device_errors(f"to encode {self.width}x{self.height}"):
            pixels = frames.to(of.device, torch.float32)
            if of.pixels == "signed":
                pixels = pixels * 2 - 1
            latents = []
            for group in pixels.to(of.dtype).transpose(0, 1)[None].split(FRAMES, 2):  # [1, 3, 4, H, W]
                first = _is_empty(self._seen)
                latents.append(encode_step(of.vae, group[:, :, -1:] if first else group, self._seen))
            return (torch.cat(latents, 2).float() - of.mean) / of.std

    @torch.inference_mode()
    def decode(self, latents: Tensor) -> Tensor:
        """See AutoencoderStream."""
        of = self._open()
        check_latents(latents.shape, self.width, self.height)
        with device_errors(f"to decode {self.width}x{self.height}"):
            given = (latents.to(of.device, torch.float32) * of.std + of.mean).to(of.dtype)
            groups = []
            for latent in given.split(1, 2):
                first = _is_empty(self._shown)
                made = decode_step(of.vae, latent, self._shown, first)
                groups.append(made.expand(-1, -1, FRAMES, -1, -1) if first else made)
            pixels = torch.cat(groups, 2)[0].transpose(0, 1).float()
            return (pixels * 0.5 + 0.5 if of.pixels == "signed" else pixels).clamp(0, 1)

    def close(self) -> None:
        self._of, self._seen, self._shown = None, [], []

    def _open(self) -> WanAutoencoder:
        if self._of is None:
            raise ModelError("this stream is closed: open another")
        return self._of


def _is_empty(memory: Memory) -> bool:
    return all(each is None for each in memory)


def _found(path: Path) -> tuple[dict[str, Any], Path]:
    """diffusers' config where there is one, and the file or folder of weights. Raises ModelError."""
    if not path.is_dir():
        return {}, path
    for folder in (path, path / "vae"):
        config = _config(folder / "config.json")
        if config.get("_class_name") == AutoencoderKLWan.__name__:
            return config, folder
    if (path / _ORIGINAL).exists():
        return {}, path / _ORIGINAL
    raise unusable(path, f"holds neither a config.json of AutoencoderKLWan nor {_ORIGINAL}", MODEL)


def _config(path: Path) -> dict[str, Any]:
    try:
        held = json.loads(path.read_text()) if path.exists() else {}
    except (OSError, ValueError) as exc:
        raise unusable(path, f"cannot be read ({exc})", MODEL) from exc
    return held if isinstance(held, dict) else {}


def _built(path: Path, config: dict[str, Any], held: dict[str, Any], dtype: torch.dtype) -> AutoencoderKLWan:
    """The network those tensors are of: of Wan 2.1's make, as wide as they are. Raises ModelError."""
    known = inspect.signature(AutoencoderKLWan.__init__).parameters
    sizes = {name: value for name, value in config.items() if name in known}
    first, last = held.get("encoder.conv_in.weight"), held.get("decoder.conv_out.weight")
    if not sizes and isinstance(first, Tensor) and isinstance(last, Tensor):
        sizes = {"base_dim": first.shape[0], "decoder_base_dim": last.shape[1]}
    try:
        with torch.device("meta"):
            vae = AutoencoderKLWan(**sizes)
    except Exception as exc:  # diffusers checks no sizes: wrong ones raise whatever they end in
        raise unusable(path, f"comes with a config.json of no autoencoder ({exc})", MODEL) from exc
    expected = {name: parameter.shape for name, parameter in vae.state_dict().items()}
    wrong = [f"{name} is missing" for name in expected if not isinstance(held.get(name), Tensor)]
    wrong += [f"{name} is unknown" for name in held if name not in expected]
    wrong += [
        f"{name} is {list(held[name].shape)}, not {list(shape)}"
        for name, shape in expected.items()
        if isinstance(held.get(name), Tensor) and held[name].shape != shape
    ]
    if wrong:
        raise unusable(path, f"does not hold Wan 2.1's autoencoder: {first_few(wrong)}", MODEL)
    vae.load_state_dict({name: held[name].to(dtype, copy=True) for name in expected}, assign=True)
    return vae
