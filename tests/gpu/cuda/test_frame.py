"""Pictures in device memory: a bounded store, buffers that come back by themselves, readers waited for."""

from __future__ import annotations

import dataclasses
import gc
from collections.abc import Iterator

import numpy as np
import pytest

from gpu.cuda.driver import CudaError, Device, DeviceLost
from gpu.cuda.frame import PITCH, DeviceFrame, FramePool, Nv12
from gpu.errors import FrameError
from tests.gpu.cuda.fake import FakeDriver


@pytest.fixture
def device(bare_driver: FakeDriver) -> Iterator[Device]:
    opened = Device.open()
    yield opened
    opened.close()


def alive(fake: FakeDriver) -> int:
    """Allocations of this test."""
    return fake.leaks().get("memory", 0)


def filled(buffer: Nv12, value: int) -> None:
    stream = buffer.luma.device.stream()
    buffer.luma.upload(np.full(buffer.luma.shape, value, np.uint8), stream)
    buffer.chroma.upload(np.full(buffer.chroma.shape, value, np.uint8), stream)
    stream.close()


@pytest.mark.parametrize(("width", "height"), [(2, 2), (256, 16), (258, 34), (640, 480)])
def test_a_buffer_is_nv12_with_both_planes_in_one_pitch(device: Device, width: int, height: int) -> None:
    pool = FramePool(device, width, height)
    buffer = pool.take()
    assert (buffer.width, buffer.height) == (width, height)
    assert buffer.pitch % PITCH == 0
    assert 0 <= buffer.pitch - width < PITCH
    assert (buffer.luma.shape, buffer.luma.strides) == ((height, width), (buffer.pitch, 1))
    assert buffer.chroma.shape == (height // 2, width // 2, 2)
    assert buffer.chroma.strides == (buffer.pitch, 2, 1)
    assert buffer.chroma.ptr == buffer.luma.ptr + height * buffer.pitch
    luma = np.arange(width * height, dtype=np.uint32).astype(np.uint8).reshape(height, width)
    chroma = 255 - luma[: height // 2].reshape(height // 2, width // 2, 2)
    stream = device.stream()
    buffer.luma.upload(luma, stream)
    buffer.chroma.upload(chroma, stream)
    assert np.array_equal(buffer.luma.download(stream), luma)
    assert np.array_equal(buffer.chroma.download(stream), chroma)
    stream.close()
    del buffer
    pool.close()


@pytest.mark.parametrize("size", [(0, 2), (3, 2), (2, 3), (2, 0), (-2, 2)])
def test_sizes_that_nv12_has_not_are_refused(device: Device, size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="must be even and at least 2"):
        FramePool(device, *size)


def test_a_pool_of_nothing_is_refused(device: Device) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        FramePool(device, 2, 2, most=0)


def test_no_more_than_so_many_and_memory_only_when_needed(device: Device, bare_driver: FakeDriver) -> None:
    pool = FramePool(device, 32, 32, most=3)
    before = alive(bare_driver)
    first = pool.take()
    assert alive(bare_driver) == before + 1
    others = [pool.take(), pool.take()]
    assert pool.out == 3
    with pytest.raises(FrameError, match="all 3 buffers for pictures of 32x32 are in use"):
        pool.take()
    where = first.luma.ptr
    del first
    assert pool.out == 2
    assert pool.take().luma.ptr == where
    assert alive(bare_driver) == before + 3
    others.clear()
    pool.close()


def test_whoever_looks_at_it_keeps_it(device: Device) -> None:
    pool = FramePool(device, 32, 32, most=1)
    frame: DeviceFrame | None = pool.take().frame(90)
    assert frame is not None
    later = dataclasses.replace(frame, pts=180)
    frame = None
    assert pool.out == 1
    part = later.chroma[2:4, :, 1]
    del later
    gc.collect()
    assert pool.out == 1
    del part
    assert pool.out == 0
    pool.close()


def test_a_frame_says_what_it_is(device: Device) -> None:
    pool = FramePool(device, 34, 18)
    buffer = pool.take()
    plain = buffer.frame(5)
    assert (plain.width, plain.height, plain.pts) == (34, 18, 5)
    assert (plain.arrived_ns, plain.full_range, plain.bt709, plain.ready) == (0, False, False, None)
    stream = device.stream()
    whole = buffer.frame(6, 7, full_range=True, bt709=True, stream=stream)
    assert (whole.pts, whole.arrived_ns, whole.full_range, whole.bt709) == (6, 7, True, True)
    assert whole.ready is not None
    assert whole.ready.query()
    by_hand = DeviceFrame(whole.luma, whole.chroma, 8)
    by_hand.used_on(stream)  # not a pool's: nothing to say
    del plain, whole, by_hand, buffer
    stream.close()
    pool.close()


def test_a_buffer_is_not_written_before_its_readers_are_done(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader's copy waits in its stream; the next picture, on another, must not overtake it."""
    pool = FramePool(device, 32, 32, most=1)
    producer, reader, checker = device.stream(), device.stream(), device.stream()
    buffer = pool.take(producer)
    filled(buffer, 1)
    frame = buffer.frame(0, stream=producer)
    seen = device.array((32, 32), np.uint8)
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    reader.wait(frame.ready)
    reader.copy2d(seen.ptr, 32, frame.luma.ptr, frame.luma.strides[0], 32, 32)
    frame.used_on(reader)
    del frame, buffer
    again = pool.take(producer)
    two = device.array((48, again.pitch), np.uint8)
    producer.fill(two, 2)
    producer.copy2d(again.luma.ptr, again.pitch, two.ptr, again.pitch, 32, 48)
    producer.synchronize()
    assert (seen.download(checker) == 1).all()
    assert (again.luma.download(checker) == 2).all()
    del again
    for stream in (producer, reader, checker):
        stream.close()
    pool.close()


def test_without_a_stream_readers_are_waited_for_here(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = FramePool(device, 32, 32, most=1)
    reader, checker = device.stream(), device.stream()
    buffer = pool.take()
    filled(buffer, 1)
    seen = device.array((32, 32), np.uint8)
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    reader.copy2d(seen.ptr, 32, buffer.luma.ptr, buffer.pitch, 32, 32)
    buffer.used_on(reader)
    del buffer
    again = pool.take()
    filled(again, 2)
    assert (seen.download(checker) == 1).all()
    del again
    reader.close(), checker.close()
    pool.close()


def test_a_stream_does_not_wait_for_itself(device: Device, bare_driver: FakeDriver) -> None:
    pool = FramePool(device, 32, 32, most=1)
    stream = device.stream()
    for pts in range(3):
        frame = pool.take(stream).frame(pts, stream=stream)
        frame.used_on(stream)
        del frame
    assert bare_driver.called("cuStreamWaitEvent") == []
    assert alive(bare_driver) == 1
    stream.close()
    pool.close()


def test_closing_frees_what_is_there_and_the_rest_as_it_comes_back(
    device: Device, bare_driver: FakeDriver
) -> None:
    pool = FramePool(device, 32, 32)
    kept, gone = pool.take(), pool.take()
    filled(kept, 9)
    del gone
    pool.close()
    pool.close()
    assert alive(bare_driver) == 1
    stream = device.stream()
    assert (kept.luma.download(stream) == 9).all()
    stream.close()
    with pytest.raises(FrameError, match="closed"):
        pool.take()
    del kept
    assert alive(bare_driver) == 0


def test_full_memory_and_a_lost_gpu_cost_no_buffer(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = FramePool(device, 32, 32, most=1)
    monkeypatch.setenv("FAKE_CUDA_MEMORY", "4096")
    with pytest.raises(CudaError, match="CUDA_ERROR_OUT_OF_MEMORY"):
        pool.take()
    monkeypatch.delenv("FAKE_CUDA_MEMORY")
    stream, other = device.stream(), device.stream()
    pool.take().used_on(other)
    monkeypatch.setenv("FAKE_CUDA_FAIL", "cuStreamWaitEvent:719")
    with pytest.raises(DeviceLost):
        pool.take(stream)
    monkeypatch.delenv("FAKE_CUDA_FAIL")
    assert pool.out == 0
    assert pool.take(stream).width == 32
    stream.close(), other.close()
    pool.close()


def test_a_frame_that_ends_in_a_cycle_gives_its_memory_back_whole(
    device: Device, bare_driver: FakeDriver
) -> None:
    """The collector finalises all of a cycle, in any order: the buffer's memory must not be a part of it."""
    pool = FramePool(device, 16, 16, most=1)
    for _ in range(3):
        cycle: list[object] = [pool.take().frame(0)]
        cycle.append(cycle)
        del cycle
        gc.collect()
        again = pool.take()
        assert again.luma.ptr != 0
        filled(again, 7)
        del again
    assert alive(bare_driver) == 1
