"""The CUDA kernels on a GPU: each against its NumPy twin, and its time against what the memory allows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.gpu_world import Found, Size, World, gpu_ms
from gpu.cuda import twins
from gpu.cuda.convert import Converter
from gpu.cuda.driver import Device, DeviceArray, Stream
from gpu.cuda.frame import FramePool
from gpu.cuda.kernels import BINDING_BYTES, Kernels
from gpu.cuda.place import Place
from gpu.cuda.planes import Colours, Planes, half

Host = tuple[NDArray[Any], NDArray[Any]]


class _Bed:
    """A stream, the kernels, and arrays on the device."""

    def __init__(self, device: Device) -> None:
        self.device, self.stream = device, device.stream()
        self.run = Kernels.load(device)

    def array(self, values: NDArray[Any]) -> DeviceArray:
        made = self.device.array(values.shape, values.dtype)
        made.upload(values, self.stream)
        return made

    def blank(self, shape: tuple[int, ...], dtype: Any) -> DeviceArray:
        return self.device.array(shape, dtype)

    def nv12(self, size: Size, gap: int = 0, dtype: Any = "u1") -> Planes:
        """Planes whose rows lie `gap` bytes apart."""
        (w, h), item = size, np.dtype(dtype).itemsize
        rows, pitches = (h, half(h)), (w * item + gap, half(w) * 2 * item + gap)
        memory = [self.device.array((r, pitch), "u1") for r, pitch in zip(rows, pitches, strict=True)]
        luma = DeviceArray(self.device, memory[0].ptr, (h, w), dtype, (pitches[0], item), memory[0])
        shape = (half(h), half(w), 2)
        return Planes(
            luma,
            DeviceArray(self.device, memory[1].ptr, shape, dtype, (pitches[1], 2 * item, item), memory[1]),
        )

    def filled(self, values: Host, gap: int = 0) -> Planes:
        size = values[0].shape[1], values[0].shape[0]
        made = self.nv12(size, gap, values[0].dtype)
        for plane, samples in zip(made, values, strict=True):
            plane.upload(samples, self.stream)
        return made

    def host(self, planes: Planes) -> Host:
        return planes.luma.download(self.stream), planes.chroma.download(self.stream)


def _sides(rng: Any) -> Size:
    return int(rng.integers(1, 200)), int(rng.integers(1, 200))


def _noise(rng: Any, size: Size) -> Host:
    w, h = size
    return rng.integers(0, 256, (h, w), np.uint8), rng.integers(0, 256, (half(h), half(w), 2), np.uint8)


def _off(found: Host, wanted: Host) -> float:
    return float(max(np.abs(a.astype(int) - b.astype(int)).max() for a, b in zip(found, wanted, strict=True)))


def _coded(values: NDArray[Any], bf16: bool) -> NDArray[Any]:
    return twins.to_bfloat16(values) if bf16 else values.astype(np.float16)


def _read(codes: NDArray[Any]) -> NDArray[np.float64]:
    return (codes if codes.dtype == np.float16 else twins.from_bfloat16(codes)).astype(np.float64)


def _compared(bed: _Bed, rng: Any, size: Size, to: Size, bf16: bool, colours: Colours) -> dict[str, float]:
    """How far each kernel is from its twin, in units of what it may be (1 LSB in bytes; half a step of the
    canvas' dtype and 1e-4)."""
    fit = ("pad", "crop", "stretch")[int(rng.integers(3))]
    place, gap = Place.of(*size, to, fit), int(rng.choice([0, 2, 38]))  # type: ignore[arg-type]
    host, stream, run = _noise(rng, size), bed.stream, bed.run
    source, target, binding = bed.filled(host, gap), bed.nv12(size, gap), bed.blank((BINDING_BYTES,), "u1")
    dtype, limit = (np.uint16, 2.0**-9 + 1e-4) if bf16 else (np.float16, 2.0**-12 + 1e-4)
    shape = (3, to[1], to[0])
    found = {}

    strength = float(rng.uniform(0, 1))
    run.bind(stream, binding, source, target, colours, strength)
    rgb = bed.blank(shape, dtype)
    run.nv12_to_rgb(stream, binding, rgb, place)
    shown = _read(rgb.download(stream))
    found["nv12_to_rgb"] = float(np.abs(shown - twins.nv12_to_rgb(*host, place, *colours)).max()) / limit

    edited, amount = _coded(rng.uniform(-0.1, 1.1, shape), bf16), rng.uniform(-0.5, 1.2, shape[1:]).clip(0, 1)
    mask, change, kept = (amount * 255).astype(np.uint8), bed.blank(shape, "f2"), bed.blank(shape[1:], "u1")
    made = bed.array(edited), bed.array(mask)
    run.edit_change(stream, binding, made[0], rgb, made[1], change, kept, place)
    run.composite(stream, binding, change, kept, place)
    wanted = twins.composite(*host, _read(edited), shown, mask / 255, strength, place, *colours)
    found["edit_change, composite"] = _off(bed.host(target), wanted)

    back = bed.nv12(to, gap)
    run.rgb_to_nv12(stream, made[0], back, colours)
    found["rgb_to_nv12"] = _off(bed.host(back), twins.rgb_to_nv12(_read(edited), *colours))

    run.resize_nv12(stream, source, back)
    small = twins.to_bytes(twins.resize(host[1], half(to[0]), half(to[1]), 0.25))
    found["resize_nv12"] = _off(bed.host(back), (twins.to_bytes(twins.resize(host[0], *to)), small))

    other = bed.blank((3, size[1], size[0]), dtype)
    run.resize_planes(stream, rgb, other)
    again = np.stack([twins.resize(plane, *size) for plane in shown])
    found["resize_planes"] = float(np.abs(_read(other.download(stream)) - again).max()) / limit

    wide = [((plane.astype(np.uint16) << 8 | plane) & 0xFFC0).astype(np.uint16) for plane in host]
    run.p016_to_nv12(stream, *bed.filled((wide[0], wide[1]), gap), target, 10, colours.full_range)
    full = colours.full_range
    narrow = [twins.p016_to_bytes(p, 10, full, chroma=n > 0) for n, p in enumerate(wide)]
    found["p016_to_nv12"] = _off(bed.host(target), (narrow[0], narrow[1]))

    y, u, v = (bed.blank(s, "u1") for s in (host[0].shape, host[1].shape[:2], host[1].shape[:2]))
    run.nv12_to_i420(stream, source, y, u, v)
    run.i420_to_nv12(stream, y, u, v, target)
    planar = np.stack([u.download(stream), v.download(stream)], axis=-1)
    exact = _off((y.download(stream), planar), host) + _off(bed.host(target), host)
    found["nv12_to_i420, i420_to_nv12"] = 2 * exact  # exact, so that 1 is beyond what may be
    return found


def against_twins(world: World) -> Found:
    """Every kernel on the GPU at random sizes, odd ones too, all colours and dtypes."""
    bed, rng, worst, cases = _Bed(world.device), np.random.default_rng(11), dict[str, float](), 0
    ends = time.monotonic() + min(45.0, world.left_s())
    big = world.scale.sizes[0], world.scale.canvas
    while cases < world.scale.twin_cases and time.monotonic() < ends:
        size, to = big if cases == 0 else (_sides(rng), _sides(rng))
        colours = Colours(bool(cases & 1), bool(cases & 2))
        for name, off in _compared(bed, rng, size, to, bool(cases & 4), colours).items():
            worst[name] = max(worst.get(name, 0.0), off)
        cases += 1
    bed.stream.close()
    bad = [
        f"{name} is {off:.2f} times as far from its twin as it may be"
        for name, off in worst.items()
        if off > 1
    ]
    said = "; ".join(bad) or f"all {len(worst)} within 1 LSB or half a step of the dtype"
    return Found(
        [(f"kernels against NumPy twins, {cases} random cases", said)], {"cases": cases, "worst": worst}, bad
    )


def _works(bed: _Bed, size: Size, canvas: Size) -> dict[str, tuple[int, Callable[[], Callable[[], None]]]]:
    """By kernel: bytes that must cross memory once (kernels.cu, "Moves"), and what makes a call on memory of
    its own."""
    (w, h), (cw, ch), stream, run = size, canvas, bed.stream, bed.run
    pixels, samples, place = w * h, cw * ch, Place.of(w, h, canvas)
    frame = 3 * pixels // 2

    def bound() -> tuple[DeviceArray, Planes, Planes]:
        binding, source, target = bed.blank((BINDING_BYTES,), "u1"), bed.nv12(size), bed.nv12(size)
        run.bind(stream, binding, source, target, Colours(), 1.0)
        return binding, source, target

    def to_rgb() -> Callable[[], None]:
        made, rgb = bound(), bed.blank((3, ch, cw), "f2")
        return lambda: run.nv12_to_rgb(stream, made[0], rgb, place)

    def change() -> Callable[[], None]:
        made, mask = bound(), bed.blank((ch, cw), "u1")
        edited, shown, out = (bed.blank((3, ch, cw), "f2") for _ in range(3))
        kept = bed.blank((ch, cw), "u1")
        return lambda: run.edit_change(stream, made[0], edited, shown, mask, out, kept, place)

    def lay() -> Callable[[], None]:
        made, out, kept = bound(), bed.blank((3, ch, cw), "f2"), bed.blank((ch, cw), "u1")
        for plane in (out, kept):
            stream.fill(plane, 0)
        return lambda: run.composite(stream, made[0], out, kept, place) if made else None

    def from_rgb() -> Callable[[], None]:
        rgb, target = bed.blank((3, h, w), "f2"), bed.nv12(size)
        return lambda: run.rgb_to_nv12(stream, rgb, target, Colours())

    def shrink() -> Callable[[], None]:
        source, target = bed.nv12(size), bed.nv12(canvas)
        return lambda: run.resize_nv12(stream, source, target)

    def narrow() -> Callable[[], None]:
        source, target = bed.nv12(size, dtype="u2"), bed.nv12(size)
        return lambda: run.p016_to_nv12(stream, *source, target, 10, False)

    def planar() -> Callable[[], None]:
        source, y = bed.nv12(size), bed.blank((h, w), "u1")
        u, v = (bed.blank((half(h), half(w)), "u1") for _ in range(2))
        return lambda: run.nv12_to_i420(stream, source, y, u, v)

    return {
        "nv12_to_rgb": (frame + 6 * samples, to_rgb),
        "edit_change": (20 * samples, change),
        "composite": (2 * frame + 7 * samples, lay),
        "rgb_to_nv12": (6 * pixels + frame, from_rgb),
        "resize_nv12": (frame + 3 * samples // 2, shrink),
        "p016_to_nv12": (3 * frame, narrow),
        "nv12_to_i420": (2 * frame, planar),
    }  # fmt: skip


def _copy_ms(bed: _Bed, nbytes: int, repeats: int) -> float:
    here, there = (bed.device.array((nbytes,), "u1") for _ in range(2))
    bed.stream.fill(here, 1)
    return gpu_ms(bed.device, bed.stream, [lambda: bed.stream.copy(there, here)], repeats)


def against_memory(world: World) -> Found:
    """Each kernel's time beside the time its bytes need at the bandwidth of a plain copy, from memory (each
    call on bytes of its own, more than any cache) and from the cache, as a stream's frame is."""
    bed, scale, found = _Bed(world.device), world.scale, Found()
    bytes_a_ms = 2 * scale.copy_bytes / max(_copy_ms(bed, scale.copy_bytes, scale.repeats), 1e-9)
    found.data["copy_gb_s"] = bytes_a_ms / 1e6
    found.rows.append(("copy within the GPU, read and written", f"{bytes_a_ms / 1e6:.0f} GB/s"))
    for size in scale.sizes:
        for name, (moved, make) in _works(bed, size, scale.canvas).items():
            if world.left_s() < 60:
                found.rows.append((f"{name}, {size[0]}x{size[1]}", "not measured: no time left"))
                continue
            runs = [make() for _ in range(min(64, max(2, scale.cold_bytes // moved)))]
            floor = moved / bytes_a_ms
            cold = gpu_ms(world.device, bed.stream, runs, scale.repeats)
            warm = gpu_ms(world.device, bed.stream, runs[:1] * len(runs), scale.repeats)
            what = f"{name}, {size[0]}x{size[1]}"
            found.data[what] = {
                "bytes": moved,
                "floor_us": floor * 1e3,
                "cold_us": cold * 1e3,
                "warm_us": warm * 1e3,
            }
            beside = f"{cold / floor:.1f} x the floor of {floor * 1e3:.1f}"
            found.rows.append((what, f"{cold * 1e3:.1f} us ({beside}); cached {warm * 1e3:.1f}"))
    bed.stream.close()
    return found


def graph_and_direct(world: World) -> Found:
    """A frame's conversions as the Converter's graph, and as launches one by one: the CPU's time to hand it
    in, and until it is done."""
    device, scale, found = world.device, world.scale, Found()
    size, canvas = scale.sizes[-1], scale.canvas
    bed, pool = _Bed(device), FramePool(device, *size, most=4)
    converter = Converter(device, bed.stream, *size, canvas, kernels=bed.run)
    edited, mask = (
        bed.blank((3, canvas[1], canvas[0]), "f2"),
        bed.array(np.full((canvas[1], canvas[0]), 255, np.uint8)),
    )
    source, into = pool.take(), pool.take()
    frame = source.frame(0, stream=bed.stream)
    change, kept = bed.blank((3, canvas[1], canvas[0]), "f2"), bed.blank((canvas[1], canvas[0]), "u1")
    binding, place = bed.blank((BINDING_BYTES,), "u1"), Place.of(*size, canvas)

    def engine(stream: Stream) -> None:
        for plane in range(3):
            stream.copy(edited[plane], converter.canvas[(plane + 1) % 3])

    def by_graph() -> None:
        converter.edit(frame, engine, edited, mask, 1.0, into)

    def direct() -> None:
        bed.run.bind(bed.stream, binding, frame, into, Colours(), 1.0)
        bed.run.nv12_to_rgb(bed.stream, binding, converter.canvas, place)
        engine(bed.stream)
        bed.run.edit_change(bed.stream, binding, edited, converter.canvas, mask, change, kept, place)
        bed.run.composite(bed.stream, binding, change, kept, place)

    for name, call in (("graph", by_graph), ("direct", direct)):
        handed, done = [], []
        for n in range(scale.frames + 5):
            start = time.perf_counter()
            call()
            middle = time.perf_counter()
            bed.stream.synchronize()
            if n >= 5:
                handed.append((middle - start) * 1e6)
                done.append((time.perf_counter() - start) * 1e6)
        found.data[name] = {"handed_us": float(np.median(handed)), "done_us": float(np.median(done))}
        said = f"{np.median(handed):.0f} us of the CPU, done after {np.median(done):.0f} us"
        found.rows.append((f"a frame's conversions, {size[0]}x{size[1]}, {name}", said))
    found.data["uncaptured"] = converter.uncaptured
    if converter.uncaptured:
        found.wrong.append(f"no graph: {converter.uncaptured}")
    converter.close()
    pool.close()
    bed.stream.close()
    return found
