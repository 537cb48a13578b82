"""The path of a stream: chosen by mode, machine and model; said in words; and no GPU's module without one."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from moving import encoded
from streams import Recorder, wait_until

from gpu.cuda.report import GpuMachine, GpuReport, VideoCaps
from gpu.errors import DeviceError, FrameError, NoGpu
from gpu.media import Media, Mode
from gpu.models.passthrough import SPEC, PassthroughModel
from gpu.outlet import REFUSED_RUN
from gpu.path import HostEncoder, MediaPath, host_path, software
from gpu.pipeline import Pipeline, PipelineConfig
from gpu.types import EncodedFrame, Frame

L4 = GpuReport(
    0, "NVIDIA L4", (8, 9), 1, 1, "",
    (VideoCaps("h264", (8,), 4096, 4096),),
    (VideoCaps("h264", (8,), 4096, 4096), VideoCaps("av1", (8,), 8192, 8192)),
)  # fmt: skip
WITH, WITHOUT = GpuMachine(gpus=(L4,)), GpuMachine(problem="there is no NVIDIA device on this machine")
OLD = GpuMachine(gpus=(replace(L4, kernel_problem="too old for the kernels"),))
HOST, BOTH, DEVICE = (
    replace(SPEC, name=name, frames=frames)
    for name, frames in (("host", ("host",)), ("both", ("device", "host")), ("device", ("device",)))
)


@pytest.mark.parametrize(
    ("mode", "machine", "on_gpu"),
    [
        ("auto", WITH, True),
        ("gpu", WITH, True),
        ("cpu", WITH, False),
        ("auto", WITHOUT, False),
        ("auto", OLD, False),
    ],
)
def test_only_what_a_model_takes_decides_on_a_machine(mode: Mode, machine: GpuMachine, on_gpu: bool) -> None:
    media = Media(mode, machine)
    assert not media.route(HOST, "CPU", "h264").on_gpu
    assert media.route(BOTH, "", "h264").on_gpu == on_gpu
    assert media.encodes(HOST, ("h264", "hevc", "av1", "vp8")) == ("h264", "vp8")
    taken = ("h264", "av1", "vp8") if on_gpu else ("h264", "vp8")
    assert media.encodes(BOTH, ("h264", "hevc", "av1", "vp8")) == taken
    assert bool(media.problem) == (not on_gpu)
    assert media.path(HOST, "CPU", "h264").open_encoder is HostEncoder
    if not on_gpu:
        for path in (media.path(BOTH, "", "h264"), media.path(BOTH, "", "h264")):
            assert path.words.startswith("decode libav on the CPU")
            assert media.problem in path.words
        for ask in (lambda: media.path(DEVICE, "", "h264"), lambda: media.warm(DEVICE)):
            with pytest.raises(NoGpu, match=f"device runs on a GPU only.*{media.problem}"):
                ask()
    media.close()
    media.close()


def test_words_say_who_does_what_and_why() -> None:
    assert Media("auto", WITH).route(BOTH, "", "h264").words == (
        "decode NVDEC, edit CUDA on the NVIDIA L4, encode NVENC"
    )
    assert Media("auto", WITH).route(HOST, "CPU, OpenVINO", "h264").words == (
        "decode libav on the CPU, edit CPU, OpenVINO, encode libx264 on the CPU, because the model computes "
        "on the CPU, so pictures stay in its memory"
    )
    assert Media("cpu", WITH).route(BOTH, "", "vp8").words == (
        "decode libav on the CPU, edit on the CPU, encode libvpx on the CPU, because media is cpu: the GPU "
        "is not to be used"
    )
    assert Media().problem == "no GPU was looked for"


@pytest.mark.parametrize("machine", [WITHOUT, OLD])
def test_gpu_wants_one(machine: GpuMachine) -> None:
    with pytest.raises(NoGpu, match="media is gpu, and no GPU can be used") as refused:
        Media("gpu", machine)
    assert "relens doctor" in str(refused.value)
    assert isinstance(refused.value, DeviceError)


def test_a_gpu_that_cannot_be_opened_now_is_tried_again_with_the_next_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from gpu.cuda.driver import Device

    asked: list[int] = []

    def full(index: int) -> Device:
        asked.append(index)
        raise DeviceError("no memory for a context")

    monkeypatch.setattr(Device, "open", full)
    media = Media("auto", WITH)
    for _ in range(2):
        assert "no memory for a context" in media.path(BOTH, "", "h264").words
    assert (asked, media.problem) == ([0, 0], "")


def test_a_stream_on_the_cpu_opens_nothing_of_a_gpu() -> None:
    """Not even the modules that would."""
    script = (
        "import sys\n"
        "from gpu.media import Media\n"
        "from gpu.models.passthrough import PassthroughModel\n"
        "from gpu.pipeline import PipelineConfig\n"
        "from gpu.worker import Worker\n"
        "worker = Worker(PassthroughModel(), media=Media())\n"
        "worker.start(); worker.open(PipelineConfig(), None); worker.close()\n"
        "print([name for name in sys.modules if name.startswith('gpu.cuda.')])\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "['gpu.cuda.report', 'gpu.cuda.route']"


class Early(HostEncoder):
    """Writes down who is asked what."""

    asked: list[tuple[str, int]]

    def begin(self, frame: Frame) -> None:
        self.asked.append(("begin", frame.pts))


def one_stream(path: MediaPath, use: Callable[[Pipeline, Recorder], Any]) -> Recorder:
    sink = Recorder()
    pipeline = Pipeline(PassthroughModel(), PipelineConfig(), sink, lambda: None, path)
    pipeline.start()
    try:
        use(pipeline, sink)
    finally:
        pipeline.close()
    return sink


def test_an_encoder_hears_of_a_picture_as_soon_as_it_is_edited() -> None:
    asked: list[tuple[str, int]] = []

    def encoder(config: Any) -> Early:
        made = Early(config)
        made.asked = asked
        encode = made.encode

        def noted(frame: Frame, keyframe: bool = False) -> list[EncodedFrame]:
            asked.append(("encode", frame.pts))
            return encode(frame, keyframe)

        made.encode = noted
        return made

    def use(pipeline: Pipeline, sink: Recorder) -> None:
        for unit in encoded(3):
            pipeline.push(unit)
            wait_until(lambda: pipeline.ready)
            pipeline.serve()
            wait_until(lambda unit=unit: unit.pts in sink.pts)  # type: ignore[misc]

    one_stream(replace(host_path(), open_encoder=encoder), use)
    assert asked == [(what, unit.pts) for unit in encoded(3) for what in ("begin", "encode")]


def test_an_encoder_that_fails_in_the_beginning_ends_the_stream_alone() -> None:
    class Broken(HostEncoder):
        def begin(self, frame: Frame) -> None:
            raise DeviceError("the GPU is gone")

    def use(pipeline: Pipeline, sink: Recorder) -> None:
        pipeline.push(encoded(1)[0])
        wait_until(lambda: pipeline.ready)
        pipeline.serve()
        wait_until(lambda: pipeline.closed)

    sink = one_stream(replace(host_path(), open_encoder=Broken), use)
    assert [str(error) for error in sink.errors] == ["the GPU is gone"]


def test_an_encoder_that_refuses_every_picture_ends_the_stream_in_the_end() -> None:
    """Better than a picture that stands still for ever; one that takes a picture now and then goes on."""
    refuse = [True] * (REFUSED_RUN - 1) + [False] + [True] * REFUSED_RUN

    def encoder(config: Any) -> HostEncoder:
        made = HostEncoder(config)
        encode = made.encode

        def choosy(frame: Frame, keyframe: bool = False) -> list[EncodedFrame]:
            if refuse.pop(0):
                raise FrameError("no")
            return encode(frame, keyframe)

        made.encode = choosy
        return made

    def use(pipeline: Pipeline, sink: Recorder) -> None:
        for number, unit in enumerate(encoded(2 * REFUSED_RUN)):
            pipeline.push(unit)
            wait_until(lambda: pipeline.ready)
            pipeline.serve()
            wait_until(
                lambda n=number: len(sink.frames) + pipeline.stats().frame_errors > n  # type: ignore[misc]
            )
        wait_until(lambda: pipeline.closed)

    sink = one_stream(replace(host_path(), open_encoder=encoder), use)
    assert len(sink.frames) == 1
    assert [str(error) for error in sink.errors] == [
        "libx264 takes no picture any more: no; open the session again"
    ]


def test_names_of_who_does_it_on_the_cpu() -> None:
    assert (software("vp8"), software("h264")) == ("libvpx", "libx264")

    def use(pipeline: Pipeline, sink: Recorder) -> None:
        wait_until(lambda: pipeline.stats().decoder == "libav")
        assert pipeline.stats().encoder == "libx264"

    one_stream(host_path(), use)
