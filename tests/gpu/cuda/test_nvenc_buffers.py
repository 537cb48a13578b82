"""Pictures go into NVENC without a copy, in order, and come out to the byte: the fake writes lossless
H.264."""

from __future__ import annotations

import pytest

from gpu.codec import EncoderConfig
from gpu.codec.base import Encoder
from gpu.cuda.driver import Device, DeviceArray, Stream
from gpu.cuda.frame import DeviceFrame, FramePool
from tests.gpu.cuda.fake import FakeDriver
from tests.gpu.cuda.fake_nvenc import (
    STEP,
    FakeNvenc,
    Make,
    decoded,
    device,
    make,
    nv12,
    nvenc,
    on_device,
    planar,
    same,
    stream,
)

__all__ = ["device", "make", "nvenc", "stream"]  # fixtures


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
@pytest.mark.parametrize(("width", "height"), [(32, 32), (130, 98), (256, 64)])
def test_the_very_nv12_comes_out_and_nothing_crosses_the_bus(
    nvenc: FakeNvenc, make: Make, device: Device, stream: Stream, monkeypatch: pytest.MonkeyPatch,
    width: int, height: int, profile: str,
) -> None:  # fmt: skip
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")  # what does not wait for `ready` reads 0xA5
    pool = FramePool(device, width, height)
    encoder = make(EncoderConfig(profile=profile))  # type: ignore[arg-type]
    pictures = [nv12(i, width, height) for i in range(5)]
    out = []
    for i, picture in enumerate(pictures):
        frame = on_device(pool, stream, picture, i * STEP)
        before = device.traffic()
        [one] = encoder.encode(frame)
        assert device.traffic() == before
        out.append(one)
    assert [(one.pts, one.arrived_ns, one.is_keyframe) for one in out] == [
        (i * STEP, i * STEP + 7, i == 0) for i in range(5)
    ]
    for back, picture in zip(decoded(out), pictures, strict=True):
        assert same(back, picture)
    encoder.close()
    del frame
    pool.close()


def test_a_host_frame_crosses_the_bus_once(
    nvenc: FakeNvenc, make: Make, device: Device, bare_gpu: FakeDriver
) -> None:
    encoder: Encoder = make(EncoderConfig())
    pictures = [nv12(i) for i in range(6)]
    out = [one for i, picture in enumerate(pictures) for one in encoder.encode(planar(picture, i * STEP))]
    assert len(out) == 6
    for back, picture in zip(decoded(out), pictures, strict=True):
        assert same(back, picture)
    moved = device.traffic()
    assert (moved.host_to_device_bytes, moved.device_to_host_bytes) == (6 * 64 * 48 * 3 // 2, 0)
    assert len(bare_gpu.called("cuMemcpy2DAsync_v2")) == 6
    encoder.close()


def test_each_buffer_is_registered_once(nvenc: FakeNvenc, make: Make, device: Device, stream: Stream) -> None:
    pool = FramePool(device, 64, 48, most=3)
    encoder = make(EncoderConfig())
    held: list[DeviceFrame] = []
    for i in range(24):
        held = [*held[-1:], on_device(pool, stream, nv12(i), i * STEP)]
        encoder.encode(held[-1])
        assert (nvenc.count("mapped"), nvenc.count("locked"), nvenc.count("bitstreams")) == (0, 0, 1)
    assert len(nvenc.log("register")) == 3
    encoder.close()
    held.clear()
    pool.close()


def test_a_buffer_freed_and_made_anew_is_registered_anew(
    nvenc: FakeNvenc, make: Make, device: Device, stream: Stream
) -> None:
    encoder = make(EncoderConfig())
    for i in range(40):  # more than are remembered
        pool = FramePool(device, 64, 48)
        [one] = encoder.encode(on_device(pool, stream, nv12(i), i * STEP), True)
        assert same(decoded([one])[0], nv12(i))
        pool.close()
    assert len(nvenc.log("register")) == 40
    assert nvenc.count("registered") <= 32
    encoder.close()


def test_another_memory_at_the_same_address_is_registered_anew(
    nvenc: FakeNvenc, make: Make, device: Device
) -> None:
    """The driver gives a freed address out again: what was registered there is not what is there now."""
    encoder = make(EncoderConfig())
    encoder.encode(planar(nv12(0)))
    session = encoder._session
    assert session is not None
    known = len(nvenc.log("register"))
    first, second = device.alloc(256 * 72), device.alloc(256 * 72)
    address = first.ptr
    for memory, count in ((first, 1), (first, 1), (second, 2), (second, 2), (first, 3)):
        session._register(memory, address, 256)
        assert len(nvenc.log("register")) == known + count
    first.close()
    session._register(first, address, 256)
    assert len(nvenc.log("register")) == known + 4
    assert len(nvenc.log("unregister")) == 3
    second.close()


def test_pictures_in_two_blocks_or_others_memory_are_copied_on_the_gpu(
    nvenc: FakeNvenc, make: Make, device: Device, stream: Stream
) -> None:
    picture = nv12(1)
    luma, chroma = device.array((48, 64), "u1"), device.array((24, 32, 2), "u1")
    luma.upload(picture[:48], stream)
    chroma.upload(picture[48:].reshape(24, 32, 2), stream)
    whole = device.array((72, 256), "u1")
    whole[:, :64].upload(picture, stream)

    def planes(base: object, address: int = whole.ptr) -> tuple[DeviceArray, DeviceArray]:
        return (
            DeviceArray(device, address, (48, 64), "u1", (256, 1), base),
            DeviceArray(device, address + 48 * 256, (24, 32, 2), "u1", (256, 2, 1), base),
        )

    shifted = device.array((73, 256), "u1")
    shifted[:72, 2:66].upload(picture, stream)
    encoder = make(EncoderConfig())
    moved = device.traffic()
    out = [
        encoder.encode(DeviceFrame(*both, i * STEP))[0]
        for i, both in enumerate(
            [(luma, chroma), planes(object()), planes(shifted, shifted.ptr + 2), planes(whole), planes(whole)]
        )
    ]
    for back in decoded(out):
        assert same(back, picture)
    assert device.traffic() == moved
    assert len(nvenc.log("register")) == 2, (
        "the encoder's own buffer, and the one that lies as NVENC takes it"
    )
    encoder.close()


def test_without_streams_of_its_own_the_host_waits(
    nvenc: FakeNvenc, make: Make, device: Device, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    monkeypatch.setenv("FAKE_NVENC_FAIL", "nvEncSetIOCudaStreams:22")
    pool = FramePool(device, 64, 48)
    encoder = make(EncoderConfig())
    out = [encoder.encode(on_device(pool, stream, nv12(i), i * STEP))[0] for i in range(3)]
    for i, back in enumerate(decoded(out)):
        assert same(back, nv12(i))
    encoder.close()
    pool.close()


def test_a_given_stream_is_used_and_left_open(
    nvenc: FakeNvenc, make: Make, device: Device, stream: Stream
) -> None:
    encoder = make(EncoderConfig(), stream)
    encoder.encode(planar(nv12(0)))
    encoder.close()
    assert stream.handle
    assert stream.query()
