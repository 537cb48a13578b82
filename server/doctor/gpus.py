"""What the probe found of GPUs, as findings: each missing thing with what replaces it and how to get it."""

from __future__ import annotations

from dataclasses import asdict, replace

from gpu.cuda.report import GpuMachine, GpuReport, Part, VideoCaps
from gpu.cuda.route import refusal, route_of, usable
from gpu.errors import NoGpu
from gpu.media import Media
from gpu.types import Codec
from server.config import Config
from server.doctor.finding import Finding
from server.doctor.media import Trial

_ENGINES = {"OpenVINO": "openvino", "ONNX Runtime": "onnxruntime"}
_ALONE = "no model can be run without it"
# name: (how to get it on a machine with a GPU, what is so without it)
_LIBRARIES = {
    "CuPy": ("pip install cupy-cuda13x", "only models written with it need it"),
    "torch": ("pip install torch", "only models that are run by it need it, and distilling"),
    "TensorRT": ("pip install tensorrt-cu13", "OpenVINO or ONNX Runtime runs models on the CPU"),
    "TensorRT-RTX": (
        "pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings",
        "TensorRT, or an engine on the CPU, runs models",
    ),
}
_NOT_RTX = ((9, 0), (10, 0))  # H100 and H200, B200: outside TensorRT-RTX's support matrix
_GIB = 1 << 30


def hardware(machine: GpuMachine, config: Config) -> list[Finding]:
    """The driver, each GPU, and its video engines."""
    cuda = ".".join(map(str, machine.cuda or ()))
    driver = Finding(
        name="NVIDIA driver",
        ok=machine.cuda is not None,
        detail=f"{machine.driver or 'release unknown'}, CUDA {cuda}" if cuda else machine.problem,
        remedy="without it everything runs on the CPU",
        needed=False,
    )
    if not machine.gpus:
        if machine.cuda is None:
            return [driver]
        none = Finding(
            name="GPU", ok=False, detail=machine.problem, remedy="everything runs on the CPU", needed=False
        )
        return [driver, none]
    each = [finding for gpu in machine.gpus for finding in (_gpu(gpu), _nvdec(gpu), _nvenc(gpu, config))]
    if not machine.problem:
        return [driver, *each]
    further = Finding(
        name="further GPUs", ok=False, detail=machine.problem, remedy="the others are used", needed=False
    )
    return [driver, *each, further]


def _gpu(gpu: GpuReport) -> Finding:
    major, minor = gpu.compute_capability
    free, total = gpu.free_bytes / _GIB, gpu.total_bytes / _GIB
    what = f"{gpu.name}, SM {major}.{minor}, {free:.1f} of {total:.1f} GiB free"
    return Finding(
        name=f"GPU {gpu.index}",
        ok=not gpu.kernel_problem,
        detail=f"{what}; {gpu.kernel_problem}" if gpu.kernel_problem else what,
        remedy="pictures stay on the CPU until then",
        needed=False,
        facts=asdict(gpu),
    )


def _nvdec(gpu: GpuReport) -> Finding:
    return Finding(
        name=f"GPU {gpu.index} NVDEC",
        ok=bool(gpu.decodes),
        detail=_codecs(gpu.decodes) or gpu.decode_problem or f"the {gpu.name} has none",
        remedy="libav decodes on the CPU, one copy to the GPU a picture",
        needed=False,
    )


def _nvenc(gpu: GpuReport, config: Config) -> Finding:
    detail = _codecs(gpu.encodes) or gpu.encode_problem or f"the {gpu.name} has none"
    remedy = "libx264 and libvpx encode on the CPU, one copy from the GPU a picture"
    ok = bool(gpu.encodes)
    if ok and gpu.sessions is not None:
        many = f"{gpu.sessions} at once" if gpu.sessions_end else f"at least {gpu.sessions} at once"
        detail += f"; sessions: {many}"
        if gpu.sessions < config.max_sessions and gpu.sessions_end:
            ok = False
            detail += f", fewer than max_sessions = {config.max_sessions} ({gpu.sessions_end})"
            remedy = "end other programs that encode, or libx264 encodes the further streams on the CPU"
    elif ok and gpu.sessions_end:
        ok, detail = False, f"{detail}; no session could be tried: {gpu.sessions_end}"
    return Finding(name=f"GPU {gpu.index} NVENC", ok=ok, detail=detail, remedy=remedy, needed=False)


def _codecs(caps: tuple[VideoCaps, ...]) -> str:
    return ", ".join(entry.words for entry in caps)


def engines(machine: GpuMachine) -> list[Finding]:
    """What runs models on the CPU: one of them is enough."""
    parts = [part for part in machine.parts if part.name in _ENGINES]
    working = [part.name for part in parts if part.version and not part.problem]
    return [
        _library(
            part,
            f"pip install {_ENGINES[part.name]}",
            next((f"{name} replaces it" for name in working if name != part.name), _ALONE),
            needed=not working,
        )
        for part in parts
    ]


def libraries(machine: GpuMachine) -> list[Finding]:
    """What only GPUs need."""
    return [
        _library(part, _get(part.name, machine), _LIBRARIES[part.name][1], needed=False)
        for part in machine.parts
        if part.name in _LIBRARIES
    ]


def _get(name: str, machine: GpuMachine) -> str:
    """How to get a library, or why not to."""
    if not machine.gpus:
        return "of use with a GPU only"
    if name == "TensorRT-RTX" and all(gpu.compute_capability in _NOT_RTX for gpu in machine.gpus):
        return f"it does not serve the {machine.gpus[0].name}"
    return _LIBRARIES[name][0]


def _library(part: Part, get: str, instead: str, needed: bool) -> Finding:
    detail = f"{part.version}, {part.detail}" if part.detail else part.version
    if part.problem:
        detail = f"{part.version}: {part.problem}"
    return Finding(
        name=part.name,
        ok=bool(part.version) and not part.problem,
        detail=detail or "not installed",
        remedy=f"{get}; {instead}",
        needed=needed,
    )


def paths(machine: GpuMachine, tried: list[Trial], config: Config) -> list[Finding]:
    """Which way the server sends a stream through each model here, and would through one that takes its
    pictures on the GPU."""
    try:
        Media(config.media_mode, machine)
    except NoGpu as error:
        return [Finding(name="media", ok=False, detail=str(error))]
    # Why there is no GPU is said once, with the driver.
    media = Media(config.media_mode, replace(machine, problem=machine.problem and _why_none(machine)))
    first, ways = config.video_codecs[0], []
    for trial in tried:
        if trial.spec is not None:
            route = media.route(trial.spec, trial.device, first)
            ways.append(
                Finding(
                    name=f"path {trial.name}", ok=True, detail=route.words, needed=False, facts=asdict(route)
                )
            )
    if usable(machine) is None:
        none = Finding(
            name="path on a GPU", ok=False, detail=_why_none(machine), remedy="the CPU does it", needed=False
        )
        return [*ways, none]
    return [*ways, *(_gpu_way(machine, codec) for codec in config.video_codecs)]


def _why_none(machine: GpuMachine) -> str:
    return refusal(machine) if machine.gpus else "there is no GPU that can be used, see above"


def _gpu_way(machine: GpuMachine, codec: Codec) -> Finding:
    route = route_of(machine, codec, "", computes_on_gpu=True)
    return Finding(
        name=f"path on a GPU, {codec}",
        ok=True,
        detail=f"{route.words} (models that take their pictures there)",
        needed=False,
        facts=asdict(route),
    )
