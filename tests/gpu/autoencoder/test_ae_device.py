"""A device that fails says so in relens's words, whichever autoencoder was at work."""

from __future__ import annotations

from collections.abc import Callable

import pytest

torch = pytest.importorskip("torch")

from gpu.autoencoder.base import Autoencoder  # noqa: E402
from gpu.autoencoder.device import device_errors  # noqa: E402
from gpu.autoencoder.tiny import TinyAutoencoder  # noqa: E402
from gpu.errors import DeviceError, NoMemory  # noqa: E402


def tiny() -> tuple[Autoencoder, torch.nn.Module, torch.nn.Module]:
    made = TinyAutoencoder.random(0)
    return made, made.network.encoder, made.network.decoder


def wan() -> tuple[Autoencoder, torch.nn.Module, torch.nn.Module]:
    pytest.importorskip("diffusers")
    from gpu.autoencoder.wan import WanAutoencoder

    made = WanAutoencoder.random(0)
    return made, made.vae.encoder, made.vae.decoder


@pytest.mark.parametrize("make", [tiny, wan])
def test_no_memory_left(make: Callable[[], tuple[Autoencoder, torch.nn.Module, torch.nn.Module]]) -> None:
    autoencoder, *halves = make()

    def full(*given: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    for half in halves:
        half.register_forward_pre_hook(full)
    stream = autoencoder.open(32, 32)
    with pytest.raises(NoMemory, match="to encode 32x32: end another stream"):
        stream.encode(torch.zeros(4, 3, 32, 32))
    with pytest.raises(NoMemory, match="to decode 32x32: end another stream"):
        stream.decode(torch.zeros(1, 16, 1, 4, 4))


def test_a_failed_device() -> None:
    with pytest.raises(DeviceError, match="restart the server"), device_errors("to encode 8x8"):
        raise torch.AcceleratorError("an illegal memory access was encountered")


def test_other_errors_pass() -> None:
    with pytest.raises(KeyError), device_errors("to encode 8x8"):
        raise KeyError
