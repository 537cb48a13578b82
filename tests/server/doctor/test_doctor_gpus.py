"""What the doctor says of GPUs: each missing thing with what replaces it and how to get it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu.cuda.report import GpuMachine, GpuReport, Part, VideoCaps
from gpu.models.passthrough import SPEC
from gpu.types import Codec, Where
from server.config import Config
from server.doctor import gpus
from server.doctor.finding import Finding, report
from server.doctor.media import Trial


def caps(*codecs: Codec) -> tuple[VideoCaps, ...]:
    return tuple(VideoCaps(codec, (8,), 4096, 4096) for codec in codecs)


L4 = GpuReport(
    0, "NVIDIA L4", (8, 9), 24 << 30, 22 << 30, "GPU-0",
    decodes=caps("h264", "hevc", "vp8", "vp9", "av1"), encodes=caps("h264", "hevc", "av1"),
)  # fmt: skip
H200 = GpuReport(
    0, "NVIDIA H200", (9, 0), 141 << 30, 139 << 30, "GPU-1", decodes=caps("h264", "hevc", "vp8", "vp9")
)


def with_gpus(*found: GpuReport) -> GpuMachine:
    return GpuMachine("580.65.06", (13, 0), found)


def by_name(findings: list[Finding]) -> dict[str, Finding]:
    assert len({finding.name for finding in findings}) == len(findings)
    return {finding.name: finding for finding in findings}


def test_a_gpu_that_does_everything() -> None:
    found = by_name(gpus.hardware(with_gpus(replace(L4, sessions=32)), Config()))
    assert list(found) == ["NVIDIA driver", "GPU 0", "GPU 0 NVDEC", "GPU 0 NVENC"]
    assert all(finding.ok for finding in found.values())
    assert found["NVIDIA driver"].detail == "580.65.06, CUDA 13.0"
    assert found["GPU 0"].detail == "NVIDIA L4, SM 8.9, 22.0 of 24.0 GiB free"
    assert found["GPU 0"].facts["encodes"][2]["codec"] == "av1"
    assert "av1 8 bit to 4096x4096" in found["GPU 0 NVDEC"].detail
    assert found["GPU 0 NVENC"].detail.endswith("; sessions: at least 32 at once")


def test_no_driver_is_one_finding_with_the_way_out() -> None:
    findings = gpus.hardware(GpuMachine(problem="libcuda.so.1 is not here: install the driver"), Config())
    assert [finding.name for finding in findings] == ["NVIDIA driver"]
    assert not findings[0].ok
    assert not findings[0].needed
    assert "install the driver" in findings[0].detail
    assert "on the CPU" in findings[0].remedy


def test_a_driver_without_a_gpu() -> None:
    found = by_name(gpus.hardware(GpuMachine("580.1", (13, 0), problem="the driver shows none"), Config()))
    assert found["NVIDIA driver"].ok
    assert not found["GPU"].ok
    assert found["GPU"].detail == "the driver shows none"


def test_a_gpu_that_cannot_be_opened_beside_one_that_can() -> None:
    machine = replace(with_gpus(L4), problem="held in exclusive mode")
    found = by_name(gpus.hardware(machine, Config()))
    assert found["GPU 0"].ok
    assert not found["further GPUs"].ok
    assert found["further GPUs"].detail == "held in exclusive mode"


def test_a_gpu_without_an_encoder() -> None:
    found = by_name(gpus.hardware(with_gpus(H200), Config()))
    assert found["GPU 0 NVDEC"].ok
    encoder = found["GPU 0 NVENC"]
    assert not encoder.ok
    assert not encoder.needed
    assert encoder.detail == "the NVIDIA H200 has none"
    assert "libx264" in encoder.remedy


def test_an_encoder_that_cannot_be_asked() -> None:
    gpu = replace(L4, encodes=(), encode_problem="libnvidia-encode.so.1 is not on this machine")
    encoder = by_name(gpus.hardware(with_gpus(gpu), Config()))["GPU 0 NVENC"]
    assert not encoder.ok
    assert encoder.detail == "libnvidia-encode.so.1 is not on this machine"


@pytest.mark.parametrize(("most", "ok"), [(2, True), (3, True), (4, False)])
def test_the_session_limit_is_held_against_max_sessions(most: int, ok: bool) -> None:
    gpu = replace(L4, sessions=3, sessions_end="no NVENC session is left")
    encoder = by_name(gpus.hardware(with_gpus(gpu), Config(max_sessions=most)))["GPU 0 NVENC"]
    assert encoder.ok == ok
    assert "sessions: 3 at once" in encoder.detail
    assert ("fewer than max_sessions = 4 (no NVENC session is left)" in encoder.detail) == (not ok)
    assert "libx264" in encoder.remedy


def test_kernels_that_do_not_fit_the_driver() -> None:
    machine = with_gpus(replace(L4, kernel_problem="CUDA_ERROR_NO_BINARY_FOR_GPU (209): too old"))
    found = by_name(gpus.hardware(machine, Config()))
    assert not found["GPU 0"].ok
    assert "too old" in found["GPU 0"].detail
    ways = by_name(gpus.paths(machine, [], Config()))
    assert "too old" in ways["path on a GPU"].detail


def test_one_engine_on_the_cpu_is_enough() -> None:
    both = GpuMachine(parts=(Part("OpenVINO", "2026.4", "devices CPU"), Part("ONNX Runtime")))
    found = by_name(gpus.engines(both))
    assert found["OpenVINO"].ok
    assert found["OpenVINO"].detail == "2026.4, devices CPU"
    assert "OpenVINO replaces" not in found["OpenVINO"].remedy  # it is all there is
    assert not found["ONNX Runtime"].ok
    assert not found["ONNX Runtime"].needed
    assert found["ONNX Runtime"].remedy == "pip install onnxruntime; OpenVINO replaces it"
    none = by_name(
        gpus.engines(GpuMachine(parts=(Part("OpenVINO", "1", problem="crash"), Part("ONNX Runtime"))))
    )
    assert all(finding.needed and not finding.ok for finding in none.values())
    assert none["OpenVINO"].detail == "1: crash"
    assert "no model can be run" in none["OpenVINO"].remedy


def test_gpu_libraries_say_how_to_get_them_where_they_help() -> None:
    parts = (Part("CuPy"), Part("torch", "2.13", "CUDA 13.0, 1 GPUs"), Part("TensorRT"), Part("TensorRT-RTX"))
    on_l4 = by_name(gpus.libraries(replace(with_gpus(L4), parts=parts)))
    assert on_l4["torch"].ok
    assert on_l4["TensorRT-RTX"].remedy.startswith("pip install tensorrt-rtx-cu13-libs")
    assert on_l4["CuPy"].remedy.startswith("pip install cupy-cuda13x")
    on_h200 = by_name(gpus.libraries(replace(with_gpus(H200), parts=parts)))
    assert "does not serve the NVIDIA H200" in on_h200["TensorRT-RTX"].remedy
    nowhere = by_name(gpus.libraries(GpuMachine(parts=parts, problem="none")))
    assert nowhere["TensorRT"].remedy == (
        "of use with a GPU only; OpenVINO or ONNX Runtime runs models on the CPU"
    )
    assert not any(finding.needed for finding in nowhere.values())


def trial(name: str, device: str, *frames: Where) -> Trial:
    spec = replace(SPEC, name=name, frames=frames or ("host",))
    return Trial(name, Finding(name=f"model {name}", ok=True, detail=""), device, spec)


NANO = trial("nano", "CPU, OpenVINO, 2 threads")
LIVE = trial("live", "CUDA, TensorRT on NVIDIA H200", "device")
BROKEN = Trial("broken", Finding(name="model broken", ok=False, detail="no weights"))


def test_every_model_says_its_path() -> None:
    ways = by_name(gpus.paths(with_gpus(H200), [NANO, LIVE, BROKEN], Config(codecs=("h264", "vp8"))))
    assert list(ways) == ["path nano", "path live", "path on a GPU, h264", "path on a GPU, vp8"]
    assert ways["path nano"].detail == (
        "decode libav on the CPU, edit CPU, OpenVINO, 2 threads, encode libx264 on the CPU, because the "
        "model computes on the CPU, so pictures stay in its memory"
    )
    assert ways["path live"].detail == (
        "decode NVDEC, edit CUDA on the NVIDIA H200, encode libx264 on the CPU, one copy from the GPU, "
        "because the NVIDIA H200 has no NVENC"
    )
    assert ways["path live"].facts["on_gpu"] is True
    assert "libvpx" in ways["path on a GPU, vp8"].detail


def test_without_a_gpu_the_paths_are_the_cpus() -> None:
    both = trial("both", "no device", "device", "host")
    ways = by_name(gpus.paths(GpuMachine(problem="x" * 300), [NANO, both], Config()))
    assert "because there is no GPU that can be used, see above" in ways["path both"].detail
    assert ways["path nano"].detail == (
        "decode libav on the CPU, edit CPU, OpenVINO, 2 threads, encode libx264 on the CPU"
    )
    assert not ways["path on a GPU"].ok
    assert "x" * 300 not in ways["path on a GPU"].detail, "said once, with the driver"
    text = report(list(ways.values()), False)
    assert "absent  path on a GPU" in text
    assert "ok      path nano" in text


def test_a_gpu_that_is_wanted_and_not_there_is_needed() -> None:
    (finding,) = gpus.paths(GpuMachine(problem="no driver"), [NANO], Config(media="gpu"))
    assert not finding.ok
    assert finding.needed
    assert "no driver" in finding.detail
    ways = by_name(gpus.paths(with_gpus(L4), [trial("pass", "", "device", "host")], Config(media="cpu")))
    assert "libav on the CPU" in ways["path pass"].detail, "as the operator wants it"
