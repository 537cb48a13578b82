"""Whether tensors fit a network, told before anything is copied; and their move into it, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gpu.checkpoints.fault import download, first_few, unusable
from gpu.checkpoints.needs import need
from gpu.checkpoints.sizes import config_of, describe
from gpu.errors import ModelError, NoMemory
from gpu.wan.config import WanConfig

_FLOATS = ("float32", "bfloat16", "float16", "float64")


def fit(
    state: Mapping[str, Any], network: Any, path: Path, model: str, config: WanConfig | None = None
) -> None:
    """Compare names, shapes and types of `state` with those of `network`, a torch module on any device, even
    "meta". Raises ModelError: the first five tensors that do not fit, how many more, what was expected."""
    expected = network.state_dict()
    wrong = [line for name, tensor in expected.items() if (line := _misfit(name, state.get(name), tensor))]
    wrong += [
        f"{name}: has {_shape(state[name])}, expected no such tensor"
        for name in state
        if name not in expected
    ]
    if not wrong:
        return
    why = f"holds other tensors: {first_few(wrong)}"
    if config is None:
        raise unusable(path, why, model)
    try:
        found = describe(config_of(state))
    except ModelError:
        found = "no network of the Wan family"
    # `describe` begins with the configuration's name, which is the model's: what is to be run names it alone.
    raise unusable(path, f"{why}. It is {found}", describe(config), download(model))


def move(
    state: dict[str, Any],
    network: Any,
    dtype_of: Callable[[str], Any],
    device: str = "cpu",
    change: Callable[[str, Any], Any] = lambda name, tensor: tensor,
) -> None:
    """Give `network` (on any device, "meta" too) the tensors of `state`, which is emptied: each is changed,
    converted and moved by itself, so that the whole is never there twice. One of the right type on the CPU
    stays mapped from its file.

    `dtype_of(name)`: torch's type to keep it in; `change(name, tensor)`: what is done to it before.
    Raises NoMemory when the device has none left."""
    torch = need("torch")
    ready = {}
    for name in list(state):
        tensor = change(name, state.pop(name))
        try:
            ready[name] = tensor.to(device=device, dtype=dtype_of(name)).contiguous()
        except torch.OutOfMemoryError as exc:
            raise NoMemory(
                f"{device} has no memory left for {name}: choose a smaller model or the CPU"
            ) from exc
    network.load_state_dict(ready, strict=True, assign=True)
    network.requires_grad_(False).eval()


def _misfit(name: str, have: Any, want: Any) -> str | None:
    if have is None:
        return f"{name}: is missing, expected {_shape(want)}"
    if tuple(have.shape) != tuple(want.shape):
        return f"{name}: has {_shape(have)}, expected {_shape(want)}"
    if have.is_meta or str(have.layout) != "torch.strided":
        return f"{name}: has no plain values ({have.layout}), expected {_shape(want)}"
    kind = str(have.dtype).removeprefix("torch.")
    if kind not in _FLOATS:
        return f"{name}: has {kind}, expected float32, bfloat16 or float16"
    return None


def _shape(tensor: Any) -> str:
    return str(list(tensor.shape))
