"""NVDEC: how long a picture takes, whether it is libav's, and how many streams go at once."""

from __future__ import annotations

import itertools
import math
import threading
import time

from bench.error import BenchError
from bench.figures import spread
from bench.gpu_world import FPS, Found, Size, World, endless
from gpu.codec.decoder import LibavDecoder
from gpu.cuda.cuvid import caps_of
from gpu.cuda.driver import Stream
from gpu.cuda.frame import DeviceFrame
from gpu.cuda.nvdec import NvdecDecoder
from gpu.errors import RelensError
from gpu.types import Codec, Frame

KINDS: tuple[tuple[Codec, str], ...] = (
    ("h264", "baseline"),
    ("h264", "high"),
    ("hevc", ""),
    ("vp9", ""),
    ("av1", ""),
)
_READY_S = 20.0  # to open and warm up many decoders


def latency(world: World) -> Found:
    """From the unit handed in until its picture can be read on the GPU, back to back; H.264 also at the pace
    of a camera, when clocks fall between pictures."""
    found = Found()
    for codec, profile in KINDS:
        if caps_of(world.device, codec) is None:
            found.rows.append((f"NVDEC {codec}", f"the {world.device.info.name} does not decode it"))
            continue
        if world.fake and codec != "h264":
            continue
        for size in world.scale.sizes if codec == "h264" else world.scale.sizes[:1]:
            name = f"NVDEC {codec} {profile} {size[0]}x{size[1]}".replace("  ", " ")
            try:
                _one(world, found, name, codec, profile, size)
            except (BenchError, RelensError) as error:
                found.rows.append((name, f"not measured: {error}"))
    return found


def _one(world: World, found: Found, name: str, codec: Codec, profile: str, size: Size) -> None:
    scale, clip = world.scale, world.clip(codec, size, profile)
    kinds = [("back to back", scale.frames, 0.0)]
    if profile == "baseline":
        kinds.append((f"at {FPS} fps", scale.paced_frames, 1 / FPS))
    for how, count, apart_s in kinds:
        if world.left_s() < 30:
            found.rows.append((f"{name}, {how}", "not measured: no time left"))
            continue
        decoder = NvdecDecoder(world.device, codec, most=4)
        times, held = [], 0
        try:
            start = time.perf_counter()
            for n, unit in enumerate(itertools.islice(endless(clip), count)):
                time.sleep(max(0.0, start + n * apart_s - time.perf_counter()) if apart_s else 0.0)
                before = time.perf_counter()
                frames = decoder.decode(unit)
                for frame in frames:
                    assert frame.ready is not None
                    frame.ready.synchronize()
                times.append((time.perf_counter() - before) * 1e3)
                held += not frames
                del frames
        finally:
            decoder.close()
        told = spread(times[1:])
        found.data[f"{name}, {how}"] = {"ms": told, "first_ms": times[0], "held": held}
        said = f"p50 {told['p50']:.2f}, p95 {told['p95']:.2f}, first {times[0]:.0f} ms; held back: {held}"
        found.rows.append((f"{name}, {how}", said))
        if held:
            found.wrong.append(f"{name} holds {held} pictures back")


def against_libav(world: World) -> Found:
    """Every picture of each clip beside libav's: these codecs are exact by their standards."""
    found = Found()
    for codec, profile in KINDS:
        if caps_of(world.device, codec) is None or (world.fake and codec != "h264"):
            continue
        size = world.scale.sizes[0]
        name = f"NVDEC {codec} {profile} against libav, {size[0]}x{size[1]}".replace("  ", " ")
        try:
            equal, of, worst = _equal(world, codec, profile, size)
        except (BenchError, RelensError) as error:
            found.rows.append((name, f"not compared: {error}"))
            continue
        found.data[name] = {"equal": equal, "of": of, "worst_psnr_db": worst}
        found.rows.append(
            (
                name,
                f"{equal} of {of} pictures to the byte" + (f", worst {worst:.1f} dB" if equal < of else ""),
            )
        )
        if equal < of:
            found.wrong.append(f"{name}: {of - equal} pictures differ")
    return found


def _equal(world: World, codec: Codec, profile: str, size: Size) -> tuple[int, int, float]:
    """(equal, of, worst PSNR in dB); a picture that does not come out of NVDEC is not equal."""
    clip, libav = world.clip(codec, size, profile), LibavDecoder(codec)
    try:
        wanted = {frame.pts: frame for unit in clip for frame in libav.decode(unit)}
    finally:
        libav.close()
    if not wanted:
        raise BenchError("no picture came out of libav")
    equal, of, worst = 0, len(wanted), float("inf")
    nvdec, stream = NvdecDecoder(world.device, codec, most=4), world.device.stream()
    try:
        for unit in clip:
            for frame in nvdec.decode(unit):
                stream.wait(frame.ready)
                off = _mean_square(frame, wanted.pop(frame.pts, None), stream)
                equal += off == 0
                worst = min(worst, float("inf") if off == 0 else 10 * math.log10(255**2 / off))
    finally:
        nvdec.close()
        stream.close()
    return equal, of, worst


def _mean_square(frame: DeviceFrame, wanted: Frame | None, stream: Stream) -> float:
    luma, chroma = frame.luma.download(stream), frame.chroma.download(stream)
    if wanted is None or luma.shape != wanted.y.shape:
        return 255.0**2
    pairs = ((luma, wanted.y), (chroma[..., 0], wanted.u), (chroma[..., 1], wanted.v))
    total = sum(float(((a.astype(int) - b) ** 2).sum()) for a, b in pairs)
    return total / (1.5 * luma.size)


class _Turn(threading.Thread):
    """One of many streams."""

    def __init__(self, world: World, go: threading.Event, apart_s: float, offset_s: float) -> None:
        super().__init__(name="gpu-media-stream", daemon=True)
        self.ready, self.error, self.times = threading.Event(), "", list[float]()
        self._world, self._go, self._apart_s, self._offset_s = world, go, apart_s, offset_s

    def run(self) -> None:
        try:
            self._decode()
        except RelensError as error:
            self.error = str(error)
        finally:
            self.ready.set()

    def _decode(self) -> None:
        scale = self._world.scale
        decoder = NvdecDecoder(self._world.device, "h264", most=4)
        units = endless(self._world.clip("h264", scale.sizes[0]))
        try:
            decoder.decode(next(units))
            self.ready.set()
            if not self._go.wait(_READY_S):
                return
            start = time.perf_counter()
            for n, unit in enumerate(units):
                due = start + self._offset_s + n * self._apart_s
                if self._apart_s:
                    time.sleep(max(0.0, due - time.perf_counter()))
                before = due if self._apart_s else time.perf_counter()  # waiting for a turn counts
                if time.perf_counter() - start > scale.decode_s:
                    return
                for frame in decoder.decode(unit):
                    assert frame.ready is not None
                    frame.ready.synchronize()
                    self.times.append((time.perf_counter() - before) * 1e3)
        finally:
            decoder.close()


def at_once(world: World) -> Found:
    """Many decoders in threads of one process: as fast as they go, and each at the pace of a camera."""
    found, scale = Found(), world.scale
    world.clip("h264", scale.sizes[0])  # made before threads want it
    for count in scale.decoders:
        for how, apart_s in (("as fast as they go", 0.0), (f"at {FPS} fps each", 1 / FPS)):
            name = f"{count} decoders, h264 {scale.sizes[0][0]}x{scale.sizes[0][1]}, {how}"
            if world.left_s() < 60:
                found.rows.append((name, "not measured: no time left"))
                continue
            go = threading.Event()
            turns = [_Turn(world, go, apart_s, n * apart_s / count) for n in range(count)]
            for turn in turns:
                turn.start()
            for turn in turns:
                turn.ready.wait(_READY_S)
            busy, start = time.process_time(), time.perf_counter()
            go.set()
            for turn in turns:
                turn.join(scale.decode_s + _READY_S)
            took_s = time.perf_counter() - start
            cores = (time.process_time() - busy) / took_s
            times = [ms for turn in turns for ms in turn.times]
            errors = sorted({turn.error for turn in turns if turn.error})
            told, fps = spread(times), len(times) / took_s
            found.data[name] = {"fps": fps, "ms": told, "cpu_cores": cores, "errors": errors}
            said = f"{fps:.0f} frames a second in all, {cores:.1f} CPU cores; "
            said += f"p50 {told['p50']:.1f}, p95 {told['p95']:.1f} ms"
            found.rows.append((name, "; ".join([said, *errors[:1]])))
            found.wrong += [f"{name}: {error}" for error in errors]
    return found
