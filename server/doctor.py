"""`relens doctor`: tries what a session needs on this machine; says the remedy or what replaces it."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import os
import platform
import socket
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from gpu.codec import EncoderConfig, open_decoder, open_encoder
from gpu.errors import RelensError
from gpu.models.registry import MODEL_NAMES, load_model
from gpu.types import Codec, Edit, Frame
from server.config import Config
from server.errors import ConfigError
from server.serve import listen_remedy, tls_context

SIZE = (640, 480)  # what most cameras give
FRAMES = 12
CODECS: tuple[Codec, ...] = ("h264", "vp8")
GPU_PARTS = (
    ("cupy", "cupy-cuda13x", "kernels run in NumPy and libav"),
    ("PyNvVideoCodec", "PyNvVideoCodec", "libav decodes and encodes on the CPU"),
    ("tensorrt", "tensorrt", "OpenVINO or ONNX Runtime runs the model on the CPU"),
)


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was tried. `remedy` says what to do, or what replaces it, where it is not ok."""

    name: str
    ok: bool
    detail: str
    remedy: str = ""
    needed: bool = True


def examine(config: Config) -> list[Finding]:
    """Try everything; never raises for what is missing."""
    findings = [
        _python(),
        _cpu(),
        *(_codec(codec) for codec in CODECS),
        _module("OpenVINO", "openvino", _openvino_devices),
        _module("ONNX Runtime", "onnxruntime", _ort_providers),
        *(_model(name, config) for name in dict.fromkeys((*MODEL_NAMES, config.model))),
        *_tls(config),
        _port(config),
        _page(config),
        _nvidia(),
        *(_gpu_part(*part) for part in GPU_PARTS),
    ]
    return findings


def report(findings: list[Finding], as_json: bool) -> str:
    """A line a finding, or one JSON document."""
    if as_json:
        return msgspec.json.format(msgspec.json.encode({"findings": findings})).decode()
    width = max(len(finding.name) for finding in findings)
    lines = []
    for finding in findings:
        mark = "ok     " if finding.ok else "MISSING" if finding.needed else "absent "
        remedy = f" -> {finding.remedy}" if finding.remedy and not finding.ok else ""
        lines.append(f"{mark} {finding.name:<{width}}  {finding.detail}{remedy}")
    return "\n".join(lines)


def _python() -> Finding:
    return Finding(
        name="Python",
        ok=sys.version_info >= (3, 11),
        detail=platform.python_version(),
        remedy="install Python 3.11 or newer",
    )


def _cpu() -> Finding:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    name, flags = platform.processor() or platform.machine(), ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        facts = dict(_cpu_facts(cpuinfo.read_text(errors="replace")))
        name = facts.get("model name", name)
        wanted = ("avx2", "avx512f", "avx512_vnni", "amx_bf16", "asimd")
        flags = " ".join(flag for flag in wanted if flag in facts.get("flags", "").split())
    return Finding(
        name="CPU",
        ok=usable >= 2,
        detail=f"{name}, {usable} usable cores {flags}".rstrip(),
        remedy="two cores are needed for a steady picture",
        needed=False,
    )


def _cpu_facts(text: str) -> list[tuple[str, str]]:
    pairs = [line.split(":", 1) for line in text.split("\n\n", 1)[0].splitlines() if ":" in line]
    return [(key.strip(), value.strip()) for key, value in pairs]


def _codec(codec: Codec) -> Finding:
    """Encode and decode moving pictures, and look at what comes out."""
    name = f"codec {codec}"
    remedy = "install relens again: its PyAV brings the codecs"
    try:
        encoder, decoder = open_encoder(EncoderConfig(codec=codec)), open_decoder(codec)
        try:
            decoded = [
                picture
                for source in _pictures(6)
                for encoded in encoder.encode(source)
                for picture in decoder.decode(encoded)
            ]
        finally:
            encoder.close()
            decoder.close()
    except RelensError as error:
        return Finding(name=name, ok=False, detail=str(error), remedy=remedy)
    good = bool(decoded) and (decoded[-1].width, decoded[-1].height) == SIZE
    detail = f"{len(decoded)} of 6 pictures came back from encoder and decoder"
    return Finding(name=name, ok=good, detail=detail, remedy=remedy)


def _pictures(count: int) -> list[Frame]:
    width, height = SIZE
    ramp = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
    grey = np.full((height // 2, width // 2), 128, np.uint8)
    return [Frame(y=np.roll(ramp, 4 * i, axis=1), u=grey, v=grey, pts=i * 3750) for i in range(count)]


def _module(name: str, module: str, devices: Callable[[Any], list[str]]) -> Finding:
    try:
        loaded = importlib.import_module(module)
        detail = f"{importlib.metadata.version(module)}, devices: {', '.join(devices(loaded))}"
    except Exception as error:  # a broken native library raises anything; the doctor reports it
        return Finding(
            name=name,
            ok=False,
            detail=str(error),
            remedy=f"pip install {module}; the other engine replaces it",
        )
    return Finding(name=name, ok=True, detail=detail)


def _openvino_devices(openvino: Any) -> list[str]:
    return [str(device) for device in openvino.Core().available_devices]


def _ort_providers(onnxruntime: Any) -> list[str]:
    return [str(provider) for provider in onnxruntime.get_available_providers()]


def _model(name: str, config: Config) -> Finding:
    """Load it, run it, and say what a step took here and now."""
    try:
        model = load_model(name, threads=config.threads)
        try:
            state = model.open_state(*SIZE)
            if model.spec.presets:
                model.set_edit(state, Edit(revision=1, prompt=model.spec.presets[0].prompt, transition_ms=0))
            frames = model.spec.frames_per_chunk
            pictures = _pictures(FRAMES * frames)
            took_s = []
            for i in range(0, len(pictures), frames):
                began_s = time.perf_counter()
                model.step(state, pictures[i : i + frames])
                took_s.append(time.perf_counter() - began_s)
            step_ms = statistics.median(took_s[2:]) * 1e3  # the first steps warm up
            device = model.device
        finally:
            model.close()
    except RelensError as error:
        return Finding(
            name=f"model {name}",
            ok=False,
            detail=str(error),
            remedy="run make setup",
            needed=name == config.model,
        )
    rate = 1e3 / max(step_ms, 0.001)
    pace = f"{step_ms:.1f} ms a picture at {SIZE[0]}x{SIZE[1]}"
    pace += f" ({rate:.0f} a second)" if rate < 1e3 else ""
    return Finding(name=f"model {name}", ok=True, detail=f"{device}; {pace}")


def _port(config: Config) -> Finding:
    name = f"port {config.port}"
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return Finding(
            name=name,
            ok=False,
            detail=f"{config.host}: {error.strerror or error}",
            remedy=listen_remedy(error),
        )
    return Finding(name=name, ok=True, detail=f"free on {config.host}")


def _tls(config: Config) -> list[Finding]:
    """Only where one is asked for."""
    if not config.tls_cert:
        return []
    try:
        tls_context(config)
    except ConfigError as error:
        return [Finding(name="TLS", ok=False, detail=str(error))]
    return [Finding(name="TLS", ok=True, detail=config.tls_cert)]


def _page(config: Config) -> Finding:
    built = (config.web_path / "index.html").is_file()
    detail = "built" if built else f"there is no index.html in {config.web_path}"
    remedy = "run make setup" + (", or give --web-dir the folder it builds into" if config.web_dir else "")
    return Finding(name="page", ok=built, detail=detail, remedy=remedy)


def _nvidia() -> Finding:
    driver = Path("/proc/driver/nvidia/version")
    found = driver.is_file()
    return Finding(
        name="NVIDIA driver",
        ok=found,
        detail=driver.read_text(errors="replace").splitlines()[0] if found else "none",
        remedy="everything runs on the CPU",
        needed=False,
    )


def _gpu_part(module: str, distribution: str, instead: str) -> Finding:
    found = importlib.util.find_spec(module) is not None
    detail = "not installed"
    if found:
        try:
            detail = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            detail = "installed"
    return Finding(name=module, ok=found, detail=detail, remedy=instead, needed=False)
