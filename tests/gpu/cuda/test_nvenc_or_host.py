"""A stream goes on when NVENC has no place for it; and NVENC and NVDEC together, through nothing but GPU
memory."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.codec import EncoderConfig
from gpu.codec.decoder import LibavDecoder
from gpu.cuda.driver import Device
from gpu.cuda.driver_errors import DeviceLost
from gpu.cuda.nvdec import NvdecDecoder
from gpu.cuda.nvenc import NvencEncoder
from gpu.cuda.nvenc_or_host import NvencOrHost
from gpu.errors import DeviceError
from tests.gpu.cuda.fake import FakeDriver
from tests.gpu.cuda.fake_nvenc import STEP, FakeNvenc, device, nv12, nvenc, planar, same

__all__ = ["device", "nvenc"]  # fixtures


def test_nvenc_where_it_can_be_had(nvenc: FakeNvenc, device: Device) -> None:
    encoder = NvencOrHost(device, EncoderConfig())
    [one] = encoder.encode(planar(nv12(0)))
    [back] = LibavDecoder("h264").decode(one)
    assert same(back, nv12(0)), "lossless: the fake NVENC's"
    encoder.close()
    with pytest.raises(DeviceError, match="closed"):
        encoder.encode(planar(nv12(1), STEP))
    assert encoder.because == ""


def test_a_full_gpu_at_the_start(nvenc: FakeNvenc, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVENC_SESSIONS", "0")
    encoder = NvencOrHost(device, EncoderConfig())
    encoder.set_bitrate(654_000)
    out = [encoder.encode(planar(nv12(i), i * STEP))[0] for i in range(3)]
    assert [(one.pts, one.is_keyframe) for one in out] == [(0, True), (STEP, False), (2 * STEP, False)]
    assert encoder.target_bps == 654_000
    assert "no NVENC session is left" in encoder.because
    monkeypatch.delenv("FAKE_NVENC_SESSIONS")
    assert not encoder.encode(planar(nv12(3), 3 * STEP))[0].is_keyframe, "what went over stays there"
    encoder.close()


def test_a_place_lost_at_a_new_size_costs_no_picture(
    nvenc: FakeNvenc, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, decoder = NvencOrHost(device, EncoderConfig()), LibavDecoder("h264")
    sizes = [(64, 48), (64, 48), (96, 64), (96, 64)]
    for i, size in enumerate(sizes):
        if i == 2:
            monkeypatch.setenv("FAKE_NVENC_SESSIONS", "0")
        [one] = encoder.encode(planar(nv12(i, *size), i * STEP))
        [back] = decoder.decode(one)
        assert (back.width, back.height, one.is_keyframe) == (*size, i in (0, 2))
    assert encoder.because
    encoder.close()
    decoder.close()


def test_a_gpu_without_nvenc_and_a_codec_it_never_makes(
    nvenc: FakeNvenc, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVENC_CODECS", "none")
    for codec, why in (("h264", "no video encoder"), ("vp8", "NVENC does not encode vp8")):
        encoder = NvencOrHost(device, EncoderConfig(codec))  # type: ignore[arg-type]
        [one] = encoder.encode(planar(nv12(0)))
        assert one.codec == codec
        assert why in encoder.because
        encoder.close()


def test_what_nobody_else_makes_is_an_error(
    nvenc: FakeNvenc, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVENC_CODECS", "h264")
    encoder = NvencOrHost(device, EncoderConfig("av1"))
    with pytest.raises(DeviceError, match="does not encode av1"):
        encoder.encode(planar(nv12(0)))
    encoder.close()


def test_a_lost_gpu_is_no_reason_to_go_over(
    nvenc: FakeNvenc, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = NvencOrHost(device, EncoderConfig())
    encoder.encode(planar(nv12(0)))
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", "0")
    with pytest.raises(DeviceLost):
        encoder.encode(planar(nv12(1), STEP))
    assert encoder.because == ""
    encoder.close()


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
def test_from_nvenc_to_nvdec_and_back_without_the_bus(fake_gpu: FakeDriver, profile: str) -> None:
    """Picture -> NVENC -> NVDEC -> NVENC -> libav: still the picture, and only the first crossed the bus."""
    device = Device.open()
    config = EncoderConfig(profile=profile)  # type: ignore[arg-type]
    first, second, decoder = (
        NvencEncoder(device, config),
        NvencEncoder(device, config),
        NvdecDecoder(device, "h264"),
    )
    judge = LibavDecoder("h264")
    source = nv12(1, 130, 98)
    for i in range(8):
        picture = np.roll(source, i, axis=1)
        [sent] = first.encode(planar(picture, i * STEP), keyframe=i == 5)
        moved = device.traffic()
        [frame] = decoder.decode(sent)
        [back] = second.encode(frame, keyframe=sent.is_keyframe)
        assert device.traffic() == moved
        assert (back.pts, back.is_keyframe) == (i * STEP, i in (0, 5))
        assert same(judge.decode(back)[0], picture)
        del frame
    for part in (first, second, decoder, judge):
        part.close()  # type: ignore[attr-defined]
    device.close()
