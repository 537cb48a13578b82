"""Whole streams on the fake GPU: a worker, what it is fed, and a model that edits in GPU memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

import numpy as np
from streams import Recorder, wait_until

from gpu.codec.decoder import LibavDecoder
from gpu.cuda.convert import Converter
from gpu.cuda.driver import DeviceArray, Stream
from gpu.cuda.frame import DeviceFrame, FramePool
from gpu.cuda.report import GpuMachine, GpuReport, VideoCaps
from gpu.media import Media
from gpu.models.base import EditModel, EditState
from gpu.models.passthrough import PassthroughModel
from gpu.pipeline import Pipeline, PipelineConfig
from gpu.types import U8, Edit, EncodedFrame, Frame, ModelSpec, Reading
from gpu.worker import Worker

W, H = 64, 48
NV12_BYTES = W * H * 3 // 2
CANVAS = (32, 24)
LEFT = 16  # columns of the canvas that the mask leaves alone


def _caps(*codecs: str) -> tuple[VideoCaps, ...]:
    return tuple(VideoCaps(codec, (8,), 4096, 4096) for codec in codecs)  # type: ignore[arg-type]


MACHINE = GpuMachine(
    "580.0", (13, 0), (GpuReport(0, "NVIDIA L4", (8, 9), 1, 1, "", _caps("h264"), _caps("h264", "av1")),)
)


class Recolour(PassthroughModel):
    """Gives each colour to the next on the right of its canvas, by kernels and copies on a stream of its own;
    takes device frames only."""

    def __init__(self) -> None:
        super().__init__()
        self._spec = replace(super().spec, name="recolour", frames=("device",))

    @property
    def spec(self) -> ModelSpec:
        return self._spec

    @property
    def device(self) -> str:
        return "CUDA"

    def open_state(self, width: int, height: int) -> EditState:
        return RecolourState(width, height)

    def set_edit(self, state: EditState, edit: Edit) -> Reading:
        assert isinstance(state, RecolourState)
        state.edit = edit
        return self.read(edit.prompt)

    def step(self, state: EditState, chunk: Sequence[DeviceFrame]) -> list[DeviceFrame]:
        assert isinstance(state, RecolourState)
        return [state.step(frame) for frame in chunk]


@dataclass(slots=True)
class RecolourState:
    """What it holds is made with the first frame, which says on which device."""

    width: int
    height: int
    edit: Edit = field(default_factory=Edit)
    parts: _Parts | None = None

    def step(self, frame: DeviceFrame) -> DeviceFrame:
        if self.parts is None:
            self.parts = _Parts(frame)
        return self.parts.edit(frame, self.edit.strength if self.edit.prompt else 0.0)


class _Parts:
    def __init__(self, frame: DeviceFrame) -> None:
        device = frame.luma.device
        self.stream = device.stream()
        self.pool = FramePool(device, frame.width, frame.height)
        self.converter = Converter(device, self.stream, frame.width, frame.height, CANVAS)
        self.edited = device.array((3, CANVAS[1], CANVAS[0]), np.float16)
        self.mask = device.array((CANVAS[1], CANVAS[0]), np.float16)
        self.mask.upload(mask(), self.stream)
        self.engine = _engine(self.converter.canvas, self.edited)  # no method of ours: that would be a cycle

    def edit(self, frame: DeviceFrame, strength: float) -> DeviceFrame:
        into = self.pool.take(self.stream)
        return self.converter.edit(frame, self.engine, self.edited, self.mask, strength, into)


def _engine(canvas: DeviceArray, edited: DeviceArray) -> Callable[[Stream], None]:
    def run(stream: Stream) -> None:
        for plane in range(3):
            stream.copy(edited[plane], canvas[(plane + 1) % 3])

    return run


def mask() -> np.ndarray[tuple[int, int], np.dtype[np.float16]]:
    values = np.zeros((CANVAS[1], CANVAS[0]), np.float16)
    values[:, LEFT:] = 1
    return values


class Slow(PassthroughModel):
    """Passes on what it is given after `on_step`."""

    def __init__(self, on_step: Callable[[], None], frames_per_chunk: int = 1) -> None:
        super().__init__(frames_per_chunk)
        self._on_step = on_step

    def step(self, state: EditState, chunk: Sequence[DeviceFrame]) -> list[DeviceFrame]:
        self._on_step()
        return super().step(state, chunk)


@contextmanager
def serving(model: EditModel, media: Media) -> Iterator[Worker]:
    worker = Worker(model, media=media)
    worker.start()
    try:
        yield worker
    finally:
        worker.close()


@contextmanager
def stream(
    model: EditModel, media: Media, config: PipelineConfig | None = None
) -> Iterator[tuple[Pipeline, Recorder]]:
    sink = Recorder()
    with serving(model, media) as worker:
        yield worker.open(config or PipelineConfig(bitrate_bps=4_000_000), sink), sink


def feed(pipeline: Pipeline, sink: Recorder, units: Sequence[EncodedFrame]) -> None:
    """One by one, each when the one before has come out: nothing is dropped."""
    for unit in units:
        before = len(sink.frames)
        pipeline.push(unit)
        wait_until(lambda before=before: len(sink.frames) > before or bool(sink.errors), f"unit {unit.pts}")  # type: ignore[misc]


def smooth(seed: int, width: int = W, height: int = H) -> U8:
    """Soft colours that differ from place to place: [H * 3 / 2, W], NV12."""
    rng = np.random.default_rng(seed)
    luma = rng.integers(70, 170, (height // 8, width // 8)).repeat(8, 0).repeat(8, 1)
    chroma = rng.integers(90, 166, (height // 16, width // 16, 2)).repeat(8, 0).repeat(8, 1)
    return np.concatenate((luma, chroma.reshape(height // 2, width))).astype(np.uint8)


def shown(units: Sequence[EncodedFrame]) -> list[Frame]:
    """What libav makes of an H.264 stream."""
    decoder = LibavDecoder("h264")
    found = [frame for unit in units for frame in decoder.decode(unit)]
    decoder.close()
    return found
