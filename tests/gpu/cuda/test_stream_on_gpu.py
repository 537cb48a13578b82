"""Whole streams with their pictures in GPU memory, on the fake one: pipeline, worker, choice of path."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from moving import encoded
from streams import Recorder, TintModel, wait_until

from gpu.cuda import twins
from gpu.cuda.driver import Device, Traffic
from gpu.cuda.driver_errors import DeviceLost, DeviceTimeout
from gpu.cuda.nvenc import NvencEncoder
from gpu.cuda.path import gpu_path
from gpu.cuda.place import Place
from gpu.errors import DeviceError, NoGpu
from gpu.media import Media
from gpu.models.passthrough import PassthroughModel
from gpu.pipeline import PipelineConfig
from gpu.types import U8, Edit, EncodedFrame
from tests.gpu.cuda.fake import OWNED, FakeDriver
from tests.gpu.cuda.fake_nvdec import ALIVE, FakeDecoder, Pcm, engine, pcm, tiny
from tests.gpu.cuda.fake_nvenc import FakeNvenc, nv12, same
from tests.gpu.cuda.gpu_streams import (
    CANVAS,
    LEFT,
    MACHINE,
    NV12_BYTES,
    H,
    Recolour,
    Slow,
    W,
    feed,
    mask,
    serving,
    shown,
    smooth,
    stream,
)

__all__ = ["engine", "pcm"]  # fixtures


@pytest.fixture
def nvenc(fake_gpu: FakeDriver) -> Iterator[FakeNvenc]:
    """Both video engines are looked at when a test ends; but a lost GPU takes nothing back."""
    fake, decoder = FakeNvenc(fake_gpu.folder), FakeDecoder(fake_gpu.folder)
    yield fake
    if not fake_gpu.lost:
        assert (fake.count("sessions"), fake.count("left")) == (0, 0)
        assert {what: decoder.count(what) for what in ALIVE} == dict.fromkeys(ALIVE, 0)
        assert decoder.count("violations") == 0, decoder.called("VIOLATION")


@pytest.fixture
def media(nvenc: FakeNvenc) -> Iterator[Media]:
    made = Media("auto", MACHINE)
    yield made
    made.close()


def traffic(media: Media) -> Traffic:
    assert media._device is not None
    return media._device.traffic()


def noise(pcm: Pcm, count: int, size: tuple[int, int] = (W, H), first: int = 0) -> list[EncodedFrame]:
    """A keyframe and what follows; picture i is nv12(first + i)."""
    return [
        pcm.unit(nv12(first + i, *size), i, pts=(first + i) * 3000) for i in range(count)
    ]  # fmt: skip


@pytest.mark.parametrize("deferred", [False, True])
def test_pictures_pass_to_the_byte_and_never_cross_the_bus(
    media: Media, pcm: Pcm, nvenc: FakeNvenc, deferred: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if deferred:
        monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    units = noise(pcm, 20)
    with stream(PassthroughModel(), media) as (pipeline, sink):
        feed(pipeline, sink, units)
        stats, moved = pipeline.stats(), traffic(media)
        assert "decode NVDEC, edit CUDA on the NVIDIA L4, encode NVENC" in pipeline.path.words
    assert sink.pts == [unit.pts for unit in units]
    assert [frame.arrived_ns for frame in sink.frames] == [unit.arrived_ns for unit in units]
    assert all(same(frame, nv12(i, W, H)) for i, frame in enumerate(shown(sink.frames)))
    assert (stats.decoder, stats.encoder) == ("NVDEC", "NVENC")
    assert (stats.frames_out, stats.dropped, stats.frame_errors) == (20, 0, 0)
    assert moved == Traffic(0, 0)
    assert not sink.errors


def test_bitrate_and_keyframes(media: Media, pcm: Pcm, nvenc: FakeNvenc) -> None:
    units = noise(pcm, 40)
    with stream(PassthroughModel(), media) as (pipeline, sink):
        feed(pipeline, sink, units[:10])
        pipeline.set_bitrate(500_000)
        feed(pipeline, sink, units[10:20])
        assert nvenc.last()[1].rcParams.averageBitRate == 500_000
        assert nvenc.count("opened") == 1
        pipeline.force_keyframe()
        feed(pipeline, sink, units[20:])
    assert [i for i, frame in enumerate(sink.frames) if frame.is_keyframe] == [0, 20]
    assert (nvenc.count("resets"), nvenc.count("reconfigured") > 0) == (0, True)


def test_a_new_size_in_mid_stream(media: Media, pcm: Pcm) -> None:
    units = noise(pcm, 5) + noise(pcm, 5, (96, 64), first=5)
    with stream(PassthroughModel(), media) as (pipeline, sink):
        feed(pipeline, sink, units)
        assert (pipeline.stats().width, pipeline.stats().height) == (96, 64)
    assert [i for i, frame in enumerate(sink.frames) if frame.is_keyframe] == [0, 5]
    sizes = [(W, H)] * 5 + [(96, 64)] * 5
    assert all(same(frame, nv12(i, *sizes[i])) for i, frame in enumerate(shown(sink.frames)))


def test_without_nvenc_one_picture_a_frame_crosses_the_bus_one_way(
    media: Media, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVENC_CODECS", "none")
    with stream(PassthroughModel(), media) as (pipeline, sink):
        feed(pipeline, sink, [pcm.unit(smooth(i), i) for i in range(12)])
        assert traffic(media) == Traffic(0, 12 * NV12_BYTES)
        assert (pipeline.stats().decoder, pipeline.stats().encoder) == ("NVDEC", "libx264")
    for i, frame in enumerate(shown(sink.frames)):
        assert np.abs(frame.y.astype(int) - smooth(i)[:H]).mean() < 6, "not lossless, but this picture"


def test_without_nvdec_one_picture_a_frame_crosses_the_bus_the_other_way(
    media: Media, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVDEC_CODECS", "hevc")
    with stream(PassthroughModel(), media) as (pipeline, sink):
        feed(pipeline, sink, noise(pcm, 12))
        assert traffic(media) == Traffic(12 * NV12_BYTES, 0)
        assert (pipeline.stats().decoder, pipeline.stats().encoder) == ("libav", "NVENC")
    assert all(same(frame, nv12(i, W, H)) for i, frame in enumerate(shown(sink.frames)))


def test_beyond_the_last_session_libx264_encodes(
    media: Media, pcm: Pcm, nvenc: FakeNvenc, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVENC_SESSIONS", "1")
    with serving(PassthroughModel(), media) as worker:
        sinks = [Recorder(), Recorder()]
        first, second = (worker.open(PipelineConfig(), sink) for sink in sinks)
        feed(first, sinks[0], noise(pcm, 3))
        feed(second, sinks[1], noise(pcm, 3))
        feed(first, sinks[0], noise(pcm, 3, first=3))
        assert (first.stats().encoder, second.stats().encoder) == ("NVENC", "libx264")
    assert [len(sink.frames) for sink in sinks] == [6, 3]
    assert not any(sink.errors for sink in sinks)


def test_another_codec_at_a_keyframe_opens_another_decoder(media: Media, pcm: Pcm) -> None:
    other = [tiny("vp8", nv12(i, W, H), i * 3000, 1 if i == 4 else 0) for i in (4, 5, 6)]
    with stream(PassthroughModel(), media) as (pipeline, sink):
        feed(pipeline, sink, noise(pcm, 3))
        pipeline.push(other[1])  # no keyframe: nothing of that codec can be shown yet
        wait_until(lambda: sink.keyframes_needed == 1)
        feed(pipeline, sink, other)
        feed(pipeline, sink, noise(pcm, 2, first=7))
        assert pipeline.stats().decoder == "NVDEC"
    numbers = [0, 1, 2, 4, 5, 6, 7, 8]
    assert sink.pts == [i * 3000 for i in numbers]
    assert all(same(f, nv12(i, W, H)) for i, f in zip(numbers, shown(sink.frames), strict=True))


@pytest.mark.parametrize("chunk", [1, 3])
def test_what_is_dropped_under_overload_gives_its_buffer_back_at_once(
    media: Media, pcm: Pcm, chunk: int
) -> None:
    """The decoder never runs out of buffers, however slow the model is."""
    go = threading.Semaphore(0)
    units = noise(pcm, 60)
    config = PipelineConfig(bitrate_bps=4_000_000, queue_frames=100)
    with stream(Slow(lambda: go.acquire(timeout=20) and None, chunk), media, config) as (pipeline, sink):
        for number in range(4):
            for unit in units[15 * number : 15 * number + 15]:
                pipeline.push(unit)
            wait_until(lambda n=number: len(pipeline._meter._times["decode"]) == 15 * n + 15)  # type: ignore[misc]
            go.release()
        for _ in range(60):
            go.release()
        wait_until(lambda: len(sink.frames) + pipeline.stats().dropped + chunk > 60)
        stats = pipeline.stats()
    assert stats.frame_errors == 0
    assert stats.dropped > 30
    numbers = [pts // 3000 for pts in sink.pts]
    assert all(same(f, nv12(i, W, H)) for i, f in zip(numbers, shown(sink.frames), strict=True))


def test_twenty_opens_and_closes_leave_nothing(
    media: Media, pcm: Pcm, nvenc: FakeNvenc, fake_gpu: FakeDriver, engine: FakeDecoder
) -> None:
    """But the device itself, which is opened once."""
    alive: list[dict[str, int]] = []
    with serving(Recolour(), media) as worker:
        kept = []
        for turn in range(20):
            sink = Recorder()
            pipeline = worker.open(PipelineConfig(), sink)
            kept.append(pipeline)  # a session may hold it for a while: it holds nothing of the GPU's any more
            if turn % 3:  # some end before their first picture
                feed(pipeline, sink, noise(pcm, 2))
            pipeline.close()
            wait_until(lambda: worker.pipelines == 0)
            alive.append({what: fake_gpu.count(what) for what in OWNED})
            assert nvenc.count("sessions") == engine.count("decoders") == engine.count("parsers") == 0
    assert {what: alive[-1][what] - alive[1][what] for what in OWNED} == dict.fromkeys(OWNED, 0)
    assert alive[-1]["contexts"] <= 1


def test_a_lost_gpu_ends_its_streams_and_nothing_else(
    media: Media, pcm: Pcm, fake_gpu: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving(PassthroughModel(), media) as worker, stream(TintModel(), Media()) as (other, its_sink):
        sink = Recorder()
        pipeline = worker.open(PipelineConfig(), sink)
        feed(pipeline, sink, noise(pcm, 5))
        feed(other, its_sink, encoded(5))
        monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", "30")
        for unit in noise(pcm, 40, first=5):
            pipeline.push(unit)
        wait_until(lambda: bool(sink.errors) and pipeline.closed)
        assert isinstance(sink.errors[0], DeviceLost)
        assert "the GPU is lost" in str(sink.errors[0])
        assert len(sink.errors) == 1
        pipeline.close()
        feed(other, its_sink, encoded(10)[5:])

        after = Recorder()
        on_cpu = worker.open(PipelineConfig(), after)
        feed(on_cpu, after, noise(pcm, 3))
        assert (on_cpu.stats().decoder, on_cpu.stats().encoder) == ("libav", "libx264")
        assert "decode libav on the CPU" in on_cpu.path.words
        assert "because the GPU is lost to this process: restart the server" in on_cpu.path.words
        assert "lost" in media.problem
    with serving(Recolour(), media) as worker, pytest.raises(NoGpu, match=r"runs on a GPU only.*lost"):
        worker.open(PipelineConfig(), Recorder())


@pytest.mark.parametrize("after", [0, 3, 9, 17, 26, 35])
def test_a_gpu_lost_at_any_call_is_an_error_of_the_stream(
    media: Media, pcm: Pcm, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with stream(Recolour(), media) as (pipeline, sink):
        feed(pipeline, sink, noise(pcm, 3))
        monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", str(after))
        for unit in noise(pcm, 40, first=3):
            pipeline.push(unit)
        wait_until(lambda: bool(sink.errors) and pipeline.closed)
        assert isinstance(sink.errors[0], DeviceLost)


def test_an_encoder_that_hangs_ends_its_stream_and_keeps_nobody(
    media: Media, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gpu.cuda.nvenc_or_host.NvencEncoder", partial(NvencEncoder, timeout_s=0.3))
    with serving(PassthroughModel(), media) as worker, stream(TintModel(), Media()) as (other, its_sink):
        sink = Recorder()
        pipeline = worker.open(PipelineConfig(), sink)
        feed(pipeline, sink, noise(pcm, 3))
        monkeypatch.setenv("FAKE_NVENC_STUCK", "1")
        pipeline.push(noise(pcm, 4)[3])
        wait_until(lambda: bool(sink.errors) and pipeline.closed)
        assert isinstance(sink.errors[0], DeviceTimeout)
        feed(other, its_sink, encoded(5))
        pipeline.close()
        monkeypatch.delenv("FAKE_NVENC_STUCK")
        give_back(pipeline._outlet._encoder)
        fresh = Recorder()
        feed(worker.open(PipelineConfig(), fresh), fresh, noise(pcm, 3))
        assert len(fresh.frames) == 3, "the GPU itself is not given up for one stream's encoder"


def give_back(hung: Any) -> None:
    """What an encoder that hung had to leave to the driver."""
    nvenc: NvencEncoder = hung._encoder
    assert nvenc._session is not None
    wait_until(lambda: "relens-nvenc" not in [thread.name for thread in threading.enumerate()])
    nvenc._session.close()
    nvenc._uploader.close()
    nvenc._stream.close()


def test_a_gpu_that_nvenc_alone_calls_lost_is_given_up_too(
    media: Media, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or every new stream would end as the one before."""
    monkeypatch.setenv("FAKE_NVENC_LOST_AFTER", "3")
    with serving(PassthroughModel(), media) as worker:
        sink = Recorder()
        pipeline = worker.open(PipelineConfig(), sink)
        for unit in noise(pcm, 10):
            pipeline.push(unit)
        wait_until(lambda: bool(sink.errors) and pipeline.closed)
        assert isinstance(sink.errors[0], DeviceLost)
        fresh = Recorder()
        feed(worker.open(PipelineConfig(), fresh), fresh, noise(pcm, 5))
        assert "NV_ENC_ERR_DEVICE_NOT_EXIST" in media.problem


def test_a_stream_does_without_a_gpu_that_hangs_as_long_as_it_does(
    media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = PassthroughModel().spec
    media.warm(spec)
    device = media._device
    assert device is not None
    work, target = device.stream(), device.array((16,), "u1")
    monkeypatch.setenv("FAKE_CUDA_STUCK", "1")
    work.fill(target, 1)
    with pytest.raises(DeviceTimeout):
        work.synchronize(0.01)
    assert "libav on the CPU" in media.path(spec, "", "h264").words
    assert "because the GPU hangs" in media.path(spec, "", "h264").words
    monkeypatch.delenv("FAKE_CUDA_STUCK")
    work.synchronize()
    assert "decode NVDEC" in media.path(spec, "", "h264").words


def test_a_stream_that_comes_too_late_leaves_nothing(media: Media) -> None:
    with serving(PassthroughModel(), media) as worker:
        worker.close()
        with pytest.raises(DeviceError, match="shutting down"):
            worker.open(PipelineConfig(), Recorder())


@pytest.mark.parametrize("deferred", [False, True])
def test_an_edit_on_the_gpu_is_what_its_twins_say(
    media: Media, pcm: Pcm, deferred: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kernels, copies and graph of a model in the stream, from the bitstream in to the bitstream out."""
    if deferred:
        monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    sources = [smooth(i) for i in range(9)]
    units = [pcm.unit(source, i) for i, source in enumerate(sources)]
    with stream(Recolour(), media) as (pipeline, sink):
        feed(pipeline, sink, units[:3])
        pipeline.set_edit(Edit(1, "recolour", 0.75))
        feed(pipeline, sink, units[3:])
        assert traffic(media).device_to_host_bytes == 0
    assert sink.applied == [(1, units[3].pts)]
    for i, frame in enumerate(shown(sink.frames)):
        luma, chroma = recoloured(sources[i], 0.75) if i >= 3 else split(sources[i])
        assert np.abs(frame.y.astype(int) - luma).max() <= 1
        assert np.abs(np.stack((frame.u, frame.v), -1).astype(int) - chroma).max() <= 1
        kept = LEFT * W // CANVAS[0] - 4  # the mask's edge is resized
        assert np.array_equal(frame.y[:, :kept], sources[i][:H, :kept])
        assert i < 3 or not np.array_equal(chroma, split(sources[i])[1]), "something was edited"


def split(source: U8) -> tuple[U8, U8]:
    return source[:H], source[H:].reshape(H // 2, W // 2, 2)


def recoloured(source: U8, strength: float) -> tuple[U8, U8]:
    luma, chroma = split(source)
    place = Place.of(W, H, CANVAS)
    canvas = twins.nv12_to_rgb(luma, chroma, place, False, False).astype(np.float16)
    edited = canvas[[1, 2, 0]]
    return twins.composite(luma, chroma, edited, canvas, mask(), strength, place, False, False)


def test_the_decoders_bound_holds_what_a_stream_keeps(fake_gpu: FakeDriver) -> None:
    device = Device.open()
    decoder = gpu_path(device, 2, "", lambda _: None).open_decoder("h264", None)
    assert decoder.name == "NVDEC"
    assert decoder._most == 12  # type: ignore[attr-defined]
    decoder.close()
    device.close()
