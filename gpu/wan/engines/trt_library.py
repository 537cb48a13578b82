"""TensorRT and TensorRT-RTX as one library: which is here, its version, and which GPUs it makes engines for.

Their Python API is the same but for a few names; this module holds what differs. Importing either loads the
driver's libraries: a server's process does that only to run an engine, never to build one (builder.py).
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from gpu.errors import DeviceError, ModelError

LibraryName = Literal["tensorrt", "tensorrt-rtx"]
LIBRARIES: tuple[LibraryName, ...] = get_args(LibraryName)
# In the order they are tried: the RTX meta package, and its bindings alone.
MODULES: dict[LibraryName, tuple[str, ...]] = {
    "tensorrt": ("tensorrt",),
    "tensorrt-rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
_PEOPLE: dict[LibraryName, str] = {"tensorrt": "TensorRT", "tensorrt-rtx": "TensorRT-RTX"}
_INSTALL: dict[LibraryName, str] = {
    "tensorrt": "pip install tensorrt-cu13",
    "tensorrt-rtx": "pip install 'relens[tensorrt-rtx]'",
}
_OLDEST = {"tensorrt": (11, 0), "tensorrt-rtx": (1, 5)}  # TensorScatter and TRT_decomposable are read since
# TensorRT-RTX's support matrix as its ComputeCapability enum has it (1.7): no SM90, no SM100.
RTX_ARCHITECTURES = ("sm75", "sm80", "sm86", "sm89", "sm120", "sm121")
_MOST_ERRORS = 8  # of the library's messages, the last ones, that an error quotes

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class TrtLibrary:
    """One of the two, imported."""

    name: LibraryName
    trt: Any  # the module
    version: str

    @property
    def words(self) -> str:
        """For people: "TensorRT-RTX 1.7.1"."""
        return f"{_PEOPLE[self.name]} {'.'.join(self.version.split('.')[:3])}"

    @property
    def is_rtx(self) -> bool:
        return self.name == "tensorrt-rtx"


def installed(name: LibraryName) -> bool:
    """Whether its module can be found; it is not imported, and may still lack libraries of its own."""
    return any(importlib.util.find_spec(module) is not None for module in MODULES[name])


@functools.cache
def load(name: LibraryName) -> TrtLibrary:
    """Import it. Raises DeviceError with the remedy where it is missing, broken, or too old."""
    for module in MODULES[name]:
        if importlib.util.find_spec(module) is None:
            continue
        try:
            trt = importlib.import_module(module)
        except MemoryError:
            raise
        except Exception as exc:  # a library that fails to load raises what it likes
            raise DeviceError(
                f"{_PEOPLE[name]} is installed but does not load ({exc}): {_INSTALL[name]}"
            ) from exc
        version = str(getattr(trt, "__version__", "0"))
        if _numbers(version) < _OLDEST[name]:
            oldest = ".".join(map(str, _OLDEST[name]))
            raise DeviceError(
                f"{_PEOPLE[name]} {version} is too old, {oldest} is needed: {_INSTALL[name]} --upgrade"
            )
        return TrtLibrary(name, trt, version)
    raise DeviceError(f"{_PEOPLE[name]} is not installed: {_INSTALL[name]}")


def library_for(architecture: str) -> LibraryName:
    """The library that makes engines for a GPU ("sm90"): TensorRT-RTX for RTX GPUs where it is installed,
    TensorRT for all others."""
    return "tensorrt-rtx" if architecture in RTX_ARCHITECTURES and installed("tensorrt-rtx") else "tensorrt"


def check_architectures(name: LibraryName, architectures: Sequence[str]) -> None:
    """Raises ModelError where the library makes no engine for one of them, or takes none named at all."""
    if name == "tensorrt":
        if architectures:
            raise ModelError(
                f"TensorRT builds for the GPU it runs on, not for {', '.join(architectures)}: name none"
            )
        return
    unfit = [each for each in architectures if each not in RTX_ARCHITECTURES]
    if unfit:
        raise ModelError(
            f"TensorRT-RTX makes no engine for {', '.join(unfit)}, only for {', '.join(RTX_ARCHITECTURES)}: "
            "use TensorRT, or PyTorch with CUDA graphs"
        )


def architecture_of(device: str) -> str:
    """A GPU's architecture, "sm90". Raises DeviceError where torch sees no such GPU."""
    import torch

    try:
        major, minor = torch.cuda.get_device_capability(device)
    except (RuntimeError, AssertionError, ValueError) as exc:
        raise DeviceError(
            f"{device} is no GPU that torch can use ({_first(exc)}): engines of TensorRT need one; run "
            "`relens doctor`"
        ) from exc
    return f"sm{major}{minor}"


@functools.cache
def logger_of(library: TrtLibrary) -> Any:
    """The one logger a process may give the library, which keeps the first it is given.

    Warnings and errors go to logging; `errors` holds the last of them for the message of a failure."""
    base: Any = library.trt.ILogger
    trt = library.trt

    class Logger(base):
        def __init__(self) -> None:
            base.__init__(self)  # pybind11 wants its own called, by name
            self.errors: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity == trt.ILogger.ERROR or severity == trt.ILogger.INTERNAL_ERROR:
                self.errors = [*self.errors[1 - _MOST_ERRORS :], message.strip()]
                log.error("%s: %s", library.words, message.strip())
            elif severity == trt.ILogger.WARNING:
                log.debug("%s: %s", library.words, message.strip())

        def taken(self) -> str:
            """What went wrong since it was last asked, in one line."""
            errors, self.errors = self.errors, []
            return "; ".join(errors)[:600]

    return Logger()


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def _first(exc: BaseException) -> str:
    return str(exc).strip().splitlines()[0] if str(exc).strip() else type(exc).__name__
