"""All of the GPU's way on the fake driver: decoded, put on a canvas, edited, laid over the source, encoded.

What the bus carried is counted, what was not edited must come out as it went in, and a GPU that is lost in
mid-stream must end the stream and nothing else. With work put off as long as nobody waits for it, a missing
wait shows as a wrong picture.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from gpu.codec import EncoderConfig
from gpu.codec.decoder import LibavDecoder
from gpu.cuda.convert import Converter
from gpu.cuda.driver import Device, DeviceArray, DeviceLost, Stream, Traffic
from gpu.cuda.frame import FramePool
from gpu.cuda.nvdec import NvdecDecoder
from gpu.cuda.nvenc_or_host import NvencOrHost
from gpu.types import U8, EncodedFrame, Frame
from tests.gpu.cuda.fake import FakeDriver
from tests.gpu.cuda.fake_nvdec import Pcm, device, engine, pcm

__all__ = ["device", "engine", "pcm"]  # fixtures

W, H = 128, 96
CANVAS = (64, 48)
LEFT = 40  # columns of the canvas that the mask leaves alone


class Way:
    """One stream's: the engine turns the canvas's planes round, the mask leaves its left side alone."""

    def __init__(self, device: Device) -> None:
        self.device, self.stream = device, device.stream()
        self.decoder = NvdecDecoder(device, "h264")
        self.converter = Converter(device, self.stream, W, H, CANVAS)
        self.pool = FramePool(device, W, H)
        self.encoder = NvencOrHost(device, EncoderConfig(bitrate_bps=4_000_000))
        self.edited = device.array((3, CANVAS[1], CANVAS[0]), np.float16)
        self.mask = device.array((CANVAS[1], CANVAS[0]), np.float16)
        values = np.zeros((CANVAS[1], CANVAS[0]), np.float16)
        values[:, LEFT:] = 1
        self.mask.upload(values, self.stream)

    def engine(self, stream: Stream) -> None:
        canvas: DeviceArray = self.converter.canvas
        for plane in range(3):
            stream.copy(self.edited[plane], canvas[(plane + 1) % 3])

    def go(self, unit: EncodedFrame) -> list[EncodedFrame]:
        out = []
        for frame in self.decoder.decode(unit):
            self.stream.wait(frame.ready)
            into = self.pool.take(self.stream)
            edited = self.converter.edit(frame, self.engine, self.edited, self.mask, 1.0, into)
            out += self.encoder.encode(edited)
        return out

    def close(self) -> None:
        for part in (self.encoder, self.decoder, self.converter, self.pool):
            part.close()  # type: ignore[attr-defined]


@pytest.fixture(params=["at once", "put off"])
def way(device: Device, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Way]:
    if request.param == "put off":
        monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    made = Way(device)
    yield made
    made.close()


def picture(seed: int) -> U8:
    """Soft colours that differ from place to place. [H * 3 / 2, W]"""
    rng = np.random.default_rng(seed)
    luma = rng.integers(70, 170, (H // 8, W // 8)).repeat(8, 0).repeat(8, 1)
    chroma = rng.integers(90, 166, (H // 16, W // 16, 2)).repeat(8, 0).repeat(8, 1).reshape(H // 2, W)
    return np.concatenate((luma, chroma)).astype(np.uint8)


def shown(units: list[EncodedFrame], decoder: LibavDecoder) -> list[Frame]:
    return [frame for unit in units for frame in decoder.decode(unit)]


def test_what_is_not_edited_comes_out_as_it_went_in(way: Way, pcm: Pcm, fake_gpu: FakeDriver) -> None:
    """Direct, captured and replayed; nothing but the units crosses the bus."""
    libav, before = LibavDecoder("h264"), way.device.traffic()
    edge = LEFT * W // CANVAS[0] - 4  # the mask's edge is resized: two canvas columns belong to both
    for number in range(6):
        source = picture(number)
        [frame] = shown(way.go(pcm.unit(source, number)), libav)
        assert frame.pts == number * 3000
        chroma = source[H:].reshape(H // 2, W // 2, 2)
        assert np.array_equal(frame.y[:, :edge], source[:H, :edge])
        assert np.array_equal(frame.u[:, : edge // 2], chroma[:, : edge // 2, 0])
        assert np.array_equal(frame.v[:, : edge // 2], chroma[:, : edge // 2, 1])
        assert not np.array_equal(frame.u[:, W // 2 - 8 :], chroma[:, W // 2 - 8 :, 0]), "the rest was edited"
    assert way.device.traffic() == before, "no picture crossed the bus"
    assert len(fake_gpu.called("cuGraphLaunch")) >= 4
    assert way.encoder.because == ""


def test_without_nvenc_one_picture_crosses_the_bus_one_way(
    way: Way, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVENC_CODECS", "none")
    libav, before = LibavDecoder("h264"), way.device.traffic()
    for number in range(4):
        source = picture(number)
        [frame] = shown(way.go(pcm.unit(source, number)), libav)
        difference = np.abs(frame.y[:, :64].astype(int) - source[:H, :64]).mean()
        assert difference < 8, "libx264 is not lossless, but this is the picture"
    assert way.device.traffic() == Traffic(
        before.host_to_device_bytes, before.device_to_host_bytes + 4 * W * H * 3 // 2
    )
    assert "NVENC" in way.encoder.because


@pytest.mark.parametrize("after", [1, 7, 20, 45])
def test_a_gpu_lost_in_mid_stream_ends_the_stream_and_nothing_else(
    fake_gpu: FakeDriver, pcm: Pcm, monkeypatch: pytest.MonkeyPatch, after: int
) -> None:
    gpu = Device.open()
    way = Way(gpu)
    for number in range(3):
        assert way.go(pcm.unit(picture(number), number))
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", str(after))

    def go_on() -> None:
        for number in range(3, 20):
            way.go(pcm.unit(picture(number), number))

    with pytest.raises(DeviceLost, match="the GPU is lost"):
        go_on()
    way.close()
    gpu.close()
    assert fake_gpu.lost
