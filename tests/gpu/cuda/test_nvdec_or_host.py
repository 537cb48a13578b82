"""A stream goes on when the GPU cannot decode it: by libav, with one copy to the GPU."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.cuda.driver import Device, DeviceLost
from gpu.cuda.nvdec_or_host import NvdecOrHost
from gpu.errors import DeviceError, FrameError
from tests.gpu.cuda.fake import FakeDriver
from tests.gpu.cuda.fake_nvdec import INTER, FakeDecoder, Pcm, device, engine, nv12, pcm, picture_of, tiny

__all__ = ["device", "engine", "pcm"]  # fixtures


def test_nvdec_where_it_can_be_had(device: Device, pcm: Pcm, engine: FakeDecoder) -> None:
    decoder = NvdecOrHost(device, "h264")
    assert decoder.waiting_for_keyframe
    for i in range(3):
        [frame] = decoder.decode(pcm.unit(nv12(i, 64, 48), i))
        assert np.array_equal(picture_of(frame), nv12(i, 64, 48))
    assert (decoder.because, decoder.waiting_for_keyframe) == ("", False)
    assert engine.count("decoded") == 3
    assert device.traffic().host_to_device_bytes == 0
    del frame
    decoder.close()
    decoder.close()
    with pytest.raises(DeviceError, match="closed"):
        decoder.decode(pcm.unit(nv12(0, 64, 48), 0))


def test_a_gpu_without_the_codec(device: Device, pcm: Pcm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVDEC_CODECS", "hevc")
    decoder = NvdecOrHost(device, "h264", max_size=(32, 24))
    assert "does not decode H.264 (it decodes HEVC)" in decoder.because
    unit = pcm.unit(np.full((72, 64), 90, np.uint8), 0)
    [frame] = decoder.decode(unit)
    assert (frame.width, frame.height, frame.pts, frame.arrived_ns) == (32, 24, unit.pts, unit.arrived_ns)
    assert (picture_of(frame) == 90).all()
    assert device.traffic().host_to_device_bytes == 32 * 24 * 3 // 2
    del frame
    decoder.close()


def test_a_size_that_only_the_cpu_decodes_costs_no_picture(
    device: Device, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVDEC_MIN", "48x16")  # as real ones: H.264 of less than three macroblocks a row
    decoder = NvdecOrHost(device, "h264")
    sizes = [(64, 48), (64, 48), (32, 32), (32, 32), (64, 48)]
    for i, size in enumerate(sizes):
        picture = nv12(i, *size)
        [frame] = decoder.decode(pcm.unit(picture, i, key=i in (0, 2, 4), pts=i * 3000))
        assert frame.pts == i * 3000
        assert np.array_equal(picture_of(frame), picture)
    assert "from 48x16" in decoder.because, "what went over stays there"
    del frame
    decoder.close()


def test_memory_that_ends_between_keyframes_costs_one(
    device: Device, pcm: Pcm, engine: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = NvdecOrHost(device, "vp9")
    assert len(decoder.decode(tiny("vp9", nv12(0, 64, 48)))) == 1
    monkeypatch.setenv("FAKE_NVDEC_FAIL", "cuvidCreateDecoder:2")
    grown = nv12(1, 1296, 32)  # VP9 may change its size without a keyframe
    with pytest.raises(FrameError, match=r"goes over to libav: a keyframe is needed.*OUT_OF_MEMORY"):
        decoder.decode(tiny("vp9", grown, 3000, INTER))
    assert decoder.waiting_for_keyframe
    assert "OUT_OF_MEMORY" in decoder.because
    assert decoder.decode(tiny("vp9", grown, 6000, INTER)) == []
    decoder.close()


def test_what_libav_cannot_either_is_its_own_error(
    device: Device, engine: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVDEC_CODECS", "h264")
    decoder = NvdecOrHost(device, "vp8")
    with pytest.raises(FrameError):
        decoder.decode(tiny("vp8", nv12(0, 32, 32)))  # no VP8 but the fake's own
    decoder.close()


def test_a_lost_gpu_is_no_reason_to_go_over(
    fake_gpu: FakeDriver, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Device.open()
    decoder = NvdecOrHost(gpu, "h264")
    assert len(decoder.decode(pcm.unit(nv12(0, 64, 48), 0))) == 1
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", "0")
    with pytest.raises(DeviceLost):
        decoder.decode(pcm.unit(nv12(1, 64, 48), 1))
    assert decoder.because == ""
    with pytest.raises(DeviceLost):
        NvdecOrHost(gpu, "h264")
    decoder.close()
    gpu.close()
