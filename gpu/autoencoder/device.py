"""What torch raises of a device, said as relens says it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import torch

from gpu.errors import DeviceError, NoMemory


@contextlib.contextmanager
def device_errors(doing: str) -> Iterator[None]:
    """Around work on a device; `doing` in words: "to encode 832x480".

    Raises NoMemory where there is none left, DeviceError where the device failed."""
    try:
        yield
    except torch.OutOfMemoryError as exc:
        raise NoMemory(f"no memory left {doing}: end another stream, or take a smaller canvas") from exc
    except torch.AcceleratorError as exc:
        raise DeviceError(f"the device failed {doing} ({exc}): restart the server") from exc
