"""Which models there are and how to load one by name. Imports a model's module only when it is asked for."""

from __future__ import annotations

from gpu.errors import DeviceError, ModelError
from gpu.models import passthrough
from gpu.models.base import EditModel
from gpu.types import ModelSpec

MODEL_NAMES = ("nano", "nano-plus", "passthrough")


def load_model(name: str, threads: int = 0) -> EditModel:
    """Load a model ready to step; `threads` 0: as many as the machine has.

    Raises ModelError for an unknown name or unusable weights, DeviceError when no engine can run it.
    """
    if name == "passthrough":
        return passthrough.PassthroughModel()
    if name in ("nano", "nano-plus"):  # the same weights
        try:
            from gpu.models.nano import NanoModel
        except ImportError as exc:
            raise DeviceError(f"model {name} cannot be loaded ({exc}): run `make setup` again") from exc
        try:
            model: EditModel = NanoModel.load(threads, name=name)
        except OSError as exc:
            raise ModelError(
                f"the weights of {name} cannot be read ({exc}): install relens again, or run `make setup`"
            ) from exc
        return model
    raise ModelError(f"there is no model {name!r}: choose one of {', '.join(MODEL_NAMES)}")


def list_models() -> list[ModelSpec]:
    """What every model is, without loading one. A model whose module is not installed is left out."""
    specs: list[ModelSpec] = []
    try:
        from gpu.models.nano import SPECS
    except ImportError:
        pass
    else:
        specs += SPECS.values()
    specs.append(passthrough.SPEC)
    return specs
