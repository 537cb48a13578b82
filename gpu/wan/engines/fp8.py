"""FP8 in PyTorch: the blocks' linear layers multiply 8-bit floats, where the GPU has them (SM89 and later).

Weights are quantised once, a scale for each output; activations in every pass, a scale for each token, so
that nothing needs calibrating. What is short or sensitive stays as it is: patches, timestep, modulation,
head, norms, attention itself, and the instruction's keys and values, which are made once for each of them.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gpu.errors import DeviceError, ModelError
from gpu.wan.config import WanConfig
from gpu.wan.network import Network

FP8 = torch.float8_e4m3fn
MOST = 448.0  # the largest number of E4M3 (OCP 8-bit floating point specification, 1.0)
LEAST_CAPABILITY = (8, 9)  # Ada; Hopper and Blackwell have it too
LAYERS = (
    "self_attn.q",
    "self_attn.k",
    "self_attn.v",
    "self_attn.o",
    "cross_attn.q",
    "cross_attn.o",
    "ffn.0",
    "ffn.2",
)
_STEP = 16  # the matrix units want both sides of a weight to be multiples of this
_INSTEAD = "set fp8 to false, which leaves bfloat16"
_TINY = 1e-12  # a token of zeros has a scale too


def quantised(x: Tensor) -> tuple[Tensor, Tensor]:
    """Rows as 8-bit floats: [..., C] -> ([..., C] float8, [..., 1] float32), their product x within 2^-4."""
    scale = x.abs().amax(-1, keepdim=True).float().clamp(min=_TINY) / MOST
    return (x.float() / scale).clamp(-MOST, MOST).to(FP8), scale


class Fp8Linear(nn.Module):
    """A linear layer of 8-bit floats, in place of `linear`. On a CPU it computes with the same rounded
    numbers in float32: for tests, it is not fast."""

    weight: Tensor
    scale: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight, scale = quantised(linear.weight.detach())
        # Not parameters: what casts a network's parameters to another type must not touch these.
        self.register_buffer("weight", weight)  # [out, in]
        self.register_buffer("scale", scale)  # [out, 1]
        self.bias = linear.bias

    def forward(self, x: Tensor) -> Tensor:
        """[..., in] -> [..., out], in x's type"""
        rows, scales = quantised(x.flatten(0, -2))
        made = self.multiplied(rows, scales) if x.is_cuda else self.exact(rows, scales)
        return made.to(x.dtype).unflatten(0, x.shape[:-1])

    def multiplied(self, rows: Tensor, scales: Tensor) -> Tensor:
        """By the matrix units: [T, in] float8, [T, 1] -> [T, out] bfloat16, as scales by row want it."""
        bias = None if self.bias is None else self.bias.to(torch.bfloat16)
        return torch._scaled_mm(
            rows,
            self.weight.t(),
            scale_a=scales,
            scale_b=self.scale.t(),
            bias=bias,
            out_dtype=torch.bfloat16,
            use_fast_accum=rows.is_cuda,
        )

    def exact(self, rows: Tensor, scales: Tensor) -> Tensor:
        """The same in float32."""
        made = (rows.float() @ self.weight.float().t()) * scales * self.scale.t()
        return made if self.bias is None else made + self.bias.float()


def check_fits(config: WanConfig, device: torch.device | str) -> None:
    """Raises DeviceError for a GPU without FP8, ModelError for a network whose sizes do not suit it."""
    device = torch.device(device)
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < LEAST_CAPABILITY:
        name = torch.cuda.get_device_name(device)
        raise DeviceError(f"the {name} has no FP8, which begins with SM 8.9: {_INSTEAD}")
    unfit = [size for size in (config.dim, config.ffn) if size % _STEP]
    if unfit:
        raise ModelError(f"FP8 wants sizes in multiples of {_STEP}, {config.name} has {unfit[0]}: {_INSTEAD}")


def to_fp8(network: Network, keep_blocks: tuple[int, ...] = ()) -> Network:
    """Put Fp8Linear in place of the blocks' large linear layers, one after the other -> the same network.

    The weights it had are gone. `keep_blocks`: layers of the transformer that stay as they are. Raises as
    `check_fits`."""
    check_fits(network.config, network.patch_embedding.weight.device)
    for index, block in enumerate(network.blocks):
        if index in keep_blocks:
            continue
        for name in LAYERS:
            linear = block.get_submodule(name)
            if isinstance(linear, nn.Linear):  # not yet: twice changes nothing
                block.set_submodule(name, Fp8Linear(linear))
    return network


def left_out(network: Network) -> tuple[str, ...]:
    """Names of the linear layers that are not in FP8."""
    return tuple(name for name, module in network.named_modules() if isinstance(module, nn.Linear))
