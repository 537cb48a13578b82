"""The child of the probe: asks one thing after another and writes each answer as a line of JSON.

Anything here may end the process: drivers and libraries that disagree crash or exit while they are loaded. So
each question is announced before it is asked, and the parent (probe.py) knows which one it was.
"""

from __future__ import annotations

import functools
import importlib
import importlib.metadata
import importlib.util
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from gpu.errors import DeviceError

MOST_SESSIONS = (
    32  # tried when they are counted: more than any limit known (12 a system), few enough to be quick
)

Answer = dict[str, Any]

_opened: dict[int, Any] = {}  # index: Device


def ask_driver() -> Answer:
    """Release, CUDA version and GPUs; of those that cannot be opened, why."""
    from gpu.cuda.driver import device_count, driver_version

    answer: Answer = {"driver": _release(), "cuda": driver_version(), "count": device_count()}
    answer["gpus"] = _each(lambda device: asdict(device.info), "problem")
    return answer


def ask_decode() -> Answer:
    """What each GPU's NVDEC takes."""
    from gpu.cuda.cuvid import decoder_caps

    def ask(device: Any) -> Answer:
        codecs: dict[str, Answer] = {}
        for caps in decoder_caps(device):
            entry = codecs.setdefault(
                caps.codec,
                {"codec": caps.codec, "bits": [], "max_width": caps.max_width, "max_height": caps.max_height},
            )
            entry["bits"].append(caps.bit_depth)
        return {"decodes": list(codecs.values())}

    return _each(ask, "decode_problem")


def ask_encode() -> Answer:
    """What each GPU's NVENC makes."""
    from gpu.cuda.nvenc_caps import encoder_caps

    def ask(device: Any) -> Answer:
        fields = ("codec", "bits", "max_width", "max_height")
        return {"encodes": [{name: getattr(caps, name) for name in fields} for caps in encoder_caps(device)]}

    return _each(ask, "encode_problem")


def ask_kernels() -> Answer:
    """Whether each GPU and its driver take relens' own kernels."""
    from gpu.cuda.kernels import Kernels

    def ask(device: Any) -> Answer:
        Kernels.load(device)
        return {}

    return _each(ask, "kernel_problem")


def ask_sessions() -> Answer:
    """How many encoding sessions each GPU opens, by opening them; they are closed again."""
    from gpu.cuda.nvenc_caps import count_sessions

    def ask(device: Any) -> Answer:
        opened, end = count_sessions(device, MOST_SESSIONS)
        return {"sessions": opened, "sessions_end": end}

    return _each(ask, "sessions_end")


def _each(ask: Callable[[Any], Answer], problem: str) -> Answer:
    """The answer for each GPU by index; where it could not be asked, why."""
    from gpu.cuda.driver import Device, device_count

    answers: Answer = {}
    for index in range(device_count()):
        try:
            if index not in _opened:  # kept for the questions to come: a context takes a third of a second
                _opened[index] = Device.open(index)
            answers[str(index)] = ask(_opened[index])
        except DeviceError as error:
            answers[str(index)] = {problem: str(error)}
    return answers


def _release() -> str:
    """The driver's release as its kernel module tells it; "" elsewhere than on Linux."""
    path = Path("/proc/driver/nvidia/version")
    text = path.read_text(errors="replace") if path.is_file() else ""
    match = re.search(r"\b\d{3}\.\d+(?:\.\d+)?\b", text)
    return match[0] if match else ""


def _cupy(module: Any) -> str:
    return f"{module.cuda.runtime.getDeviceCount()} GPUs"


def _torch(module: Any) -> str:
    return f"CUDA {module.version.cuda or 'none'}, {module.cuda.device_count()} GPUs"


def _openvino(module: Any) -> str:
    return f"devices {', '.join(module.Core().available_devices)}"


def _onnxruntime(module: Any) -> str:
    return f"providers {', '.join(module.get_available_providers())}"


# name: (modules to import, the first that is there; what to say of it)
PARTS: dict[str, tuple[tuple[str, ...], Callable[[Any], str]]] = {
    "CuPy": (("cupy",), _cupy),
    "torch": (("torch",), _torch),
    "TensorRT": (("tensorrt",), lambda _: ""),
    "TensorRT-RTX": (("tensorrt_rtx", "tensorrt_rtx_bindings"), lambda _: ""),
    "OpenVINO": (("openvino",), _openvino),
    "ONNX Runtime": (("onnxruntime",), _onnxruntime),
}


def ask_part(name: str) -> Answer:
    """A Python library: its version, and whether it can be imported and used."""
    modules, say = PARTS[name]
    module = next((module for module in modules if importlib.util.find_spec(module)), None)
    if module is None:
        return {"version": ""}
    version = _version(module)
    try:
        loaded = importlib.import_module(module)
        version = version or str(getattr(loaded, "__version__", "unknown"))
        return {"version": version, "detail": say(loaded)}
    except Exception as error:  # a broken native library raises anything
        return {"version": version or "unknown", "problem": f"{type(error).__name__}: {error}"[:500]}


def _version(module: str) -> str:
    """Of the distribution that brings it: their names vary with the CUDA version (cupy-cuda13x)."""
    for distribution in importlib.metadata.packages_distributions().get(module, []):
        try:
            return importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


QUESTIONS: dict[str, Callable[[], Answer]] = {
    "driver": ask_driver,
    "kernels": ask_kernels,
    "decode": ask_decode,
    "encode": ask_encode,
    "sessions": ask_sessions,
    **{name: functools.partial(ask_part, name) for name in PARTS},
}


@contextmanager
def _own_output() -> Iterator[int]:
    """The descriptor for answers; whatever a library prints goes to the standard error instead."""
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        yield own
    finally:
        os.close(own)


def main(questions: list[str]) -> int:
    """Ask, in this order. Each answer is written at once: the next question may be the last."""
    with _own_output() as out:

        def write(line: Answer) -> None:
            os.write(out, json.dumps(line).encode() + b"\n")

        for question in questions:
            write({"asking": question})
            try:
                answer = QUESTIONS[question]()
            except DeviceError as error:
                answer = {"error": str(error)}
            except Exception as error:  # the next question must be asked all the same
                answer = {"error": f"{type(error).__name__}: {error}"[:500]}
            write({"asked": question, "answer": answer})
    sys.stdout.flush()
    os._exit(0)  # libraries that crash while they are unloaded (TensorRT's runtime) have answered by now


if __name__ == "__main__":
    main(sys.argv[1:])
