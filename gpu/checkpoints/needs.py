"""The libraries that the base install does not have, asked for where they are first needed."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from gpu.errors import DeviceError


def need(module: str) -> Any:
    """A module of the extra `liveedit`. Raises DeviceError with the remedy where it cannot be loaded."""
    try:
        return import_module(module)
    except (ImportError, OSError) as exc:
        raise DeviceError(f"{module} cannot be loaded ({exc}): pip install 'relens[liveedit]'") from exc
