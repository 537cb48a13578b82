"""What NVENC refuses, and what it does when it goes wrong: a clear word, nothing left behind, an end to
waiting."""

from __future__ import annotations

import gc
import threading
import time
from typing import Any

import pytest

from gpu.codec import EncoderConfig
from gpu.cuda import libraries, nvenc_api
from gpu.cuda.driver import Device
from gpu.cuda.driver_errors import DeviceLost, DeviceTimeout
from gpu.cuda.nvenc import NvencEncoder, count_sessions, encoder_caps, sessions_available
from gpu.cuda.nvenc_api import EncoderLost, NoEncoder, NvencError, SessionLimit
from gpu.errors import DeviceError, FrameError
from tests.gpu.cuda.fake import FakeDriver
from tests.gpu.cuda.fake_nvenc import STEP, FakeNvenc, Make, device, make, nv12, nvenc, planar
from tests.gpu.streams import wait_until

__all__ = ["device", "make", "nvenc"]  # fixtures


@pytest.mark.parametrize("status", ["10", "21"])
def test_no_session_left_names_what_replaces_it(
    nvenc: FakeNvenc, make: Make, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    monkeypatch.setenv("FAKE_NVENC_SESSIONS", "2")
    monkeypatch.setenv("FAKE_NVENC_LIMIT_STATUS", status)
    first, second, third = (make(EncoderConfig()) for _ in range(3))
    for encoder in (first, second):
        assert len(encoder.encode(planar(nv12(0)))) == 1
    with pytest.raises(SessionLimit, match=r"no NVENC session is left.*libx264") as caught:
        third.encode(planar(nv12(0)))
    assert caught.value.status == int(status)
    first.close()
    assert len(third.encode(planar(nv12(0)))) == 1, "a place was free again"


def test_a_session_refused_when_set_up_is_the_limit_too(
    nvenc: FakeNvenc, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVENC_FAIL", "nvEncInitializeEncoder:10")
    with pytest.raises(SessionLimit, match="libx264"):
        make(EncoderConfig()).encode(planar(nv12(0)))
    assert (nvenc.count("opened"), nvenc.count("sessions")) == (1, 0)


def test_sessions_are_counted_and_given_back(
    nvenc: FakeNvenc, make: Make, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVENC_SESSIONS", "5")
    make(EncoderConfig()).encode(planar(nv12(0)))
    opened, why = count_sessions(device)
    assert opened == 4
    assert "nvEncOpenEncodeSessionEx: NV_ENC_ERR_OUT_OF_MEMORY (10" in why
    assert count_sessions(device, 3) == (3, "")
    assert sessions_available(device) == 4
    assert (nvenc.count("sessions"), nvenc.count("left")) == (1, 0)


def test_a_gpu_without_nvenc(
    nvenc: FakeNvenc, make: Make, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVENC_CODECS", "none")
    assert encoder_caps(device) == []
    assert sessions_available(device) == 0
    with pytest.raises(NoEncoder, match=r"this GPU has no video encoder \(NVENC\): .*libx264"):
        make(EncoderConfig()).encode(planar(nv12(0)))


def test_what_each_codec_can(nvenc: FakeNvenc, device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVENC_CODECS", "h264,hevc")
    h264, hevc = encoder_caps(device)
    assert (h264.codec, h264.profiles, h264.bits) == ("h264", ("baseline", "main", "high"), (8,))
    assert (hevc.codec, hevc.profiles, hevc.bits) == ("hevc", ("main", "main10"), (8, 10))
    assert (h264.min_width, h264.min_height, h264.max_width, hevc.max_height) == (32, 32, 4096, 8192)
    assert (h264.engines, h264.intra_refresh, h264.dynamic_bitrate, h264.asynchronous) == (
        2,
        True,
        True,
        False,
    )
    assert nvenc.count("sessions") == 0


def test_a_codec_the_gpu_lacks(nvenc: FakeNvenc, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVENC_CODECS", "h264")
    with pytest.raises(DeviceError, match=r"does not encode av1: negotiate another codec.*libx264"):
        make(EncoderConfig("av1")).encode(planar(nv12(0)))
    with pytest.raises(DeviceError, match=r"NVENC does not encode vp8"):
        make(EncoderConfig("vp8"))


@pytest.mark.parametrize(("size", "side"), [((16, 64), "width of 32 to 4096"), ((64, 4098), "height of 32")])
def test_a_size_the_gpu_cannot(nvenc: FakeNvenc, make: Make, size: tuple[int, int], side: str) -> None:
    with pytest.raises(DeviceError, match=rf"{size[0]}x{size[1]}: .*{side}.*send another size"):
        make(EncoderConfig()).encode(planar(nv12(0, *size)))


def test_an_old_driver(nvenc: FakeNvenc, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVENC_VERSION", "11.1")
    libraries.forget()
    with pytest.raises(DeviceError, match=r"speaks NVENC 11\.1, relens 12\.0: .*520\.56"):
        make(EncoderConfig()).encode(planar(nv12(0)))


def test_no_library(bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch) -> None:
    device = Device.open()
    encoder = NvencEncoder(device, EncoderConfig())
    # By its plain name the dynamic linker would find the one an earlier test has loaded.
    monkeypatch.setattr(libraries, "_paths", lambda name, folder: [f"{folder}/lib{name}.so.1"])
    with pytest.raises(DeviceError, match=r"NVIDIA_DRIVER_CAPABILITIES=compute,video,utility"):
        encoder.encode(planar(nv12(0)))
    encoder.close()
    device.close()


def test_a_gpu_lost_in_mid_stream_is_told_as_such(
    nvenc: FakeNvenc, make: Make, bare_gpu: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = make(EncoderConfig())
    for i in range(3):
        encoder.encode(planar(nv12(i), i * STEP))
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", "6")

    def go_on() -> None:
        for i in range(3, 9):
            encoder.encode(planar(nv12(i), i * STEP))

    with pytest.raises(DeviceLost, match="the GPU is lost to this process"):
        go_on()
    assert bare_gpu.lost
    with pytest.raises(DeviceLost):
        encoder.encode(planar(nv12(9), 9 * STEP))
    encoder.close()
    assert nvenc.count("sessions") == 0


def test_a_context_that_dies_between_two_calls_of_nvenc_is_found_out(
    nvenc: FakeNvenc, make: Make, bare_gpu: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """NVENC says only "generic": the driver is asked."""
    encoder = make(EncoderConfig())
    session = _opened(encoder)
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", "0")
    assert session._device.ask("cuMemGetInfo_v2", None, None) == 700
    with pytest.raises(DeviceLost, match=r"700"):
        session.reconfigure()
    encoder.close()


def test_a_device_that_nvenc_misses(nvenc: FakeNvenc, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NVENC_LOST_AFTER", "2")
    encoder = make(EncoderConfig())
    for i in range(2):
        encoder.encode(planar(nv12(i), i * STEP))
    with pytest.raises(EncoderLost, match=r"NV_ENC_ERR_DEVICE_NOT_EXIST \(5, gone\): the GPU is lost"):
        encoder.encode(planar(nv12(2), 2 * STEP))
    assert nvenc.count("sessions") == 0


def test_a_refused_picture_costs_that_picture(
    nvenc: FakeNvenc, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = make(EncoderConfig())
    encoder.encode(planar(nv12(0), 0))
    monkeypatch.setenv("FAKE_NVENC_FAIL", "nvEncEncodePicture:8")
    with pytest.raises(
        FrameError, match=r"NV_ENC_ERR_INVALID_PARAM \(8, as the test asked\).*a new session follows"
    ):
        encoder.encode(planar(nv12(1), STEP))
    monkeypatch.delenv("FAKE_NVENC_FAIL")
    [one] = encoder.encode(planar(nv12(2), 2 * STEP))
    assert one.is_keyframe
    assert (nvenc.count("opened"), nvenc.count("left"), nvenc.count("mapped")) == (2, 0, 0)


def test_a_refused_bitrate_costs_a_keyframe_not_the_stream(
    nvenc: FakeNvenc, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = make(EncoderConfig())
    encoder.encode(planar(nv12(0), 0))
    monkeypatch.setenv("FAKE_NVENC_FAIL", "nvEncReconfigureEncoder:12")
    encoder.set_bitrate(300_000)
    with pytest.raises(FrameError):
        encoder.encode(planar(nv12(1), STEP))
    [one] = encoder.encode(planar(nv12(2), 2 * STEP))
    assert one.is_keyframe
    assert nvenc.last()[1].rcParams.averageBitRate == 300_000


@pytest.mark.parametrize("call", ["nvEncLockBitstream", "nvEncMapInputResource", "nvEncRegisterResource"])
def test_whatever_fails_nothing_stays_behind(
    nvenc: FakeNvenc, make: Make, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    encoder = make(EncoderConfig())
    monkeypatch.setenv("FAKE_NVENC_FAIL", f"{call}:20")
    with pytest.raises(FrameError, match=call):
        encoder.encode(planar(nv12(0), 0))
    assert (nvenc.count("sessions"), nvenc.count("left")) == (0, 0)


def test_an_encoder_that_is_busy_is_asked_again(
    nvenc: FakeNvenc, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVENC_BUSY", "3")
    assert len(make(EncoderConfig()).encode(planar(nv12(0)))) == 1


def test_waiting_for_a_picture_has_an_end(
    nvenc: FakeNvenc, device: Device, bare_gpu: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = NvencEncoder(device, EncoderConfig(), timeout_s=0.2)
    encoder.encode(planar(nv12(0), 0))
    monkeypatch.setenv("FAKE_NVENC_STUCK", "1")
    with pytest.raises(DeviceTimeout, match=r"relens-nvenc was not done after 0\.2 s: .*nvidia-smi"):
        encoder.encode(planar(nv12(1), STEP))
    began = time.monotonic()
    with pytest.raises(DeviceTimeout, match="hangs"):
        encoder.encode(planar(nv12(2), 2 * STEP))
    encoder.close()
    assert time.monotonic() - began < 30, "neither waited for ever"
    monkeypatch.delenv("FAKE_NVENC_STUCK")
    wait_until(lambda: not any(t.name == "relens-nvenc" for t in threading.enumerate()))
    encoder._session.close()  # type: ignore[union-attr]  # what the encoder had to leave to the driver
    encoder._uploader.close()
    encoder._stream.close()


def test_a_closed_encoder_says_so(nvenc: FakeNvenc, make: Make) -> None:
    encoder = make(EncoderConfig())
    encoder.encode(planar(nv12(0)))
    encoder.close()
    encoder.close()
    with pytest.raises(DeviceError, match="closed"):
        encoder.encode(planar(nv12(0)))


def test_an_encoder_that_is_dropped_gives_everything_back(nvenc: FakeNvenc, device: Device) -> None:
    encoder = NvencEncoder(device, EncoderConfig())
    encoder.encode(planar(nv12(0)))
    del encoder
    gc.collect()
    wait_until(lambda: nvenc.count("sessions") == 0)
    wait_until(lambda: not any(t.name == "relens-nvenc" for t in threading.enumerate()))
    NvencEncoder(device, EncoderConfig())  # one that never had a picture
    gc.collect()


def test_a_device_closed_first_leaves_no_session(nvenc: FakeNvenc) -> None:
    device = Device.open()
    encoder = NvencEncoder(device, EncoderConfig())
    encoder.encode(planar(nv12(0)))
    device.close()
    encoder.close()
    assert nvenc.count("sessions") == 0


def test_the_fake_refuses_what_the_library_would(nvenc: FakeNvenc, make: Make) -> None:
    """A stand-in that takes everything would prove nothing."""
    import ctypes

    from gpu.cuda.nvenc_api import new
    from gpu.cuda.nvenc_structs import MapResource, PictureParams, RegisterResource

    session = _opened(make(EncoderConfig()))
    picture, resource, mapping = new(PictureParams), new(RegisterResource), new(MapResource)
    for call, params, status in (
        ("nvEncEncodePicture", picture, "NOT_MAPPED"),
        ("nvEncRegisterResource", resource, "UNSUPPORTED_PARAM"),
        ("nvEncMapInputResource", mapping, "NOT_REGISTERED"),
    ):
        with pytest.raises(NvencError, match=status):
            session._call(call, ctypes.byref(params))
        params.version += 1
        with pytest.raises(NvencError, match="INVALID_VERSION"):
            session._call(call, ctypes.byref(params))
        with pytest.raises(NvencError, match="INVALID_PTR"):
            session._call(call, None)
    assert nvenc_api.api().ask("nvEncLockBitstream", session._handle, None) == 4  # no context is current


def _opened(encoder: NvencEncoder) -> Any:
    encoder.encode(planar(nv12(0)))
    assert encoder._session is not None
    return encoder._session
