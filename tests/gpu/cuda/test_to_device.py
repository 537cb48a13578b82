"""Host pictures on the GPU by one page-locked copy, and libav's decoders in front of it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from moving import encoded, picture

from gpu.codec import open_decoder
from gpu.cuda.driver import Device, Stream
from gpu.cuda.driver_errors import DeviceLost
from gpu.cuda.frame import DeviceFrame
from gpu.cuda.to_device import HostDecoder, Uploader
from gpu.errors import FrameError
from gpu.types import Codec, EncodedFrame
from tests.gpu.cuda.fake import FakeDriver
from tests.gpu.cuda.fake_nvenc import nv12, planar


@pytest.fixture
def device(bare_driver: FakeDriver) -> Iterator[Device]:
    device = Device.open()
    yield device
    device.close()


@pytest.fixture
def stream(device: Device) -> Stream:
    return device.stream()


@pytest.mark.parametrize(("width", "height"), [(2, 2), (64, 48), (258, 130)])
def test_an_upload_is_the_picture_and_one_picture_of_bytes(
    device: Device, stream: Stream, bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch,
    width: int, height: int,
) -> None:  # fmt: skip
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    uploader = Uploader(device, stream)
    frames = []
    for i in range(6):
        source = planar(nv12(i, width, height), i, full_range=i % 2 == 1)
        before = device.traffic()
        frames.append(uploader.upload(source))
        after = device.traffic()
        assert after.host_to_device_bytes - before.host_to_device_bytes == width * height * 3 // 2
        assert after.device_to_host_bytes == before.device_to_host_bytes
    assert len(bare_driver.called("cuMemcpy2DAsync_v2")) == 6
    reader = device.stream()
    for i, frame in enumerate(frames):
        reader.wait(frame.ready)
        rows = nv12(i, width, height)
        assert np.array_equal(frame.luma.download(reader), rows[:height])
        assert np.array_equal(frame.chroma.download(reader).reshape(height // 2, width), rows[height:])
        assert (frame.pts, frame.arrived_ns, frame.full_range, frame.bt709) == (i, i + 7, i % 2 == 1, False)
    uploader.close()
    uploader.close()


def test_too_many_pictures_alive_are_refused_and_come_back(device: Device, stream: Stream) -> None:
    uploader = Uploader(device, stream, most=2)
    kept = [uploader.upload(planar(nv12(i), i)) for i in range(2)]
    with pytest.raises(FrameError, match="2 buffers"):
        uploader.upload(planar(nv12(2), 2))
    kept.pop()
    kept.append(uploader.upload(planar(nv12(3), 3)))
    assert [frame.pts for frame in kept] == [0, 3]
    uploader.close()


def test_one_picture_is_filled_in_while_another_is_copied(
    device: Device, stream: Stream, bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")  # nothing is copied before somebody waits
    uploader = Uploader(device, stream)
    frames = [uploader.upload(planar(nv12(i), i)) for i in range(2)]
    assert bare_driver.count("h2d") == 0
    frames.append(uploader.upload(planar(nv12(2), 2)))
    assert bare_driver.count("h2d") > 0, "there are no more than two buffers"
    uploader.close()


def test_a_new_size_leaves_pictures_of_the_old_alone(device: Device, stream: Stream) -> None:
    uploader = Uploader(device, stream)
    old = uploader.upload(planar(nv12(1), 0))
    new = uploader.upload(planar(nv12(2, 96, 32), 1))
    assert np.array_equal(old.luma.download(stream), nv12(1)[:48])
    assert np.array_equal(new.luma.download(stream), nv12(2, 96, 32)[:32])
    uploader.close()


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_a_host_decoder_decodes_as_the_one_beneath(device: Device, stream: Stream, codec: Codec) -> None:
    decoder, plain = HostDecoder(device, stream, codec), open_decoder(codec)
    assert decoder.waiting_for_keyframe
    for one in encoded(5, codec, 96, 64):
        [frame] = decoder.decode(one)
        [other] = plain.decode(one)
        assert isinstance(frame, DeviceFrame)
        assert (frame.pts, frame.arrived_ns, frame.full_range) == (
            other.pts,
            other.arrived_ns,
            other.full_range,
        )
        assert np.array_equal(frame.luma.download(stream), other.y)
        chroma = frame.chroma.download(stream)
        assert np.array_equal(chroma[..., 0], other.u)
        assert np.array_equal(chroma[..., 1], other.v)
    assert not decoder.waiting_for_keyframe
    del frame
    decoder.close()
    plain.close()


def test_what_cannot_be_decoded_is_said_and_repaired(device: Device, stream: Stream) -> None:
    decoder = HostDecoder(device, stream, "h264", max_size=(64, 64))
    with pytest.raises(FrameError):
        decoder.decode(EncodedFrame(b"\x00\x00\x00\x01\x65nonsense", 0, True))
    [frame] = decoder.decode(encoded(1)[0])
    assert (frame.width, frame.height) == (64, 48), "320x240 brought within 64x64"
    assert picture(0).width == 320
    del frame
    decoder.close()


def test_a_lost_gpu_is_told(
    device: Device, stream: Stream, bare_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    uploader = Uploader(device, stream)
    uploader.upload(planar(nv12(0)))
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", "1")
    with pytest.raises(DeviceLost):
        uploader.upload(planar(nv12(1)))
    assert bare_driver.lost
    uploader.close()
