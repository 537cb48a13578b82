"""Which models there are and how to load one by name. Imports a model's module only when it is asked for."""

from __future__ import annotations

from importlib.util import find_spec

from gpu.errors import DeviceError, ModelError
from gpu.models import liveedit_spec, passthrough
from gpu.models.base import EditModel
from gpu.models.settings import DEFAULT, ModelSettings
from gpu.types import ModelSpec

MODEL_NAMES = ("nano", "nano-plus", "passthrough")  # what the package holds whole
LARGE_NAMES = liveedit_spec.NAMES  # what has weights of its own, or only random ones


def load_model(name: str, threads: int = 0, settings: ModelSettings = DEFAULT) -> EditModel:
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
    if name in LARGE_NAMES:
        refusal = why_not(name, settings)
        if refusal:
            raise ModelError(refusal)
        from gpu.models.liveedit import LiveEditModel

        return LiveEditModel.load(name, settings, threads)
    names = (*MODEL_NAMES, *(spec.name for spec in list_large(settings)))
    raise ModelError(f"there is no model {name!r}: choose one of {', '.join(names)}")


def list_models(settings: ModelSettings = DEFAULT) -> list[ModelSpec]:
    """What every model is that can be loaded here, without loading one: one whose module is not installed, or
    whose weights are not there, is left out."""
    return [*_in_package(), *(spec for spec in list_large(settings) if not why_not(spec.name, settings))]


def list_large(settings: ModelSettings = DEFAULT) -> list[ModelSpec]:
    """The models with weights of their own, whether they are there or not; the toy where it may run."""
    names = LARGE_NAMES if settings.random_weights else (liveedit_spec.FULL,)
    return [liveedit_spec.spec_of(name, settings) for name in names]


def why_not(name: str, settings: ModelSettings = DEFAULT) -> str:
    """What to do before a large model can be loaded, all in one message; "" where nothing is missing."""
    wants: list[str] = []
    if not settings.random_weights:
        if name == liveedit_spec.TOY_NAME:
            return f"{name} has no trained weights: add --random-weights to measure with it"
        wants.append(liveedit_spec.missing_weights(name, settings))
    needed = ["torch"] if settings.random_weights else ["torch", "transformers", "safetensors"]
    needed += ["diffusers"] if settings.autoencoder == "wan" else []
    missing = [module for module in needed if find_spec(module) is None]
    if missing:
        wants.append(f"{name} needs {', '.join(missing)}: run `pip install 'relens[liveedit]'`")
    return "; ".join(want for want in wants if want)


def _in_package() -> list[ModelSpec]:
    specs: list[ModelSpec] = []
    try:
        from gpu.models.nano import SPECS
    except ImportError:
        pass
    else:
        specs += SPECS.values()
    specs.append(passthrough.SPEC)
    return specs
