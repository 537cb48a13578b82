"""The only place that touches what diffusers 0.42 keeps to itself: the step that its loop over a clip is of.

`AutoencoderKLWan` encodes and decodes clips, in steps of one latent, with what each causal convolution
remembers in lists that its encoder and decoder are handed. Here those lists are a stream's own. Nothing of
diffusers is changed; what is relied on is held to the installed version by
tests/gpu/autoencoder/test_ae_wan_private.py.
"""

from __future__ import annotations

from typing import Any

from diffusers import AutoencoderKLWan
from diffusers.loaders.single_file_utils import convert_wan_vae_to_diffusers
from diffusers.models.autoencoders.autoencoder_kl_wan import WanCausalConv3d
from torch import Tensor, nn

Memory = list[Any]  # by convolution: None, a tensor, or before its first use a mark of diffusers' own


def memory_of(half: nn.Module) -> Memory:
    """An empty one for `vae.encoder` or `vae.decoder`."""
    return [None] * sum(isinstance(module, WanCausalConv3d) for module in half.modules())


def encode_step(vae: AutoencoderKLWan, pictures: Tensor, memory: Memory) -> Tensor:
    """[B, 3, 1, H, W] at first, [B, 3, 4, H, W] ever after, in -1..1, to the mean [B, 16, 1, H/8, W/8], not
    normalised. `memory` is brought forward."""
    made = vae.encoder(pictures, feat_cache=memory, feat_idx=[0])
    return vae.quant_conv(made).chunk(2, 1)[0]


def decode_step(vae: AutoencoderKLWan, latent: Tensor, memory: Memory, first: bool) -> Tensor:
    """[B, 16, 1, h, w], not normalised, to pictures [B, 3, 4, 8h, 8w] in -1..1, of the first latent but one.
    `memory` is brought forward."""
    made = vae.decoder(vae.post_quant_conv(latent), feat_cache=memory, feat_idx=[0], first_chunk=first)
    return made.clamp(-1, 1)


def renamed(held: dict[str, Any]) -> dict[str, Any]:
    """Tensors of `Wan2.1_VAE.pth` under diffusers' names."""
    return dict(convert_wan_vae_to_diffusers(held))
