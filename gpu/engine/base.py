"""What an engine is: a thing that executes one model graph. Knows named tensors, not frames or models."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from gpu.errors import DeviceError, ModelError

Tensor = NDArray[Any]
Shapes = Mapping[str, Sequence[int]]
EngineKind = Literal["auto", "openvino", "onnxruntime"]


class Engine(Protocol):
    """One compiled graph with static shapes. One thread at a time; results are the caller's to keep."""

    @property
    def name(self) -> str:
        """For people: "OpenVINO, 2 threads"."""
        ...

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        """Names and static shapes of what `run` takes."""
        ...

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what `run` returns, in the graph's order."""
        ...

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Execute the graph once. Raises ModelError when a name, shape or dtype does not fit the graph."""
        ...

    def close(self) -> None:
        """Let the compiled graph go. `run` afterwards raises ModelError. Idempotent."""
        ...


class CheckedEngine(ABC):
    """What every engine does alike: it says what it takes, checks what it is given, and knows when it is
    closed."""

    def __init__(
        self,
        name: str,
        inputs: Mapping[str, tuple[int, ...]],
        dtypes: Mapping[str, np.dtype[Any]],
        outputs: tuple[str, ...],
    ) -> None:
        self._name, self._inputs, self._dtypes, self._outputs = name, inputs, dtypes, outputs
        self._closed = False

    @property
    def name(self) -> str:
        return self._name

    @property
    def inputs(self) -> Mapping[str, tuple[int, ...]]:
        return self._inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        return self._outputs

    def run(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        if self._closed:
            raise ModelError("this engine is closed: open another")
        check_inputs(inputs, self._inputs, self._dtypes)
        return self._execute(inputs)

    def close(self) -> None:
        self._closed = True

    @abstractmethod
    def _execute(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Run the graph on inputs that fit; the results are the caller's to keep."""


def source_of(model: str | Path | bytes) -> str | bytes:
    """The model as the engines' readers take it: a path that exists, or the graph's bytes.

    Raises DeviceError when the file is missing."""
    if isinstance(model, bytes):
        return model
    path = Path(model)
    if not path.is_file():
        raise DeviceError(f"model file {path} is missing: reinstall relens, or train it again (make distill)")
    return str(path)


def check_inputs(
    given: Mapping[str, Tensor], shapes: Mapping[str, tuple[int, ...]], dtypes: Mapping[str, np.dtype[Any]]
) -> None:
    """Hold the tensors to the graph's names, shapes and dtypes; raises ModelError naming the first misfit."""
    if given.keys() != shapes.keys():
        missing, extra = sorted(shapes.keys() - given.keys()), sorted(given.keys() - shapes.keys())
        raise ModelError(
            f"graph inputs do not fit: missing {missing}, unknown {extra}; it takes {sorted(shapes)}"
        )
    for name, tensor in given.items():
        if tensor.shape != shapes[name] or tensor.dtype != dtypes[name]:
            raise ModelError(
                f"input {name!r} is {tensor.dtype}{list(tensor.shape)}, the graph takes "
                f"{dtypes[name]}{list(shapes[name])}: open the engine with shapes= for another size"
            )
