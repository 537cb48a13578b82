"""The way a stream goes: the GPU where it can, the CPU where it must, and why."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpu.cuda.report import GpuMachine, GpuReport, VideoCaps
from gpu.cuda.route import refusal, route_of, usable
from gpu.types import Codec


def caps(*codecs: Codec) -> tuple[VideoCaps, ...]:
    return tuple(VideoCaps(codec, (8,), 4096, 4096) for codec in codecs)


RTX = GpuReport(
    0,
    "RTX",
    (8, 9),
    1,
    1,
    "",
    decodes=caps("h264", "hevc", "av1", "vp9"),
    encodes=caps("h264", "hevc", "av1"),
)
H200 = GpuReport(0, "H200", (9, 0), 1, 1, "", decodes=caps("h264", "hevc", "vp9"))


@pytest.mark.parametrize(
    ("gpu", "codec", "decode", "encode", "because"),
    [
        (RTX, "h264", "NVDEC", "NVENC", ()),
        (RTX, "av1", "NVDEC", "NVENC", ()),
        (RTX, "vp9", "NVDEC", "NVENC as h264", ("the RTX encodes no vp9",)),
        (
            RTX, "vp8", "libav on the CPU, one copy to the GPU", "libvpx on the CPU, one copy from the GPU",
            ("the RTX decodes no vp8", "the RTX encodes no vp8"),
        ),
        (H200, "h264", "NVDEC", "libx264 on the CPU, one copy from the GPU", ("the H200 has no NVENC",)),
        (
            H200, "av1", "libav on the CPU, one copy to the GPU", "libx264 on the CPU, one copy from the GPU",
            (
                "the H200 decodes no av1", "the H200 has no NVENC",
                "av1 is not encoded in real time without a GPU that does",
            ),
        ),
    ],
)  # fmt: skip
def test_ways_through_a_gpu(
    gpu: GpuReport, codec: Codec, decode: str, encode: str, because: tuple[str, ...]
) -> None:
    route = route_of(GpuMachine(gpus=(gpu,)), codec, "", computes_on_gpu=True)
    assert (route.decode, route.encode, route.because) == (decode, encode, because)
    assert route.on_gpu
    assert route.edit == f"CUDA on the {gpu.name}"


def test_what_could_not_be_asked_is_the_reason() -> None:
    gpu = replace(
        RTX, encodes=(), encode_problem="libnvidia-encode.so.1 is missing", decodes=(), decode_problem="no"
    )
    route = route_of(GpuMachine(gpus=(gpu,)), "h264", "", computes_on_gpu=True)
    assert route.because == ("no", "libnvidia-encode.so.1 is missing")


def test_a_model_on_the_cpu_stays_there() -> None:
    route = route_of(GpuMachine(gpus=(RTX,)), "hevc", "CPU", computes_on_gpu=False)
    assert (route.decode, route.encode, route.on_gpu) == ("libav on the CPU", "libx264 on the CPU", False)
    assert any("stay in its memory" in why for why in route.because)
    assert route_of(GpuMachine(), "h264", "CPU", False).because == ()


def test_a_model_for_gpus_without_one() -> None:
    route = route_of(GpuMachine(problem="no driver"), "h264", "", computes_on_gpu=True)
    assert not route.on_gpu
    assert route.because == ("no driver",)
    assert "because no driver" in route.words


def test_the_first_gpu_that_takes_the_kernels_is_used() -> None:
    old = replace(RTX, kernel_problem="too old")
    assert usable(GpuMachine(gpus=(old, H200))) is H200
    assert usable(GpuMachine(gpus=(old,))) is None
    assert refusal(GpuMachine(gpus=(old,))) == "too old"
    assert refusal(GpuMachine(problem="none")) == "none"
