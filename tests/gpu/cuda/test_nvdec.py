"""Decoding on the fake engine: the same pictures as libav's, in the same call, at the same times."""

from __future__ import annotations

import numpy as np
import pytest

from gpu.codec.decoder import LibavDecoder
from gpu.cuda.driver import Device
from gpu.cuda.frame import DeviceFrame
from gpu.cuda.nvdec import NvdecDecoder
from gpu.errors import FrameError
from gpu.types import Codec
from tests.gpu.cuda.fake import FakeDriver
from tests.gpu.cuda.fake_nvdec import (
    INTER,
    SHOW_EXISTING,
    FakeDecoder,
    Pcm,
    device,
    engine,
    glued,
    nv12,
    pcm,
    picture_of,
    tiny,
)

__all__ = ["device", "engine", "pcm"]  # fixtures

OTHERS: list[Codec] = ["hevc", "vp8", "vp9", "av1"]


@pytest.mark.parametrize("profile", [66, 77, 100])
@pytest.mark.parametrize(("width", "height"), [(16, 16), (18, 34), (64, 48), (130, 98)])
def test_h264_is_what_libav_decodes(device: Device, pcm: Pcm, width: int, height: int, profile: int) -> None:
    ours, libav = NvdecDecoder(device, "h264"), LibavDecoder("h264")
    assert ours.waiting_for_keyframe
    for number in range(12):
        unit = pcm.unit(nv12(number, width, height), number, profile=profile)
        [frame], [expected] = ours.decode(unit), libav.decode(unit)
        assert (
            (frame.pts, frame.arrived_ns)
            == (expected.pts, expected.arrived_ns)
            == (unit.pts, unit.arrived_ns)
        )
        assert (frame.width, frame.height, frame.full_range) == (width, height, False)
        back = picture_of(frame)
        chroma = back[height:].reshape(height // 2, width // 2, 2)
        assert np.array_equal(back[:height], expected.y)
        assert np.array_equal(chroma[..., 0], expected.u)
        assert np.array_equal(chroma[..., 1], expected.v)
    assert not ours.waiting_for_keyframe
    ours.close()


def test_pictures_never_cross_the_bus(device: Device, pcm: Pcm, fake_gpu: FakeDriver) -> None:
    decoder = NvdecDecoder(device, "h264")
    for number in range(5):
        decoder.decode(pcm.unit(nv12(number, 64, 48), number))
    assert device.traffic().host_to_device_bytes == device.traffic().device_to_host_bytes == 0
    assert fake_gpu.count("h2d") == fake_gpu.count("d2h") == 0
    decoder.close()


def test_a_parser_that_holds_back_adds_no_frame(
    device: Device, pcm: Pcm, engine: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As NVIDIA's does with H.264 that does not say how much it reorders."""
    monkeypatch.setenv("FAKE_NVDEC_DELAY", "3")
    decoder = NvdecDecoder(device, "h264")
    for number in range(20):
        picture = nv12(number, 32, 32)
        [frame] = decoder.decode(pcm.unit(picture, number % 7, pts=number * 3000))
        assert frame.pts == number * 3000
        assert np.array_equal(picture_of(frame), picture)
    assert engine.count("decoded") == 20
    assert len(engine.called("cuvidMapVideoFrame64")) == 20  # none is shown twice
    decoder.close()


def test_times_far_apart_and_repeated_are_carried_exactly(device: Device, pcm: Pcm) -> None:
    decoder = NvdecDecoder(device, "h264")
    times = [0, 1, 1, 2**33 + 5, 2**33 + 3005, 2**40 + 1, 17]
    shown = [decoder.decode(pcm.unit(nv12(i, 16, 16), i, pts=pts)) for i, pts in enumerate(times)]
    assert [(frame.pts, frame.arrived_ns) for [frame] in shown] == [(pts, pts + 7) for pts in times]
    decoder.close()


def test_b_frames_come_in_order_of_time(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoded 0 3 1 2 6 4 5 ...: shown by time once reordering is seen; what came too late is left out."""
    monkeypatch.setenv("FAKE_NVDEC_DELAY", "2")
    decoder = NvdecDecoder(device, "hevc", most=16)
    order = [0, 3, 1, 2, 6, 4, 5, 9, 7, 8, 12, 10, 11]
    pictures = {time: nv12(time, 32, 16) for time in order}
    shown: list[DeviceFrame] = []
    for time in order:
        unit = tiny("hevc", pictures[time], time * 3000, INTER if time else 1, order=time, arrived_ns=time)
        shown += decoder.decode(unit)
    times = [frame.pts // 3000 for frame in shown]
    assert times[:2] == [0, 3]
    assert times[2:] == sorted(times[2:])
    assert set(times) >= set(range(3, 10))
    for frame in shown[2:4]:
        assert np.array_equal(picture_of(frame), pictures[frame.pts // 3000])
        assert frame.arrived_ns == frame.pts // 3000
    del shown, frame
    decoder.close()


def test_after_the_last_b_frames_nothing_is_held_back_any_more(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a timestamp that stepped back by mistake."""
    monkeypatch.setenv("FAKE_NVDEC_DELAY", "2")
    decoder = NvdecDecoder(device, "hevc")
    order = [0, 3, 1, 2, *range(4, 60)]
    picture = nv12(0, 32, 16)
    shown = []
    for i, time in enumerate(order):
        unit = tiny("hevc", picture, time * 3000, INTER if time else 1, order=time)
        shown.append([frame.pts // 3000 for frame in decoder.decode(unit)])
        if i > 40:
            assert shown[-1] == [time]
    flat = [time for times in shown for time in times]
    assert flat == sorted(set(flat))
    assert {*range(3, 60)} <= set(flat)  # and none was lost on the way back
    decoder.close()


@pytest.mark.parametrize("codec", ["h264", "vp8"])
def test_a_clock_that_is_set_back_costs_few_pictures(device: Device, pcm: Pcm, codec: Codec) -> None:
    decoder = NvdecDecoder(device, codec)
    times = [*range(30), *range(10, 40)]
    shown = []
    for i, time in enumerate(times):
        picture = nv12(0, 32, 32)
        if codec == "h264":
            unit = pcm.unit(picture, i, pts=time * 3000)
        else:
            unit = tiny(codec, picture, time * 3000, INTER if i else 1)
        shown += [frame.pts // 3000 for frame in decoder.decode(unit)]
    assert shown == (times if codec == "vp8" else [*range(30), *range(26, 40)])
    decoder.close()


@pytest.mark.parametrize("codec", OTHERS)
def test_the_other_codecs(device: Device, codec: Codec) -> None:
    decoder = NvdecDecoder(device, codec)
    for i in range(8):
        picture = nv12(i, 48, 32)
        [frame] = decoder.decode(tiny(codec, picture, i * 3000, INTER if i else 1, arrived_ns=i + 1))
        assert (frame.pts, frame.arrived_ns) == (i * 3000, i + 1)
        assert np.array_equal(picture_of(frame), picture)
    decoder.close()


@pytest.mark.parametrize("codec", ["vp8", "vp9", "av1"])
def test_hidden_pictures_are_shown_when_the_stream_says_so(device: Device, codec: Codec) -> None:
    decoder = NvdecDecoder(device, codec)
    first, hidden, second = (nv12(i, 32, 32) for i in range(3))
    assert len(decoder.decode(tiny(codec, first, 0))) == 1
    pair = glued(tiny(codec, hidden, 3000, INTER, shown=False), tiny(codec, second, 3000, INTER))
    [frame] = decoder.decode(pair)
    assert np.array_equal(picture_of(frame), second)
    for pts in (6000, 9000):  # the same picture, twice
        [frame] = decoder.decode(tiny(codec, hidden, pts, SHOW_EXISTING, arrived_ns=pts))
        assert (frame.pts, frame.arrived_ns) == (pts, pts)
        assert np.array_equal(picture_of(frame), hidden)
    assert decoder.decode(tiny(codec, hidden, 12_000, INTER, shown=False)) == []
    assert not decoder.waiting_for_keyframe
    del frame
    decoder.close()


def test_two_fields_make_one_picture(device: Device) -> None:
    decoder = NvdecDecoder(device, "hevc")
    picture = nv12(1, 32, 32)
    unit = glued(tiny("hevc", picture, 5, field=1), tiny("hevc", picture, 5, INTER, field=2))
    [frame] = decoder.decode(unit)
    assert np.array_equal(picture_of(frame), picture)
    del frame
    decoder.close()


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", [1, 6, 2])
def test_range_and_matrix_are_told(device: Device, pcm: Pcm, full_range: bool, matrix: int) -> None:
    for codec in ("h264", "vp9"):
        decoder = NvdecDecoder(device, codec)
        picture = nv12(1, 32, 32)
        if codec == "h264":
            unit = pcm.unit(picture, 0, full_range=full_range, matrix=matrix)
        else:
            unit = tiny(codec, picture, full_range=full_range, matrix=matrix)
        [frame] = decoder.decode(unit)
        assert (frame.full_range, frame.bt709) == (full_range, matrix == 1)
        del frame
        decoder.close()


@pytest.mark.parametrize("full_range", [False, True])
def test_ten_bits_become_eight(device: Device, full_range: bool) -> None:
    decoder = NvdecDecoder(device, "hevc")
    deep = nv12(3, 48, 32, bits=10)
    [frame] = decoder.decode(tiny("hevc", deep, bits=10, full_range=full_range))
    values = (deep >> 6).astype(np.float64)
    if full_range:  # ITU-T H.273 8.3: chroma's middle is 128 and 512
        values[:32] *= 255 / 1023
        values[32:] = (values[32:] - 512) * 255 / 1023 + 128
    else:
        values /= 4
    expected = np.clip(values, 0, 255)
    assert np.abs(picture_of(frame).astype(np.float64) - expected).max() <= 0.5 + 1e-3
    del frame
    decoder.close()


def test_an_engine_that_narrows_by_itself_is_let_do_it(
    device: Device, engine: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVDEC_OUTPUTS", "1")
    decoder = NvdecDecoder(device, "av1")
    deep = nv12(3, 48, 32, bits=10)
    [frame] = decoder.decode(tiny("av1", deep, bits=10))
    assert np.array_equal(picture_of(frame), (deep >> 8).astype(np.uint8))
    assert engine.called("cuvidCreateDecoder")[0].endswith("output 0")
    del frame
    decoder.close()


def test_what_is_shown_is_cut_out(device: Device) -> None:
    decoder = NvdecDecoder(device, "hevc")
    picture = nv12(2, 36, 22)
    [frame] = decoder.decode(tiny("hevc", picture, at=(4, 2), coded=(64, 32)))
    assert np.array_equal(picture_of(frame), picture)
    del frame
    decoder.close()


def test_odd_sizes_are_cropped_to_even(device: Device, engine: FakeDecoder) -> None:
    decoder = NvdecDecoder(device, "vp8")
    samples = np.zeros((1, 47 * 31 * 3 // 2), np.uint8)
    [frame] = decoder.decode(tiny("vp8", samples, size=(47, 31)))
    assert (frame.width, frame.height) == (46, 30)
    del frame
    decoder.close()


@pytest.mark.parametrize(
    ("size", "most", "expected"),
    [
        ((640, 480), (1280, 240), (640, 480)),
        ((640, 480), (320, 240), (320, 240)),
        ((480, 640), (320, 240), (240, 320)),
        ((480, 640), (640, 480), (480, 640)),
        ((128, 64), (100, 100), (100, 50)),
    ],
)
def test_pictures_beyond_the_models_size_are_scaled_with_their_proportions(
    device: Device, pcm: Pcm, size: tuple[int, int], most: tuple[int, int], expected: tuple[int, int]
) -> None:
    decoder = NvdecDecoder(device, "h264", max_size=most)
    libav = LibavDecoder("h264", most)
    smooth = np.tile(np.linspace(40, 200, size[0]).astype(np.uint8), (size[1] * 3 // 2, 1))
    unit = pcm.unit(smooth, 0)
    [frame], [other] = decoder.decode(unit), libav.decode(unit)
    assert (frame.width, frame.height) == (other.width, other.height)
    if expected != (640, 480) or most != (1280, 240):
        assert (frame.width, frame.height) == expected
    assert np.abs(picture_of(frame)[: frame.height].astype(int) - other.y).mean() < 3
    del frame
    decoder.close()


def test_pictures_are_there_when_their_event_is(
    device: Device, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With work put off until somebody waits for it: unmapping, and the next picture, disturb nothing."""
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    decoder = NvdecDecoder(device, "h264")
    pictures = [nv12(i, 64, 48) for i in range(6)]
    frames = [decoder.decode(pcm.unit(picture, i))[0] for i, picture in enumerate(pictures)]
    assert all(np.array_equal(picture_of(frame), pictures[i]) for i, frame in enumerate(frames))
    frames.clear()
    decoder.close()


def test_a_picture_still_read_elsewhere_is_not_written_over(
    device: Device, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder, reader = NvdecDecoder(device, "h264", most=1), device.stream()
    copy = device.array((48, 64), np.uint8)
    [frame] = decoder.decode(pcm.unit(nv12(0, 64, 48), 0))
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")  # the reader's copy is done when somebody asks
    reader.wait(frame.ready)
    reader.copy2d(copy.ptr, 64, frame.luma.ptr, frame.luma.strides[0], 64, 48)
    frame.used_on(reader)
    del frame
    [frame] = decoder.decode(pcm.unit(nv12(1, 64, 48), 1))
    assert np.array_equal(picture_of(frame), nv12(1, 64, 48))
    assert np.array_equal(copy.download(reader), nv12(0, 64, 48)[:48])
    del frame
    reader.close()
    decoder.close()


def test_all_buffers_in_use_costs_that_picture_and_no_keyframe(device: Device, pcm: Pcm) -> None:
    decoder = NvdecDecoder(device, "h264", most=2)
    kept = [decoder.decode(pcm.unit(nv12(i, 32, 32), i))[0] for i in range(2)]
    with pytest.raises(FrameError, match="all 2 buffers"):
        decoder.decode(pcm.unit(nv12(2, 32, 32), 2))
    assert not decoder.waiting_for_keyframe
    assert np.array_equal(picture_of(kept[0]), nv12(0, 32, 32))
    kept.clear()
    [frame] = decoder.decode(pcm.unit(nv12(3, 32, 32), 3))
    assert np.array_equal(picture_of(frame), nv12(3, 32, 32))
    del frame
    decoder.close()


def test_memory_stays_flat(device: Device, pcm: Pcm, fake_gpu: FakeDriver, engine: FakeDecoder) -> None:
    decoder = NvdecDecoder(device, "h264")
    held: list[tuple[int, int, int]] = []
    for number in range(200):
        decoder.decode(pcm.unit(nv12(number % 5, 32, 32), number % 50, pts=number * 3000))
        held.append((fake_gpu.count("memory"), fake_gpu.count("events"), fake_gpu.count("device_bytes")))
    assert len(set(held[10:])) == 1
    assert engine.count("most_mapped") == 1
    assert len(engine.called("cuvidCreateDecoder")) == 1
    decoder.close()
