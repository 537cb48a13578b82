"""One stream's conversions on the fake driver: what they give, and that graphs give the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpu.cuda import twins
from gpu.cuda.convert import MOST_GRAPHS, Converter
from gpu.cuda.driver import Device, DeviceArray, DeviceLost, Stream
from gpu.cuda.frame import DeviceFrame, FramePool, Nv12
from gpu.errors import DeviceError
from tests.gpu.cuda.fake import FakeDriver

SIZE, CANVAS = (64, 48), (40, 24)
WORK = ("cuLaunchKernel", "cuGraphLaunch", "cuStreamBeginCapture_v2")


class World:
    """A device with one stream, a pool of frames, and a converter."""

    def __init__(self, dtype: Any = "float16") -> None:
        self.device = Device.open()
        self.stream = self.device.stream()
        self.pool = FramePool(self.device, *SIZE, most=12)
        self.converter = Converter(self.device, self.stream, *SIZE, CANVAS, dtype)

    def frame(self, seed: int, size: tuple[int, int] = SIZE, **colours: bool) -> DeviceFrame:
        """Noise in the middle of the gamut."""
        rng = np.random.default_rng(seed)
        pool = self.pool if size == SIZE else FramePool(self.device, *size)
        buffer = pool.take()
        buffer.luma.upload(rng.integers(60, 180, buffer.luma.shape).astype(np.uint8), self.stream)
        buffer.chroma.upload(rng.integers(100, 156, buffer.chroma.shape).astype(np.uint8), self.stream)
        return buffer.frame(pts=seed * 3000, arrived_ns=seed, stream=self.stream, **colours)

    def array(self, values: NDArray[Any]) -> DeviceArray:
        made = self.device.array(values.shape, values.dtype)
        made.upload(values, self.stream)
        return made

    def pixels(self, frame: DeviceFrame | Nv12) -> tuple[NDArray[Any], NDArray[Any]]:
        return frame.luma.download(self.stream), frame.chroma.download(self.stream)

    def close(self) -> None:
        self.converter.close()
        self.pool.close()
        self.device.close()


@pytest.fixture
def world(fake_driver: FakeDriver) -> Iterator[World]:
    made = World()
    yield made
    made.close()


def recoloured(world: World, edited: DeviceArray) -> Any:
    """An engine: each plane of the canvas becomes another of the result, by copies alone."""

    def engine(stream: Stream) -> None:
        for plane in range(3):
            stream.copy(edited[plane], world.converter.canvas[(plane + 1) % 3])

    return engine


def of_twins(
    world: World, frame: DeviceFrame, edited: NDArray[Any], mask: NDArray[Any] | None, strength: float
) -> tuple[NDArray[Any], NDArray[Any]]:
    luma, chroma = world.pixels(frame)
    shown = twins.nv12_to_rgb(luma, chroma, world.converter.place, frame.bt709, frame.full_range)
    return twins.composite(
        luma, chroma, edited, shown.astype(np.float16), mask, strength, world.converter.place, frame.bt709,
        frame.full_range,
    )  # fmt: skip


def close_to(found: tuple[NDArray[Any], NDArray[Any]], wanted: tuple[NDArray[Any], NDArray[Any]]) -> None:
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 1


def test_onto_the_canvas(world: World) -> None:
    frame = world.frame(1, bt709=True)
    found = world.converter.to_canvas(frame)
    assert found is world.converter.canvas
    wanted = twins.nv12_to_rgb(*world.pixels(frame), world.converter.place, True, False)
    assert np.abs(found.download(world.stream) - wanted).max() < 1e-3
    other = world.device.array((3, CANVAS[1], CANVAS[0]), np.float16)
    assert world.converter.to_canvas(frame, other) is other
    assert np.array_equal(other.download(world.stream), found.download(world.stream))


def test_bfloat16_travels_as_its_bits(fake_driver: FakeDriver) -> None:
    world = World("bfloat16")
    frame = world.frame(1)
    bits = world.converter.to_canvas(frame).download(world.stream)
    assert bits.dtype == np.uint16
    wanted = twins.nv12_to_rgb(*world.pixels(frame), world.converter.place, False, False)
    assert np.abs(twins.from_bfloat16(bits) - wanted).max() <= 2.0**-9 + 1e-4
    world.close()


def test_composite_is_its_twin_at_every_turn(world: World) -> None:
    """Warm-up, capture and replays, with new frames, targets, colours and strengths all the while."""
    rng = np.random.default_rng(0)
    edited = rng.uniform(0, 1, (3, CANVAS[1], CANVAS[0])).astype(np.float16)
    mask = rng.uniform(-0.5, 1, CANVAS[::-1]).clip(0, 1).astype(np.float16)
    on_device, its_mask = world.array(edited), world.array(mask)
    for turn in range(5):
        frame = world.frame(turn, bt709=turn % 2 == 1, full_range=turn >= 3)
        world.converter.to_canvas(frame)
        strength = 1.0 - turn / 8
        into = world.pool.take()
        out = world.converter.composite(frame, on_device, its_mask, strength, into)
        assert (out.pts, out.arrived_ns) == (frame.pts, frame.arrived_ns)
        assert (out.bt709, out.full_range) == (frame.bt709, frame.full_range)
        assert out.buffer is into
        assert out.ready is not None
        close_to(world.pixels(out), of_twins(world, frame, edited, mask, strength))
    assert world.converter.uncaptured == ""


def test_what_is_masked_out_keeps_its_bytes(world: World) -> None:
    edited = world.array(np.ones((3, CANVAS[1], CANVAS[0]), np.float16))
    nothing = world.array(np.zeros(CANVAS[::-1], np.uint8))
    for turn in range(3):
        frame = world.frame(turn)
        world.converter.to_canvas(frame)
        for mask, strength in ((nothing, 1.0), (None, 0.0)):
            out = world.converter.composite(frame, edited, mask, strength, world.pool.take())
            for found, wanted in zip(world.pixels(out), world.pixels(frame), strict=True):
                assert np.array_equal(found, wanted)


def test_the_whole_of_a_frame_as_one_graph(world: World, fake_driver: FakeDriver) -> None:
    """Equal to the same calls one by one; from the third frame on, one graph and one launch that binds it."""
    edited = world.device.array((3, CANVAS[1], CANVAS[0]), np.float16)
    engine, other = recoloured(world, edited), world.device.array((3, CANVAS[1], CANVAS[0]), np.float16)
    one_by_one = recoloured(world, other)
    for turn in range(5):
        frame, strength = world.frame(turn, bt709=turn % 2 == 1), 0.5 + turn / 10
        world.converter.to_canvas(frame)
        one_by_one(world.stream)
        wanted = world.pixels(world.converter.composite(frame, other, None, strength, world.pool.take()))
        fake_driver.reset()
        out = world.converter.edit(frame, engine, edited, None, strength, world.pool.take())
        calls = [line.split()[0] for line in fake_driver.called(*WORK)]
        if turn > 1:
            assert calls == ["cuLaunchKernel", "cuGraphLaunch"]
            # Nothing is allocated, made or waited for; nothing crosses the bus.
            assert not [
                line
                for line in fake_driver.log()
                if any(part in line for part in ("Alloc", "Create", "Synchronize", "Memcpy", "Query"))
            ]
        for found, same in zip(world.pixels(out), wanted, strict=True):
            assert np.array_equal(found, same)
    assert world.converter.uncaptured == ""


def test_new_addresses_and_sizes_get_graphs_of_their_own(world: World, fake_driver: FakeDriver) -> None:
    """At most MOST_GRAPHS are kept, and what comes out is right all the same."""
    rng, shape = np.random.default_rng(1), (3, CANVAS[1], CANVAS[0])
    pictures = [rng.uniform(0, 1, shape).astype(np.float16) for _ in range(MOST_GRAPHS + 2)]
    arrays = [world.array(picture) for picture in pictures]
    for turn in range(3):
        for picture, array in zip(pictures, arrays, strict=True):
            frame = world.frame(turn)
            world.converter.to_canvas(frame)
            out = world.converter.composite(frame, array, None, 1.0, world.pool.take())
            close_to(world.pixels(out), of_twins(world, frame, picture, None, 1.0))
            assert fake_driver.count("execs") <= MOST_GRAPHS
    for size in ((96, 54), SIZE, (30, 70)):
        pool = FramePool(world.device, *size)
        for turn in range(3):
            frame = world.frame(turn, size)
            world.converter.to_canvas(frame)
            out = world.converter.composite(frame, arrays[0], None, 1.0, pool.take())
            assert (world.converter.place.width, world.converter.place.height) == size
            close_to(world.pixels(out), of_twins(world, frame, pictures[0], None, 1.0))
        pool.close()


def test_an_engine_that_cannot_be_captured_is_called_each_time(world: World) -> None:
    edited = world.device.array((3, CANVAS[1], CANVAS[0]), np.float16)
    within, calls = recoloured(world, edited), 0

    def waits(stream: Stream) -> None:
        nonlocal calls
        calls += 1
        within(stream)
        stream.synchronize()

    frame = world.frame(3)
    outs = [
        world.pixels(world.converter.edit(frame, waits, edited, None, 1.0, world.pool.take()))
        for _ in range(4)
    ]
    assert calls == 5  # the second turn's capture failed and was done again
    assert "STREAM_CAPTURE" in world.converter.uncaptured
    for out in outs[1:]:
        for found, same in zip(out, outs[0], strict=True):
            assert np.array_equal(found, same)
    wanted = edited.download(world.stream)
    close_to(outs[0], of_twins(world, frame, wanted, None, 1.0))


def test_an_engine_that_fails_leaves_the_converter_usable(world: World) -> None:
    edited = world.device.array((3, CANVAS[1], CANVAS[0]), np.float16)
    engine, fails = recoloured(world, edited), [False, True, True, False]  # captured, and again without

    def sometimes(stream: Stream) -> None:
        if fails.pop(0):
            raise RuntimeError("no such weights")
        engine(stream)

    frame = world.frame(4)
    first = world.pixels(world.converter.edit(frame, sometimes, edited, None, 1.0, world.pool.take()))
    with pytest.raises(RuntimeError, match="no such weights"):
        world.converter.edit(frame, sometimes, edited, None, 1.0, world.pool.take())
    again = world.pixels(world.converter.edit(frame, sometimes, edited, None, 1.0, world.pool.take()))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))


def test_an_engine_of_another_library_that_cannot_be_captured_is_called_directly(world: World) -> None:
    """CuPy and torch raise errors of their own inside a capture."""
    edited = world.device.array((3, CANVAS[1], CANVAS[0]), np.float16)
    within = recoloured(world, edited)

    def foreign(stream: Stream) -> None:
        if stream.capturing is not None:
            raise RuntimeError("operation not permitted when stream is capturing")
        within(stream)

    frame = world.frame(6)
    outs = [
        world.pixels(world.converter.edit(frame, foreign, edited, None, 1.0, world.pool.take()))
        for _ in range(4)
    ]
    assert "not permitted" in world.converter.uncaptured
    for out in outs[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(out, outs[0], strict=True))


def test_another_streams_frame_is_waited_for_and_given_back_in_order(
    world: World, fake_driver: FakeDriver
) -> None:
    producer, frame = world.device.stream(), world.frame(5)
    assert frame.buffer is not None
    late = frame.buffer.frame(frame.pts, stream=producer)
    fake_driver.reset()
    world.converter.to_canvas(late)
    log = fake_driver.log()
    waits = next(at for at, line in enumerate(log) if line.startswith("cuStreamWaitEvent"))
    launch = next(at for at, line in enumerate(log) if line.startswith("cuLaunchKernel"))
    used = next(at for at, line in enumerate(log) if line.startswith("cuEventRecord"))
    assert waits < launch < used


def test_work_of_a_slow_producer_is_in_the_result(
    fake_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each stream's work is done as late as can be: what does not wait for it sees the frame before."""
    world = World()
    producer, frame, bright = world.device.stream(), world.frame(1), world.frame(2)
    edited = world.array(np.full((3, CANVAS[1], CANVAS[0]), 0.75, np.float16))
    wanted = world.pixels(bright)
    buffer = frame.buffer
    assert buffer is not None
    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    for turn in range(3):
        for to, from_ in ((buffer.luma, bright.luma), (buffer.chroma, bright.chroma)):
            producer.copy2d(to.ptr, to.strides[0], from_.ptr, from_.strides[0], SIZE[0], to.shape[0])
        late = buffer.frame(turn, stream=producer)
        world.converter.to_canvas(late)
        out = world.converter.composite(late, edited, None, 0.0, world.pool.take())
        assert out.ready is not None
        consumer = world.device.stream()
        consumer.wait(out.ready)
        assert np.array_equal(out.luma.download(consumer), wanted[0])
        assert np.array_equal(out.chroma.download(consumer), wanted[1])
        producer.copy2d(  # the frame before, again
            buffer.luma.ptr, buffer.pitch, world.converter.canvas.ptr, SIZE[0], SIZE[0], 8
        )  # fmt: skip
        producer.synchronize()
    world.close()


@pytest.mark.parametrize("what", ["canvas", "composite"])
def test_a_frame_let_go_is_read_before_it_is_written_again(
    fake_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """The pool lends its only buffer to a quick producer while the conversion has not run yet."""
    world = World()
    one, producer = FramePool(world.device, *SIZE, most=1), world.device.stream()
    edited = world.array(np.full((3, CANVAS[1], CANVAS[0]), 0.5, np.float16))
    bright = world.frame(9)
    buffer = one.take()
    for ours, theirs in ((buffer.luma, bright.luma), (buffer.chroma, bright.chroma)):
        ours.upload(theirs.download(world.stream), world.stream)
    frame = buffer.frame(0, stream=world.stream)
    world.converter.to_canvas(bright)
    wanted = world.converter.canvas.download(world.stream)
    world.stream.fill(world.converter.canvas, 0)
    world.stream.synchronize()

    monkeypatch.setenv("FAKE_CUDA_DEFERRED", "1")
    into = world.pool.take()
    if what == "canvas":
        world.converter.to_canvas(frame)
    else:
        out = world.converter.composite(frame, edited, None, 0.0, into)
    del frame, buffer, ours
    again = one.take(producer)
    producer.copy2d(again.luma.ptr, again.pitch, edited.ptr, SIZE[0], SIZE[0], SIZE[1])
    producer.synchronize()
    if what == "canvas":
        assert np.array_equal(world.converter.canvas.download(world.stream), wanted)
    else:
        assert np.array_equal(out.luma.download(world.stream), bright.luma.download(world.stream))
    one.close()
    world.close()


def test_from_the_canvas_itself(world: World) -> None:
    frame = world.frame(6, CANVAS, full_range=True)
    world.converter.to_canvas(frame)
    pool = FramePool(world.device, *CANVAS)
    out = world.converter.from_canvas(world.converter.canvas, frame, pool.take())
    rgb = world.converter.canvas.download(world.stream)
    close_to(world.pixels(out), twins.rgb_to_nv12(rgb, False, True))
    assert out.full_range
    pool.close()


def test_refusals(world: World) -> None:
    frame, edited = world.frame(7), world.array(np.zeros((3, CANVAS[1], CANVAS[0]), np.float16))
    other = FramePool(world.device, 32, 32)
    with pytest.raises(ValueError, match="the target has 32x32 pixels, the source 64x48"):
        world.converter.composite(frame, edited, None, 1.0, other.take())
    with pytest.raises(ValueError, match=r"strength 2\.0"):
        world.converter.composite(frame, edited, None, 2.0, world.pool.take())
    with pytest.raises(ValueError, match="dtype 'float32': float16 or bfloat16"):
        Converter(world.device, world.stream, *SIZE, CANVAS, "float32")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="the same memory"):
        world.converter.composite(frame, world.converter.canvas, None, 1.0, world.pool.take())
    other.close()
    world.converter.close()
    with pytest.raises(DeviceError, match="this converter is closed"):
        world.converter.to_canvas(frame)
    with pytest.raises(DeviceError, match="this converter is closed"):
        world.converter.from_canvas(edited, frame, world.pool.take())


@pytest.mark.parametrize("after", range(1, 16, 2))
def test_a_lost_gpu_is_told(fake_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch, after: int) -> None:
    """At whatever call, also inside a capture: as what it is, not as something that cannot be captured."""
    world = World()
    frame, edited = world.frame(8), world.array(np.zeros((3, CANVAS[1], CANVAS[0]), np.float16))
    world.converter.to_canvas(frame)
    buffers = [world.pool.take() for _ in range(3)]
    world.converter.composite(frame, edited, None, 1.0, buffers[0])
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", str(after))

    def go_on() -> None:
        for buffer in buffers[1:]:
            world.converter.composite(frame, edited, None, 1.0, buffer)

    with pytest.raises(DeviceLost):
        go_on()
    assert world.converter.uncaptured == ""
    world.close()
