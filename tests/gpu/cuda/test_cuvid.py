"""The binding to libnvcuvid: what a GPU's decoder can do, and what is said where it is missing or old."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu.cuda import cuvid_structs as structs
from gpu.cuda import libraries
from gpu.cuda.cuvid import Cuvid, DecoderCaps, caps_of, cuvid, decoder_caps
from gpu.cuda.driver import CudaError, Device, DeviceLost
from gpu.errors import DeviceError
from tests.gpu.cuda.fake import FakeDriver
from tests.gpu.cuda.fake_nvdec import FakeDecoder, device, engine

__all__ = ["device", "engine"]  # fixtures


def test_caps_are_listed_codec_by_codec(device: Device) -> None:
    found = decoder_caps(device)
    assert [(caps.codec, caps.bit_depth) for caps in found] == [
        ("h264", 8), ("hevc", 8), ("hevc", 10), ("vp8", 8), ("vp9", 8), ("vp9", 10), ("av1", 8), ("av1", 10),
    ]  # fmt: skip
    assert {caps.chroma for caps in found} == {"4:2:0"}
    first = found[0]
    assert (first.max_width, first.max_height, first.min_width, first.min_height) == (4096, 4096, 16, 16)
    assert (first.max_macroblocks, first.engines) == (65536, 2)
    assert first.outputs == {structs.NV12}
    assert found[2].outputs == {structs.NV12, structs.P016}


def test_caps_follow_the_gpu(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVDEC_CODECS", "vp9")
    monkeypatch.setenv("FAKE_NVDEC_MAX", "8192x4320")
    assert [(caps.codec, caps.max_width, caps.max_height) for caps in decoder_caps(device)] == [
        ("vp9", 8192, 4320), ("vp9", 8192, 4320),
    ]  # fmt: skip
    assert caps_of(device, "h264") is None
    assert caps_of(device, "vp9", chroma=3) is None
    monkeypatch.setenv("FAKE_NVDEC_CODECS", "")
    assert decoder_caps(device) == []


def test_sizes_are_admitted_by_side_and_by_area() -> None:
    caps = DecoderCaps("h264", 8, "4:2:0", 4096, 4096, 48, 16, 8160, 1, frozenset({0}))
    assert caps.admits(48, 16)
    assert caps.admits(1920, 1088)
    assert not caps.admits(1920, 1104)  # 120 x 69 macroblocks
    assert not caps.admits(32, 16)
    assert not caps.admits(48, 8)
    assert not caps.admits(4112, 16)


def test_asking_fails_as_the_driver_does(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVDEC_FAIL", "cuvidGetDecoderCaps:2")
    with pytest.raises(CudaError, match="cuvidGetDecoderCaps: CUDA_ERROR_OUT_OF_MEMORY"):
        decoder_caps(device)
    monkeypatch.setenv("FAKE_NVDEC_FAIL", "cuvidGetDecoderCaps:999")
    with pytest.raises(CudaError) as caught:  # a damaged picture may cause it: no proof that the GPU is gone
        decoder_caps(device)
    assert not isinstance(caught.value, DeviceLost)
    monkeypatch.setenv("FAKE_NVDEC_FAIL", "cuvidGetDecoderCaps:719")
    with pytest.raises(DeviceLost):
        decoder_caps(device)


def test_a_missing_library_says_what_to_install(
    fake_driver: FakeDriver, driver_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only libcuda is there, as in a container that was given compute alone."""
    gpu = Device.open()
    # By its name alone the loader finds what an earlier test of this process opened.
    monkeypatch.setattr(libraries, "_paths", lambda name, folder: [f"{driver_folder}/lib{name}.so.1"])
    with pytest.raises(
        DeviceError, match=r"libnvcuvid.so.1 is not on this machine.*NVIDIA_DRIVER_CAPABILITIES.*video"
    ):
        decoder_caps(gpu)
    gpu.close()


def test_a_driver_without_a_function_is_too_old(fake_driver: FakeDriver) -> None:
    with pytest.raises(
        DeviceError, match="the driver's decoder has no cuvidGetDecoderCaps: update the driver"
    ):
        Cuvid(libraries.open_library("cuda"))


def test_the_library_is_bound_once(engine: FakeDecoder, gpu_folder: Path) -> None:
    assert cuvid() is cuvid()
