"""The whole way of a frame on a GPU: bytes over the bus, the encoder, and memory over many frames."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np

from bench.figures import spread
from bench.gpu_world import TICKS, Found, Size, World, endless, moving
from gpu.codec.base import EncoderConfig
from gpu.cuda.convert import Converter
from gpu.cuda.driver import Stream
from gpu.cuda.frame import FramePool
from gpu.cuda.nvdec import NvdecDecoder
from gpu.cuda.nvenc_caps import count_sessions, encoder_caps
from gpu.cuda.nvenc_or_host import NvencOrHost
from gpu.cuda.to_device import Uploader
from gpu.errors import DeviceError, RelensError
from gpu.types import EncodedFrame, Frame

TWO_HOURS = 172_800  # frames at 24 a second


class Way:
    """One stream's: decoded, put on a canvas, edited by copies where the mask says so, laid over, encoded."""

    def __init__(self, world: World, size: Size, canvas: Size) -> None:
        device = world.device
        self.stream = device.stream()
        self.decoder = NvdecDecoder(device, "h264", most=6)
        self.converter = Converter(device, self.stream, *size, canvas)
        self.pool = FramePool(device, *size, most=6)
        self.encoder = NvencOrHost(device, EncoderConfig(bitrate_bps=4_000_000))
        self.edited = device.array((3, canvas[1], canvas[0]), "f2")
        self.mask = device.array((canvas[1], canvas[0]), "u1")
        half = np.zeros((canvas[1], canvas[0]), np.uint8)
        half[:, canvas[0] // 2 :] = 255
        self.mask.upload(half, self.stream)
        self.engine = self._copies

    def _copies(self, stream: Stream) -> None:
        for plane in range(3):
            stream.copy(self.edited[plane], self.converter.canvas[(plane + 1) % 3])

    def go(self, unit: EncodedFrame) -> tuple[int, list[float]]:
        """(bytes out, milliseconds to decode, edit and encode; each waited for)."""
        start = time.perf_counter()
        out = 0
        for frame in self.decoder.decode(unit):
            assert frame.ready is not None
            frame.ready.synchronize()
            decoded = time.perf_counter()
            into = self.pool.take(self.stream)
            edited = self.converter.edit(frame, self.engine, self.edited, self.mask, 1.0, into)
            self.stream.synchronize()
            done = time.perf_counter()
            out += sum(len(sent.data) for sent in self.encoder.encode(edited))
            end = time.perf_counter()
            return out, [(b - a) * 1e3 for a, b in ((start, decoded), (decoded, done), (done, end))]
        return 0, []

    def close(self) -> None:
        for part in (self.encoder, self.decoder, self.converter, self.pool, self.stream):
            part.close()


def over_the_bus(world: World) -> Found:
    """Bytes of pictures between host and device, and the time of each part of a frame's way."""
    found, device = Found(), world.device
    for size in world.scale.sizes:
        way, times, frames = Way(world, size, world.scale.canvas), list[list[float]](), 0
        before = device.traffic()
        try:
            for _, unit in zip(range(world.scale.frames), endless(world.clip("h264", size)), strict=False):
                _, took = way.go(unit)
                if took:
                    frames += 1
                    times.append(took)
            because = way.encoder.because
        finally:
            way.close()
        after, name = device.traffic(), f"{size[0]}x{size[1]}"
        down = (after.device_to_host_bytes - before.device_to_host_bytes) / max(1, frames)
        up = (after.host_to_device_bytes - before.host_to_device_bytes) / max(1, frames)
        wanted = size[0] * size[1] * 3 // 2 if because else 0
        by = "libx264" if because else "NVENC"
        found.data[name] = {
            "down_bytes": down,
            "up_bytes": up,
            "wanted_down_bytes": wanted,
            "encoder": by,
            "because": because,
        }
        found.rows.append(
            (
                f"bytes a frame over the bus, {name}, {by}",
                f"up {up:.0f}, down {down:.0f} (one NV12 picture: {size[0] * size[1] * 3 // 2})",
            )
        )
        if (up, down) != (0, wanted):
            found.wrong.append(f"{name}: {up:.0f} B up and {down:.0f} B down a frame, not 0 and {wanted}")
        for part, values in zip(
            ("decode", "convert, edit, lay over", f"encode by {by}"),
            zip(*times[5:], strict=True),
            strict=False,
        ):
            told = spread(values)
            found.data[name][part] = told
            found.rows.append((f"{part}, {name}", f"p50 {told['p50']:.2f}, p95 {told['p95']:.2f} ms"))
    return found


def encoders(world: World) -> Found:
    """What NVENC has, its sessions, and that the bitrate moves without a keyframe; else libx264."""
    found, device = Found(), world.device
    try:
        caps = encoder_caps(device)
    except DeviceError as error:
        caps = []
        found.rows.append(("NVENC", f"cannot be asked: {error}"))
    codecs = (
        ", ".join(cap.codec for cap in caps)
        or f"none on the {device.info.name}: libx264, with one page-locked copy"
    )
    found.rows.append(("NVENC", codecs))
    found.data["codecs"] = [cap.codec for cap in caps]
    if caps:
        count, why = count_sessions(device, 16)
        found.data["sessions"] = {"count": count, "why": why}
        found.rows.append(("NVENC sessions, of 16 tried", f"{count}{f': {why}' if why else ''}"))
    for size in world.scale.sizes:
        for codec in [cap.codec for cap in caps] or ["h264"]:
            _bitrate(world, found, size, EncoderConfig(codec, 4_000_000, max_bps=8_000_000))
    return found


def _bitrate(world: World, found: Found, size: Size, config: EncoderConfig) -> None:
    count = world.scale.frames // 2
    stream = world.device.stream()
    encoder, uploader = NvencOrHost(world.device, config), Uploader(world.device, stream, most=4)
    pictures, times, sizes, keys = moving(*size, min(30, count)), list[float](), list[int](), list[int]()
    try:
        for n in range(2 * count):
            if n == count:
                encoder.set_bitrate(1_000_000)
            source = pictures[n % len(pictures)]
            frame = uploader.upload(Frame(source.y, source.u, source.v, n * TICKS))
            stream.synchronize()
            before = time.perf_counter()
            [unit] = encoder.encode(frame)
            times.append((time.perf_counter() - before) * 1e3)
            sizes.append(len(unit.data))
            keys += [n] if unit.is_keyframe else []
        because = encoder.because
    finally:
        encoder.close()
        uploader.close()
        stream.close()
    by, told = "libx264" if because else "NVENC", spread(times[1:])
    name = f"{by} {config.codec} {size[0]}x{size[1]}"
    rates = [
        sum(part) / len(part) * 8 * 30 / 1e6 for part in (sizes[count // 2 : count], sizes[-count // 2 :])
    ]
    found.data[name] = {"ms": told, "keyframes_at": keys, "mbps": rates}
    moved = f"{rates[0]:.1f} Mbit/s, told 1.0: {rates[1]:.1f}; keyframes at {keys}"
    found.rows.append((name, f"p50 {told['p50']:.2f}, p95 {told['p95']:.2f} ms; {moved}"))
    if keys != [0]:
        found.wrong.append(f"{name}: keyframes at {keys}, only the first was asked for")


def _rss_bytes() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class _Runner(threading.Thread):
    def __init__(self, world: World, stop: threading.Event, most: int) -> None:
        super().__init__(name="gpu-media-loop", daemon=True)
        self.frames, self.error = 0, ""
        self._world, self._stop_at, self._most = world, stop, most

    def run(self) -> None:
        try:
            way = Way(self._world, self._world.scale.loop_size, self._world.scale.loop_size)
            try:
                for unit in endless(self._world.clip("h264", self._world.scale.loop_size)):
                    if self._stop_at.is_set() or self.frames >= self._most:
                        return
                    way.go(unit)
                    self.frames += 1
            finally:
                way.close()
        except RelensError as error:
            self.error = str(error)


def long_run(world: World, minutes: float) -> Found:
    """As many frames as two hours have, or as the minutes allow, over several streams: the slope of memory,
    by least squares, without the first quarter."""
    found, scale = Found(), world.scale
    seconds = min(60 * minutes, max(0.0, world.left_s() - 15))
    stop, samples, start = threading.Event(), list[tuple[int, int, int]](), time.monotonic()
    world.clip("h264", scale.loop_size)
    runners = [_Runner(world, stop, TWO_HOURS // scale.loop_streams) for _ in range(scale.loop_streams)]
    for runner in runners:
        runner.start()
    while any(runner.is_alive() for runner in runners) and time.monotonic() - start < seconds:
        stop.wait(max(0.05, seconds / 100))
        free, total = world.device.memory()
        samples.append((sum(runner.frames for runner in runners), total - free, _rss_bytes()))
    took_s = time.monotonic() - start
    stop.set()
    for runner in runners:
        runner.join(15)
    frames, errors = sum(runner.frames for runner in runners), sorted({r.error for r in runners if r.error})
    kept = np.array(samples[len(samples) // 4 :], np.float64)
    slopes = [float("nan")] * 2
    if len(kept) >= 3 and np.ptp(kept[:, 0]) > 0:
        slopes = [float(np.polyfit(kept[:, 0], kept[:, n], 1)[0]) * TWO_HOURS / 1e6 for n in (1, 2)]
    found.data |= {
        "frames": frames,
        "seconds": took_s,
        "device_mb_two_hours": slopes[0],
        "host_mb_two_hours": slopes[1],
        "samples": samples,
        "errors": errors,
    }
    size = f"{scale.loop_size[0]}x{scale.loop_size[1]}"
    found.rows.append(
        (
            f"long loop, {scale.loop_streams} streams of {size}",
            f"{frames} frames of {TWO_HOURS} in {took_s:.0f} s",
        )
    )
    found.rows.append(
        ("memory's slope in two hours' frames", f"device {slopes[0]:+.1f} MB, host {slopes[1]:+.1f} MB")
    )
    found.wrong += errors
    return found
