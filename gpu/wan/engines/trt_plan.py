"""An engine file of TensorRT in memory, and its execution contexts bound to torch tensors.

Knows names, addresses and types, not what a pass means.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gpu.errors import DeviceError, NoMemory
from gpu.wan.engines.trt_library import TrtLibrary, logger_of

WRITTEN = ".out"  # behind a name: what a pass wrote over the tensor of that name (gpu/wan/export.py)
_IS_FULL = ("out of memory", "outofmemory", "memory could not be allocated")  # the library's words for it
_TYPES = {
    "FLOAT": torch.float32,
    "HALF": torch.float16,
    "BF16": torch.bfloat16,
    "INT64": torch.int64,
    "INT32": torch.int32,
    "BOOL": torch.bool,
}


class Plan:
    """A deserialised engine: the weights, shared by all contexts."""

    def __init__(self, library: TrtLibrary, path: Path) -> None:
        """Raises DeviceError where the file or this machine's GPU does not suit the library."""
        self.library = library
        self._path = path
        self.engine = self._deserialise()
        trt, engine = library.trt, self.engine
        names = [engine.get_tensor_name(place) for place in range(engine.num_io_tensors)]
        self.inputs = tuple(name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT)
        self.outputs = tuple(name for name in names if name not in self.inputs)
        self.context_bytes = int(engine.device_memory_size_v2)  # scratch that a context needs while it runs

    def _deserialise(self) -> Any:
        trt, logger = self.library.trt, logger_of(self.library)
        logger.taken()
        try:
            self._runtime = trt.Runtime(logger)
            with self._path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
                engine = self._runtime.deserialize_cuda_engine(image)
        except (OSError, ValueError) as exc:
            raise DeviceError(f"engine file {self._path} cannot be read ({exc}): build it again") from exc
        except TypeError as exc:  # pybind11: "factory function returned nullptr"
            raise self._refused(str(exc)) from exc
        if engine is None:
            raise self._refused("it did not say why")
        return engine

    def _refused(self, otherwise: str) -> DeviceError:
        why = logger_of(self.library).taken() or otherwise
        what = f"{self.library.words} cannot load {self._path.name} here ({why})"
        if any(words in why.lower() for words in _IS_FULL):
            return NoMemory(f"{what}: set pass_engine to auto, which holds the weights once")
        return DeviceError(f"{what}: it needs the GPU it was built for")

    def context(self, scratch: Tensor) -> Any:
        """An execution context on `scratch`, uint8 of at least `context_bytes`, which several may share where
        they never run at once. Raises DeviceError."""
        trt, engine = self.library.trt, self.engine
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        if self.library.is_rtx:
            config = engine.create_runtime_config()
            config.set_execution_context_allocation_strategy(strategy)
            config.cuda_graph_strategy = trt.CudaGraphStrategy.WHOLE_GRAPH_CAPTURE
            context = engine.create_execution_context(config)
        else:
            context = engine.create_execution_context(strategy)
        if context is None:
            raise DeviceError(f"{self.library.words} gave no execution context: {self._why()}")
        if self.context_bytes:
            context.set_device_memory(scratch.data_ptr(), scratch.numel())
        return context

    def _why(self) -> str:
        return logger_of(self.library).taken() or "it did not say why"


class Bound:
    """An execution context whose every input and output lies in the given tensors."""

    def __init__(
        self, plan: Plan, tensors: Mapping[str, Tensor], scratch: Tensor, unread: frozenset[str] = frozenset()
    ) -> None:
        """`unread`: inputs that the graph does not look at, so that they may be written at any moment.

        Raises DeviceError where the engine's names, shapes or types are not the tensors'."""
        self._plan, self._context, self._unread = plan, plan.context(scratch), unread
        self._copies: list[tuple[Tensor, Tensor]] = []  # (to, from): written beside, as it is read meanwhile
        for name in plan.inputs:
            self._bind(name, self._fitting(name, name, tensors))
        for name in plan.outputs:
            self._bind(name, self._target(name, tensors))

    @property
    def copied_bytes(self) -> int:
        """Of outputs that the engine cannot write in place: held once more, and copied with each run."""
        return sum(source.nbytes for _, source in self._copies)

    def enqueue(self, stream: int) -> None:
        """Queue one run on the current stream, whose handle is `stream`. Raises DeviceError."""
        if not self._context.execute_async_v3(stream):
            raise DeviceError(f"{self._plan.library.words} failed in a pass: {self._plan._why()}")
        for to, source in self._copies:
            to.copy_(source, non_blocking=True)

    def _target(self, name: str, tensors: Mapping[str, Tensor]) -> Tensor:
        base = name.removesuffix(WRITTEN)
        tensor = self._fitting(name, base, tensors)
        aliased = self._plan.engine.get_aliased_input_tensor(name)
        if aliased is not None and aliased != base:
            raise DeviceError(f"the engine writes {name} over {aliased}, not over {base}: build it again")
        if aliased is None and base in self._plan.inputs and base not in self._unread:
            beside = torch.empty_like(tensor)
            self._copies.append((tensor, beside))
            return beside
        return tensor

    def _fitting(self, name: str, base: str, tensors: Mapping[str, Tensor]) -> Tensor:
        """The tensor that the engine's `name` is bound to."""
        tensor = tensors.get(base)
        if tensor is None:
            raise DeviceError(
                f"the engine wants a tensor {name!r}, which a pass does not have: build it again"
            )
        engine = self._plan.engine
        shape, kind = tuple(engine.get_tensor_shape(name)), engine.get_tensor_dtype(name).name
        if shape != tuple(tensor.shape) or _TYPES.get(kind) != tensor.dtype or not tensor.is_contiguous():
            raise DeviceError(
                f"the engine wants {name!r} as {kind} {shape}, a pass holds it as {tensor.dtype} "
                f"{tuple(tensor.shape)}: build it again"
            )
        return tensor

    def _bind(self, name: str, tensor: Tensor) -> None:
        if not self._context.set_tensor_address(name, tensor.data_ptr()):
            raise DeviceError(
                f"{self._plan.library.words} did not take the address of {name!r}: {self._plan._why()}"
            )
