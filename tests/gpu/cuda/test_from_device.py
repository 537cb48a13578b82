"""Pictures of the GPU, encoded on the CPU: one page-locked copy of one NV12 picture, and no frame of
delay."""

from __future__ import annotations

from collections.abc import Iterator

import av
import numpy as np
import pytest
from moving import picture as moving_picture
from moving import psnr

from gpu.codec import EncoderConfig
from gpu.codec.base import Encoder
from gpu.codec.decoder import LibavDecoder
from gpu.cuda.driver import Device, Stream
from gpu.cuda.driver_errors import DeviceLost
from gpu.cuda.frame import DeviceFrame, FramePool
from gpu.cuda.from_device import Downloader, HostEncoder
from gpu.errors import DeviceError
from gpu.types import U8, Codec, Frame
from tests.gpu.cuda import fake_nvenc
from tests.gpu.cuda.fake import FakeDriver
from tests.gpu.cuda.fake_nvenc import STEP, nv12, on_device, planar, same

W, H = 64, 48
ONE = W * H * 3 // 2


@pytest.fixture
def device(bare_driver: FakeDriver) -> Iterator[Device]:
    device = Device.open()
    yield device
    fake_nvenc.forget()
    device.close()


@pytest.fixture
def stream(device: Device) -> Stream:
    return device.stream()


@pytest.fixture
def pool(device: Device) -> Iterator[FramePool]:
    pool = FramePool(device, W, H, most=4)
    yield pool
    pool.close()


@pytest.fixture
def encoder(device: Device) -> Iterator[HostEncoder]:
    encoder = HostEncoder(device, EncoderConfig(bitrate_bps=4_000_000))
    yield encoder
    encoder.close()


def interleaved(frame: Frame) -> U8:
    """[H * 3 / 2, W] uint8, as NV12 has it."""
    chroma = np.stack([frame.u, frame.v], axis=-1).reshape(frame.height // 2, frame.width)
    return np.concatenate([frame.y, chroma])


@pytest.mark.parametrize("begun", [False, True])
def test_a_download_is_the_picture_and_one_picture_of_bytes(
    device: Device, stream: Stream, pool: FramePool, bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch,
    begun: bool,
) -> None:  # fmt: skip
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")  # what waits for nothing sees memory as it was before
    downloader = Downloader(device)
    for i in range(6):
        frame = on_device(pool, stream, nv12(i, W, H), i)
        before = device.traffic()
        if begun:
            downloader.begin(frame)
            downloader.begin(frame)
        back = downloader.download(frame)
        assert same(back, nv12(i, W, H))
        assert (back.pts, back.arrived_ns) == (i, i + 7)
        after = device.traffic()
        assert after.device_to_host_bytes - before.device_to_host_bytes == ONE
        assert after.host_to_device_bytes == before.host_to_device_bytes
    downloads = [line for line in bare_driver.called("cuMemcpy2DAsync_v2") if line.endswith("2->1")]
    assert len(downloads) == 6, "one copy a picture, luma and chroma together"
    downloader.close()
    downloader.close()


def test_a_copy_begun_leaves_the_picture_being_encoded_alone(
    device: Device, stream: Stream, pool: FramePool
) -> None:
    downloader = Downloader(device)
    first, second, third = (on_device(pool, stream, nv12(i, W, H), i) for i in range(3))
    shown = downloader.download(first)
    downloader.begin(second)
    downloader.begin(third)  # no room: nothing happens
    device.stream().synchronize()
    assert same(shown, nv12(0, W, H))
    moved = device.traffic().device_to_host_bytes
    assert moved == 2 * ONE
    assert same(downloader.download(second), nv12(1, W, H))
    assert device.traffic().device_to_host_bytes == moved, "it was there already"
    assert same(downloader.download(third), nv12(2, W, H))
    downloader.close()


@pytest.mark.parametrize("jump", [1, -5 * 90_000])
def test_what_was_begun_and_never_asked_for_is_let_go(
    device: Device, stream: Stream, pool: FramePool, jump: int
) -> None:
    downloader = Downloader(device)
    downloader.download(on_device(pool, stream, nv12(0, W, H), 0))
    dropped, shown, after = (
        on_device(pool, stream, nv12(i, W, H), pts) for i, pts in ((1, 1), (2, 2), (3, 3))
    )
    downloader.begin(dropped)
    del dropped
    assert pool.out == 3
    if jump < 0:
        shown = DeviceFrame(shown.luma, shown.chroma, jump, ready=shown.ready, buffer=shown.buffer)
    assert same(downloader.download(shown), nv12(2, W, H))
    assert pool.out == 2
    moved = device.traffic().device_to_host_bytes
    downloader.begin(after)
    assert device.traffic().device_to_host_bytes == moved + ONE, "there is room again"
    assert same(downloader.download(after), nv12(3, W, H))
    downloader.close()


def test_a_buffer_that_is_still_read_is_not_written(
    device: Device, stream: Stream, bare_driver: FakeDriver
) -> None:
    pool, downloader = FramePool(device, W, H, most=2), Downloader(device)
    downloader.download(on_device(pool, stream, nv12(9, W, H), 0))
    dropped, shown = (on_device(pool, stream, nv12(i, W, H), i) for i in (1, 2))
    downloader.begin(dropped)
    downloader.download(shown)
    del dropped, shown
    before = len(bare_driver.called("cuStreamWaitEvent"))
    writer = device.stream()
    taken = [pool.take(writer) for _ in range(2)]
    assert len(bare_driver.called("cuStreamWaitEvent")) == before + 2
    taken.clear()
    downloader.close()
    pool.close()


def test_a_picture_in_two_blocks(device: Device, stream: Stream) -> None:
    source = nv12(3, W, H)
    luma, chroma = device.array((H, W), "u1"), device.array((H // 2, W // 2, 2), "u1")
    luma.upload(source[:H], stream)
    chroma.upload(source[H:].reshape(H // 2, W // 2, 2), stream)
    downloader = Downloader(device)
    assert same(downloader.download(DeviceFrame(luma, chroma, 0)), source)
    assert device.traffic().device_to_host_bytes == ONE
    downloader.close()


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_every_picture_comes_out_at_once(
    device: Device, stream: Stream, pool: FramePool, codec: Codec
) -> None:
    encoder: Encoder = HostEncoder(device, EncoderConfig(codec, bitrate_bps=4_000_000))
    decoder = LibavDecoder(codec)
    for i in range(12):
        source = moving_picture(i, W, H)
        frame = on_device(pool, stream, interleaved(source), source.pts)
        [one] = encoder.encode(frame)  # type: ignore[arg-type]
        assert (one.pts, one.arrived_ns, one.is_keyframe) == (source.pts, source.pts + 7, i == 0)
        [back] = decoder.decode(one)
        assert psnr(back.y, source.y) > 32
        assert psnr(back.u, source.u) > 32
    assert device.traffic().device_to_host_bytes == 12 * ONE
    encoder.close()
    decoder.close()


def test_sizes_change_and_host_frames_come_too(device: Device, stream: Stream, encoder: HostEncoder) -> None:
    sizes = [(64, 48), (96, 64), (64, 48)]
    for i, size in enumerate(sizes):
        pool = FramePool(device, *size)
        frame = on_device(pool, stream, nv12(i, *size), i * STEP)
        encoder.begin(frame)
        [one] = encoder.encode(frame)
        assert one.is_keyframe
        del frame
        pool.close()
    [one] = encoder.encode(planar(nv12(5, 64, 48), 9 * STEP))
    assert (one.pts, one.is_keyframe) == (9 * STEP, False)


def test_the_matrix_is_told_and_the_rate_kept(stream: Stream, pool: FramePool, encoder: HostEncoder) -> None:
    encoder.set_bitrate(777_000)
    for i, bt709 in enumerate([False, True, True, False]):
        frame = on_device(pool, stream, nv12(i, W, H), i * STEP, bt709=bt709)
        [one] = encoder.encode(frame)
        assert one.is_keyframe == (i != 2)
        assert encoder.target_bps == 777_000
        if one.is_keyframe:
            context = av.CodecContext.create("h264", "r")
            [shown] = [*context.decode(av.Packet(one.data)), *context.decode(None)]
            assert int(shown.colorspace) == (1 if bt709 else 6)


@pytest.mark.parametrize("full_range", [False, True])
def test_vp8_which_cannot_say_bt709_gets_bt601(
    device: Device, stream: Stream, pool: FramePool, full_range: bool
) -> None:
    """Pure red of limited range BT.709, (63, 102, 240), is (81, 90, 240) in BT.601; of full range (54, 99,
    255) and (76, 85, 255), which VP8 then carries as limited."""
    red = (54, 99, 255) if full_range else (63, 102, 240)
    source = np.empty((H * 3 // 2, W), np.uint8)
    source[:H], source[H:, ::2], source[H:, 1::2] = red
    encoder = HostEncoder(device, EncoderConfig("vp8", bitrate_bps=4_000_000))
    [one] = encoder.encode(on_device(pool, stream, source, 0, full_range, bt709=True))
    [back] = LibavDecoder("vp8").decode(one)
    assert [int(np.median(plane)) for plane in (back.y, back.u, back.v)] == pytest.approx(
        [81, 90, 240], abs=3
    )
    encoder.close()


def test_keyframes_and_rates_are_the_encoders(encoder: HostEncoder, stream: Stream, pool: FramePool) -> None:
    out = [
        encoder.encode(on_device(pool, stream, nv12(i, W, H), i * STEP), keyframe=i == 2)[0] for i in range(4)
    ]
    assert [one.is_keyframe for one in out] == [True, False, True, False]
    encoder.set_bitrate(10**12)
    assert encoder.target_bps == EncoderConfig().max_bps


def test_a_codec_without_an_encoder_on_the_cpu(device: Device) -> None:
    with pytest.raises(DeviceError, match="av1"):
        HostEncoder(device, EncoderConfig("av1"))


def test_a_lost_gpu_is_told_and_closing_is_clean(
    encoder: HostEncoder, stream: Stream, pool: FramePool, bare_driver: FakeDriver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    frame = on_device(pool, stream, nv12(0, W, H))
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", "3")
    with pytest.raises(DeviceLost):
        encoder.encode(frame)
    assert bare_driver.lost
    with pytest.raises(DeviceLost):
        encoder.encode(frame)
    encoder.close()
