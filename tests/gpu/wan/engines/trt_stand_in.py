"""A stand-in for TensorRT's run-time API whose contexts really run: ONNX Runtime, at the addresses they were
given. An "engine file" is the path of a graph. Every call that matters is kept, in order."""

from __future__ import annotations

import enum
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from gpu.wan.engines.trt_library import LibraryName, TrtLibrary

SCRATCH = 4096
_ELEMENTS = {"FLOAT": np.float32, "INT64": np.int64, "BOOL": np.bool_}


class TensorIOMode(enum.Enum):
    INPUT, OUTPUT = 1, 2


class Strategy(enum.Enum):
    STATIC, USER_MANAGED = 0, 2


class CudaGraphStrategy(enum.Enum):
    DISABLED, WHOLE_GRAPH_CAPTURE = 0, 1


class ILogger:
    INTERNAL_ERROR, ERROR, WARNING = range(3)

    def __init__(self) -> None:
        pass


class World:
    """What the stand-in was asked, and how it is to fail."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.logger: Any = None
        self.refuse_engine = self.no_runtime = self.no_context = self.fail_run = self.refuse_address = False
        self.aliases: Callable[[str, str], str | None] = lambda name, base: base
        self.why_engine = "the plan is for SM120"
        self.contexts = 0  # alive

    def named(self, kind: str) -> list[tuple[Any, ...]]:
        return [call for call in self.calls if call[0] == kind]

    def fail(self, why: str) -> None:
        self.logger.log(ILogger.ERROR, why)

    def library(self, name: LibraryName = "tensorrt") -> TrtLibrary:
        def runtime(logger: Any) -> _Runtime:
            self.logger = logger
            if self.no_runtime:
                self.fail("CUDA error 35")
                raise TypeError("pybind11::init(): factory function returned nullptr")
            return _Runtime(self)

        trt = SimpleNamespace(
            ILogger=ILogger,
            Runtime=runtime,
            TensorIOMode=TensorIOMode,
            ExecutionContextAllocationStrategy=Strategy,
            CudaGraphStrategy=CudaGraphStrategy,
        )
        return TrtLibrary(name, trt, "11.4.0.106" if name == "tensorrt" else "1.7.1.116")


class _Runtime:
    def __init__(self, world: World) -> None:
        self._world = world

    def deserialize_cuda_engine(self, image: Any) -> Any:
        if self._world.refuse_engine:
            self._world.fail(self._world.why_engine)
            return None
        return _Engine(self._world, Path(bytes(image).decode()))


class _Engine:
    def __init__(self, world: World, graph: Path) -> None:
        self.world = world
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(str(graph), options, providers=["CPUExecutionProvider"])
        self.ports = {port.name: port for port in (*self.session.get_inputs(), *self.session.get_outputs())}
        self._inputs = {port.name for port in self.session.get_inputs()}
        nodes = onnx.load(str(graph), load_external_data=False).graph.node
        self._written = {node.output[0]: node.input[0] for node in nodes if node.op_type == "TensorScatter"}
        self.num_io_tensors, self.device_memory_size_v2 = len(self.ports), SCRATCH

    def get_tensor_name(self, place: int) -> str:
        return list(self.ports)[place]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        return tuple(self.ports[name].shape)

    def get_tensor_dtype(self, name: str) -> Any:
        kinds = {"tensor(float)": "FLOAT", "tensor(int64)": "INT64", "tensor(bool)": "BOOL"}
        return SimpleNamespace(name=kinds[self.ports[name].type])

    def get_aliased_input_tensor(self, name: str) -> str | None:
        base = self._written.get(name)
        return None if base is None else self.world.aliases(name, base)

    def create_runtime_config(self) -> Any:
        def strategy(which: Strategy) -> None:
            config.strategy = which

        config = SimpleNamespace(set_execution_context_allocation_strategy=strategy)
        return config

    def create_execution_context(self, given: Any) -> Any:
        self.world.calls.append(("context", given))
        return None if self.world.no_context else _Context(self)


class _Context:
    def __init__(self, engine: _Engine) -> None:
        self._engine, self._world = engine, engine.world
        self._addresses: dict[str, int] = {}
        self._world.contexts += 1

    def __del__(self) -> None:
        self._world.contexts -= 1

    def set_device_memory(self, address: int, size: int) -> None:
        self._world.calls.append(("scratch", address, size))

    def set_tensor_address(self, name: str, address: int) -> bool:
        self._world.calls.append(("address", name, address))
        self._addresses[name] = address
        return not self._world.refuse_address

    def execute_async_v3(self, stream: int) -> bool:
        self._world.calls.append(("execute", stream))
        if self._world.fail_run:
            self._world.fail("an illegal address was touched")
            return False
        engine = self._engine
        binding = engine.session.io_binding()
        for name, port in engine.ports.items():
            bind = (
                binding.bind_input
                if engine.get_tensor_mode(name) == TensorIOMode.INPUT
                else binding.bind_output
            )
            element = _ELEMENTS[engine.get_tensor_dtype(name).name]
            bind(name, "cpu", 0, element, port.shape, self._addresses[name])
        engine.session.run_with_iobinding(binding)
        return True


class FakeCuda:
    """Everything is done at once; what is recorded is called again."""

    def __init__(self, world: World) -> None:
        self._world, self.waited, self.stuck = world, 0, False

    def stream(self) -> int:
        return 77

    def record(self, work: Callable[[], None], capture: bool) -> Callable[[], None]:
        self._world.calls.append(("first run",))
        work()
        self._world.calls.append(("recorded", capture))
        return work

    def mark(self) -> Callable[[], None]:
        def wait() -> None:
            from gpu.errors import DeviceError

            self.waited += 1
            if self.stuck:
                raise DeviceError("the GPU did not finish in 10 s")

        return wait
