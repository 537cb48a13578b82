"""The full-size model with pictures in a fake GPU's memory: torch computes on the CPU, in that memory."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from moving import picture  # noqa: E402
from streams import wait_until  # noqa: E402

from gpu.cuda.arrays import DeviceArray  # noqa: E402
from gpu.cuda.driver import Device, Traffic  # noqa: E402
from gpu.cuda.frame import DeviceFrame, FramePool  # noqa: E402
from gpu.errors import DeviceError, NoMemory  # noqa: E402
from gpu.media import Media  # noqa: E402
from gpu.models.liveedit_canvas import Canvas, change_mask  # noqa: E402
from gpu.models.liveedit_device import DeviceCanvas  # noqa: E402
from gpu.models.liveedit_lane import HostLane  # noqa: E402
from gpu.types import Edit, Frame  # noqa: E402
from tests.gpu.cuda.fake import FakeDriver  # noqa: E402
from tests.gpu.cuda.fake_nvdec import Pcm, engine, pcm  # noqa: E402
from tests.gpu.cuda.fake_nvenc import nv12  # noqa: E402
from tests.gpu.cuda.gpu_streams import MACHINE, shown, stream  # noqa: E402
from tests.gpu.models.liveedit_fakes import tiny_model  # noqa: E402

__all__ = ["engine", "pcm"]  # fixtures

SIZE = (128, 72)
CANVAS = (112, 64)
RED = Edit(1, "paint everything red", transition_ms=0)


class FakeLane(HostLane):
    """Sees the fake GPU's memory as it is: the host's."""

    def __init__(self, device: Device) -> None:
        super().__init__()
        self.device, self.stream = device, device.stream()

    def tensor(self, array: DeviceArray) -> object:
        memory = (ctypes.c_char * array.nbytes).from_address(array.ptr)
        return torch.from_numpy(np.frombuffer(memory, array.dtype).reshape(array.shape))

    def close(self) -> None:
        self.stream.close()


@pytest.fixture
def lane(fake_driver: FakeDriver) -> Iterator[FakeLane]:
    device = Device.open()
    made = FakeLane(device)
    yield made
    made.close()
    device.close()


def upload(pool: FramePool, frame: Frame, lane: FakeLane, bt709: bool = False) -> DeviceFrame:
    buffer = pool.take()
    buffer.luma.upload(frame.y, lane.stream)
    buffer.chroma.upload(np.stack([frame.u, frame.v], axis=-1), lane.stream)
    return buffer.frame(frame.pts, frame.arrived_ns, frame.full_range, bt709, lane.stream)


def test_a_gpus_canvas_is_the_hosts(lane: FakeLane) -> None:
    came = [picture(i, *SIZE) for i in range(4)]
    pool = FramePool(lane.device, *SIZE)
    on_gpu = [upload(pool, frame, lane) for frame in came]
    canvas, host = DeviceCanvas(on_gpu[0], CANVAS, 4, lane), Canvas(*SIZE, CANVAS)
    for turn in range(3):  # directly, recorded as graphs, replayed
        shown_here, shown_there = host.onto(came), canvas.onto(on_gpu)
        assert (shown_there - shown_here).abs().max() < 2e-3, "float16"
        edited = torch.rand(shown_here.shape, generator=torch.Generator().manual_seed(turn))
        mask = change_mask(edited, shown_here)
        mask[..., :40] = 0
        strengths = [1.0, 0.6, 0.2, 0.0]
        wanted = host.over(came, edited, shown_here, mask, strengths)
        made = canvas.over(on_gpu, edited, shown_there, mask, strengths)
        for there, here, source in zip(made, wanted, came, strict=True):
            luma, chroma = there.luma.download(lane.stream), there.chroma.download(lane.stream)
            assert np.abs(luma.astype(int) - here.y).max() <= 1
            assert np.abs(chroma[..., 0].astype(int) - here.u).max() <= 1
            assert np.array_equal(luma[:, :40], source.y[:, :40])
            assert (there.pts, there.arrived_ns) == (source.pts, source.arrived_ns)
        del made, there
    canvas.close()
    canvas.close()
    pool.close()


def test_a_step_gives_frames_where_it_was_given_them(lane: FakeLane) -> None:
    pool = FramePool(lane.device, *SIZE, most=12)
    with tiny_model(lane=lane) as model:
        assert model.spec.frames == ("device", "host")
        state = model.open_state(*SIZE)
        chunk = [upload(pool, picture(i, *SIZE), lane, bt709=True) for i in range(4)]
        assert model.step(state, chunk) == chunk, "no edit, no copy"
        model.set_edit(state, RED)
        made = model.step(state, chunk)
        assert all(isinstance(frame, DeviceFrame) and frame.bt709 for frame in made)
        changed = made[0].luma.download(lane.stream).astype(int) - picture(0, *SIZE).y
        assert np.abs(changed).mean() > 2
        host = model.step(state, [picture(i, *SIZE) for i in range(4)])
        assert all(isinstance(frame, Frame) for frame in host)
        state.close()  # type: ignore[attr-defined]
    pool.close()


def test_memory_that_ends_in_the_driver_ends_the_stream(
    lane: FakeLane, fake_driver: FakeDriver, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = FramePool(lane.device, *SIZE)
    with tiny_model(lane=lane) as model:
        state = model.open_state(*SIZE)
        model.set_edit(state, RED)
        chunk = [upload(pool, picture(i, *SIZE), lane) for i in range(4)]
        monkeypatch.setenv("FAKE_CUDA_FAIL", "cuMemAlloc_v2:2")
        with pytest.raises(NoMemory, match="this stream ends"):
            model.step(state, chunk)
        monkeypatch.delenv("FAKE_CUDA_FAIL")
    pool.close()


def test_pictures_on_a_gpu_are_not_for_a_model_on_the_cpu(lane: FakeLane) -> None:
    pool = FramePool(lane.device, *SIZE)
    with tiny_model() as model:
        state = model.open_state(*SIZE)
        model.set_edit(state, RED)
        with pytest.raises(DeviceError, match="media to cpu"):
            model.step(state, [upload(pool, picture(0, *SIZE), lane)] * 4)
    pool.close()


def test_a_whole_stream_in_gpu_memory(fake_gpu: FakeDriver, pcm: Pcm) -> None:
    """From NVDEC to NVENC in chunks of four, edited and not: no picture crosses the bus."""
    media = Media("auto", MACHINE)
    units = [pcm.unit(nv12(i, 64, 48), i, pts=i * 3000) for i in range(16)]
    own = Device.open()
    with tiny_model(lane=FakeLane(own)) as model:
        model.ready_for(None, RED, 10)  # type: ignore[arg-type]
        with stream(model, media) as (pipeline, sink):
            for start in range(0, 16, 4):
                if start == 8:
                    pipeline.set_edit(RED)
                for unit in units[start : start + 4]:
                    pipeline.push(unit)
                wait_until(lambda start=start: len(sink.frames) == start + 4 or bool(sink.errors))  # type: ignore[misc]
            assert not sink.errors
            stats = pipeline.stats()
            assert media._device is not None
            assert media._device.traffic() == Traffic(0, 0)
        assert (stats.decoder, stats.encoder) == ("NVDEC", "NVENC")
        assert sink.applied == [(1, 8 * 3000)]
        seen = shown(sink.frames)
        apart = [np.abs(frame.y.astype(int) - nv12(i, 64, 48)[:48]).mean() for i, frame in enumerate(seen)]
        assert max(apart[:8]) < 2 < min(apart[8:])
    own.close()
    media.close()
