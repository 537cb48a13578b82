"""Order on the fake GPU: streams, events, captures, pinned memory, and waits that end."""

from __future__ import annotations

import ctypes
import gc
import threading
import time
from collections.abc import Iterator

import numpy as np
import pytest

from gpu.cuda.driver import (
    CudaError,
    Device,
    DeviceArray,
    DeviceLost,
    DeviceTimeout,
    Function,
    Stream,
    Traffic,
)
from gpu.cuda.module import Function as ModuleFunction
from gpu.errors import DeviceError
from tests.gpu.cuda.fake import FakeDriver

ELF = b"\x7fELF" + bytes(60)


@pytest.fixture
def device(bare_driver: FakeDriver) -> Iterator[Device]:
    opened = Device.open()
    yield opened
    opened.close()


@pytest.fixture
def add(device: Device) -> Function:
    return device.load(ELF).function("fake_add")


def plus(add: Function, stream: Stream, array: DeviceArray, delta: int) -> None:
    args = [ctypes.c_uint64(array.ptr), ctypes.c_uint(array.nbytes), ctypes.c_int(delta)]
    add.launch(stream, (1, 1, 1), (256, 1, 1), args)


def test_kernels_run_in_order(device: Device, add: Function) -> None:
    stream, array = device.stream(), device.array((5, 3), np.uint8)
    stream.fill(array, 7)
    plus(add, stream, array, 3)
    assert (array.download(stream) == 10).all()


def test_kernels_that_cannot_run(device: Device, add: Function) -> None:
    stream = device.stream()
    with pytest.raises(CudaError, match="CUDA_ERROR_NOT_FOUND"):
        add.module.function("no_such_kernel")
    for grid, block in (((0, 1, 1), (1, 1, 1)), ((1, 1, 1), (2048, 1, 1)), ((1, 70_000, 1), (1, 1, 1))):
        with pytest.raises(CudaError, match="CUDA_ERROR_INVALID_VALUE"):
            add.launch(stream, grid, block, [])
    with pytest.raises(CudaError, match=r"CUDA_ERROR_INVALID_IMAGE .*update NVIDIA's driver"):
        device.load(b"this is no image")


def test_a_function_keeps_its_module(bare_driver: FakeDriver, device: Device, add: Function) -> None:
    gc.collect()
    assert bare_driver.count("modules") == 1
    assert isinstance(add, ModuleFunction)


def test_a_kernel_that_touches_foreign_memory_loses_the_device(device: Device) -> None:
    stream, array = device.stream(), device.array((16,), np.uint8)
    freed = DeviceArray(device, array.ptr, (16,), np.uint8)
    assert array.base is not None
    array.base.close()  # type: ignore[attr-defined]
    with pytest.raises(DeviceLost, match="CUDA_ERROR_ILLEGAL_ADDRESS"):
        stream.fill(freed, 1)


def test_events_order_two_streams(
    bare_driver: FakeDriver, device: Device, add: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    producer, consumer = device.stream(), device.stream()
    first, second = device.array((8,), np.uint8), device.array((8,), np.uint8)
    producer.fill(first, 5)
    event = device.event()
    producer.record(event)
    producer.fill(first, 9)  # after the event: the consumer does not wait for it
    assert not event.query()
    consumer.wait(None)
    consumer.wait(event)
    consumer.copy(second, first)
    plus(add, consumer, second, 1)
    assert (second.download(consumer) == 6).all()
    assert event.query()
    producer.synchronize()


def test_what_does_not_wait_sees_what_was(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fake finds a missing wait: this is what makes the test above able to fail."""
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    producer, consumer = device.stream(), device.stream()
    first, second = device.array((8,), np.uint8), device.array((8,), np.uint8)
    producer.fill(first, 5)
    consumer.copy(second, first)
    assert (second.download(consumer) == 0xA5).all()
    producer.synchronize()


def test_an_event_never_recorded_is_done(device: Device) -> None:
    event = device.event()
    assert event.query()
    event.synchronize()


def test_elapsed_time_needs_timing(device: Device) -> None:
    stream, began, ended = device.stream(), device.event(timing=True), device.event(timing=True)
    stream.record(began)
    stream.record(ended)
    ended.synchronize()
    assert 0 <= ended.elapsed_ms(began) < 5000
    plain = device.event()
    stream.record(plain)
    with pytest.raises(CudaError):
        plain.elapsed_ms(began)


def test_a_stream_that_never_finishes(
    bare_driver: FakeDriver, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, array, event = device.stream(), device.array((8,), np.uint8), device.event()
    monkeypatch.setenv("FAKE_CUDA_STUCK", "1")
    stream.fill(array, 1)
    stream.record(event)
    assert not stream.query()
    for wait in (stream.synchronize, event.synchronize):
        with pytest.raises(
            DeviceTimeout, match=r"was not done after 0\.05 s: the GPU hangs or is overloaded"
        ):
            wait(0.05)
    monkeypatch.setattr("gpu.cuda.driver._DRAIN_S", 0.05)
    device.close()  # ends too, and frees nothing under work that may still run
    assert not bare_driver.called("cuMemFree_v2", "cuStreamDestroy_v2")
    assert not bare_driver.called("cuDevicePrimaryCtxRelease_v2")
    assert bare_driver.leaks().keys() >= {"memory", "streams", "events"}
    bare_driver.forgive()


def test_memory_under_a_hanging_gpu_is_not_freed(
    bare_driver: FakeDriver, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver would wait for the GPU before it frees, in whichever thread the collector runs."""
    stream, array, other = device.stream(), device.array((8,), np.uint8), device.array((8,), np.uint8)
    pinned = device.pinned((8,), np.uint8)
    monkeypatch.setenv("FAKE_CUDA_STUCK", "1")
    stream.fill(array, 1)
    with pytest.raises(DeviceTimeout):
        stream.synchronize(0.05)
    del array, pinned
    gc.collect()
    assert not bare_driver.called("cuMemFree_v2", "cuMemFreeHost")
    bare_driver.forgive()
    monkeypatch.delenv("FAKE_CUDA_STUCK")
    stream.synchronize()
    del other  # and once it works again, memory is freed
    assert len(bare_driver.called("cuMemFree_v2")) == 1
    bare_driver.forgive()


def test_a_wait_ends_when_the_work_does(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, array = device.stream(), device.array((8,), np.uint8)
    monkeypatch.setenv("FAKE_CUDA_STUCK", "1")
    stream.fill(array, 1)
    timer = threading.Timer(0.1, lambda: monkeypatch.delenv("FAKE_CUDA_STUCK"))
    timer.start()
    stream.synchronize(30)
    timer.join()
    assert (array.download(stream) == 1).all()


def test_a_device_lost_while_waiting(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    stream, array = device.stream(), device.array((8,), np.uint8)
    monkeypatch.setenv("FAKE_CUDA_STUCK", "1")
    stream.fill(array, 1)
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", "100")
    began = time.monotonic()
    with pytest.raises(DeviceLost):
        stream.synchronize(60)
    assert time.monotonic() - began < 30


def test_copies_between_pinned_and_device_memory(bare_driver: FakeDriver, device: Device) -> None:
    stream, there = device.stream(), device.array((4, 8), np.uint16)
    source, back = device.pinned((4, 8), np.uint16), device.pinned((32,), np.uint16)
    source.array[:] = np.arange(32).reshape(4, 8)
    stream.copy(there, source)
    other = device.alloc(64)
    stream.copy(other, there)
    stream.copy(back, other)
    stream.synchronize()
    assert (back.array == np.arange(32)).all()
    assert device.traffic() == Traffic(64, 64)
    assert (bare_driver.count("h2d"), bare_driver.count("d2h"), bare_driver.count("d2d")) == (64, 64, 64)
    stream.copy(back, there, 10)
    assert device.traffic().device_to_host_bytes == 74
    with pytest.raises(ValueError, match="both places are on the host"):
        stream.copy(back, source)
    with pytest.raises(ValueError, match="has gaps"):
        stream.copy(there[:, ::2], source)
    with pytest.raises(ValueError, match="has gaps"):
        stream.fill(there[:, ::2], 0)
    with pytest.raises(ValueError, match="cannot copy 65 bytes"):
        stream.copy(there, source, 65)
    with pytest.raises(ValueError, match="cannot copy 64 bytes"):
        stream.copy(there[:2], source)


def test_copies_put_off_read_pinned_memory_when_they_run(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on the device: page-locked memory must stay as it is until the stream has passed the copy."""
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    stream, there, source = device.stream(), device.array((4,), np.uint8), device.pinned((4,), np.uint8)
    source.array[:] = 1
    stream.copy(there, source)
    source.array[:] = 2
    assert (there.download(stream) == 2).all()


def test_copy2d_between_pitches(device: Device) -> None:
    stream = device.stream()
    a, b = device.array((3, 16), np.uint8), device.array((3, 32), np.uint8)
    a.upload(np.arange(48, dtype=np.uint8).reshape(3, 16), stream)
    stream.fill(b, 0)
    stream.copy2d(b.ptr + 2, 32, a.ptr, 16, 10, 3)
    expected = np.zeros((3, 32), np.uint8)
    expected[:, 2:12] = np.arange(48).reshape(3, 16)[:, :10]
    assert (b.download(stream) == expected).all()
    with pytest.raises(CudaError, match="CUDA_ERROR_INVALID_VALUE"):
        stream.copy2d(b.ptr, 8, a.ptr, 16, 10, 3)


def test_pinned_memory_lives_as_long_as_a_view(bare_driver: FakeDriver, device: Device) -> None:
    pinned = device.pinned((4, 4), np.float32)
    assert (pinned.array.shape, pinned.array.dtype, pinned.nbytes) == ((4, 4), np.float32, 64)
    assert pinned.array.ctypes.data == pinned.ptr
    row = pinned.array[1]
    del pinned
    assert bare_driver.leaks()["pinned"] == 1
    row[:] = 3
    del row
    assert "pinned" not in bare_driver.leaks()
    closed = device.pinned((2,), np.uint8)
    closed.close()
    closed.close()
    assert closed.array.size == 0
    assert "pinned" not in bare_driver.leaks()
    with pytest.raises(ValueError, match="every side must be at least 1"):
        device.pinned((0, 3), np.uint8)
    with pytest.raises(ValueError, match="at least one"):
        device.alloc(0)


def test_a_graph_replays_what_was_captured(bare_driver: FakeDriver, device: Device, add: Function) -> None:
    stream, array = device.stream(), device.array((8,), np.uint8)
    source, back = device.pinned((8,), np.uint8), device.pinned((8,), np.uint8)
    source.array[:] = 10
    with stream.capture() as capture:
        with pytest.raises(RuntimeError, match="not complete"):
            _ = capture.graph
        stream.copy(array, source)
        plus(add, stream, array, 1)
        plus(add, stream, array, 2)
        stream.copy(back, array)
    assert (bare_driver.count("launches"), device.traffic()) == (0, Traffic(0, 0)), "nothing was done yet"
    graph = capture.graph
    for value in (10, 20):
        source.array[:] = value
        graph.launch(stream)
        stream.synchronize()
        assert (back.array == value + 3).all()
    assert (bare_driver.count("launches"), device.traffic()) == (4, Traffic(16, 16))
    assert bare_driver.count("graphs") == 0, "the recording is let go once it can be launched"
    graph.close()
    assert bare_driver.count("execs") == 0


def test_a_second_stream_joins_a_capture(device: Device, add: Function) -> None:
    main, side = device.stream(), device.stream()
    array, fork, join = device.array((8,), np.uint8), device.event(), device.event()
    with main.capture() as capture:
        main.fill(array, 1)
        main.record(fork)
        side.wait(fork)
        plus(add, side, array, 5)
        side.record(join)
        main.wait(join)
    capture.graph.launch(main)
    assert (array.download(main) == 6).all()


def test_a_stream_that_does_not_come_back_to_its_capture(device: Device, add: Function) -> None:
    main, side = device.stream(), device.stream()
    array, fork = device.array((8,), np.uint8), device.event()

    def strays() -> None:
        with main.capture():
            main.record(fork)
            side.wait(fork)
            plus(add, side, array, 5)

    with pytest.raises(CudaError, match="CUDA_ERROR_STREAM_CAPTURE_UNJOINED"):
        strays()


def test_a_capture_that_is_spoilt(bare_driver: FakeDriver, device: Device) -> None:
    stream = device.stream()
    with pytest.raises(CudaError, match="STREAM_CAPTURE_UNSUPPORTED"), stream.capture():
        stream.synchronize()  # the host cannot wait for what is only recorded
    assert stream.capturing is None
    with pytest.raises(ZeroDivisionError), stream.capture():
        _ = 1 // 0
    assert bare_driver.count("graphs") == 0
    array = device.array((8,), np.uint8)
    stream.fill(array, 4)  # and the stream works on
    assert (array.download(stream) == 4).all()


def test_memory_may_be_collected_while_a_stream_captures(bare_driver: FakeDriver, device: Device) -> None:
    stream, array = device.stream(), device.array((8,), np.uint8)
    stray = device.alloc(64)
    with stream.capture() as capture:
        stream.fill(array, 4)
        del stray
    capture.graph.launch(stream)
    assert (array.download(stream) == 4).all()
    assert bare_driver.called("cuStreamBeginCapture_v2") == ["cuStreamBeginCapture_v2 2"]


def test_others_take_the_stream(device: Device) -> None:
    stream = device.stream(priority=-1)
    assert stream.__cuda_stream__() == (0, stream.handle)


def test_what_is_closed_is_refused(device: Device, add: Function) -> None:
    """A stream's handle of 0 would be the legacy stream: work would run there, unordered."""
    stream, other, array, event = (
        device.stream(),
        device.stream(),
        device.array((8,), np.uint8),
        device.event(),
    )
    stream.close()
    event.close()
    for call in (
        lambda: stream.fill(array, 1), lambda: stream.record(device.event()), lambda: array.download(stream),
        lambda: plus(add, stream, array, 1), stream.__cuda_stream__, stream.query, stream.synchronize,
    ):  # fmt: skip
        with pytest.raises(DeviceError, match="this stream is closed"):
            call()
    for call in (lambda: other.wait(event), event.query, lambda: other.record(event)):
        with pytest.raises(DeviceError, match="this event is closed"):
            call()
    add.module.close()
    with pytest.raises(DeviceError, match="this module is closed"):
        plus(add, other, array, 1)
