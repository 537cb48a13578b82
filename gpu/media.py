"""Chooses the path of each stream: by what the machine's GPU can do, by where the model takes its pictures,
and by what the operator wants. Opens the GPU when the first stream needs it, and holds it."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from gpu.codec.base import ENCODES
from gpu.cuda.report import GpuMachine, GpuReport
from gpu.cuda.route import Route, refusal, route_of, usable
from gpu.errors import DeviceError, NoGpu
from gpu.path import MediaPath, host_path, software
from gpu.types import Codec, ModelSpec

if TYPE_CHECKING:
    from gpu.cuda.driver import Device, DeviceLost

logger = logging.getLogger(__name__)

Mode = Literal["auto", "cpu", "gpu"]
CPU_ONLY = "media is cpu: the GPU is not to be used"
_LOST = "the GPU is lost to this process: restart the server to use it again"


class Media:
    """One process's. Any thread, but for `path` and `warm`, which may wait for a driver to start."""

    def __init__(self, mode: Mode = "auto", machine: GpuMachine | None = None) -> None:
        """`machine`: what was found at start; None: no GPU. Raises NoGpu where `mode` is "gpu" and none can
        be used."""
        machine = machine if machine is not None else GpuMachine(problem="no GPU was looked for")
        self._machine = GpuMachine(problem=CPU_ONLY) if mode == "cpu" else machine
        self._gpu: GpuReport | None = usable(self._machine)
        self._device: Device | None = None
        self._lock = threading.Lock()
        self._closed = False
        if mode == "gpu" and self._gpu is None:
            raise NoGpu(
                f"media is gpu, and no GPU can be used ({refusal(self._machine)}): see relens doctor, or set "
                "media to auto"
            )

    @property
    def problem(self) -> str:
        """Why no GPU is used now; "" while one can be."""
        return "" if self._gpu is not None else refusal(self._machine)

    def route(self, spec: ModelSpec, device: str, codec: Codec) -> Route:
        """The way of a stream of `codec` through a model, and why. `device`: its own words, "" before it is
        loaded. Asks nothing of the GPU."""
        if "device" not in spec.frames:
            return route_of(self._machine, codec, device or "on the CPU", computes_on_gpu=False)
        if self._gpu is not None or "host" not in spec.frames:
            return route_of(self._machine, codec, device, computes_on_gpu=True)
        return self._on_host(device, codec, self.problem)

    def _on_host(self, device: str, codec: Codec, why: str) -> Route:
        found = route_of(self._machine, codec, device or "on the CPU", computes_on_gpu=False)
        if not why:
            return found
        encode = software(codec if codec in ENCODES else "h264")
        return replace(found, encode=f"{encode} on the CPU", because=(why,))

    def encodes(self, spec: ModelSpec, wanted: tuple[Codec, ...]) -> tuple[Codec, ...]:
        """Those of `wanted` that a stream through the model can be sent back in."""
        gpu = self._gpu if "device" in spec.frames else None
        return tuple(c for c in wanted if c in ENCODES or (gpu is not None and gpu.encoder(c) is not None))

    def path(self, spec: ModelSpec, device: str, codec: Codec) -> MediaPath:
        """For one stream of `codec`, for as long as it lasts.

        Raises NoGpu when the model takes only what a GPU holds and there is none, or it is lost."""
        gpu, why = self._open() if "device" in spec.frames else (None, "")
        if gpu is not None:
            from gpu.cuda.path import gpu_path

            words = self.route(spec, device, codec).words
            return gpu_path(gpu, spec.frames_per_chunk, words, self._lost)
        if "host" not in spec.frames:
            raise NoGpu(f"model {spec.name} runs on a GPU only, and none can be used: {why}")
        return host_path(self._on_host(device, codec, why).words)

    def warm(self, spec: ModelSpec) -> None:
        """Open the GPU if the model can use it, so that the first stream does not wait for that.

        Raises NoGpu as `path` does."""
        self.path(spec, "", "h264")

    def close(self) -> None:
        """Give the GPU back, when no stream is open any more. Idempotent."""
        with self._lock:
            self._closed = True
            device, self._device = self._device, None
        if device is not None:
            device.close()

    def _lost(self, error: DeviceLost) -> None:
        """For good, as a stream or the driver says: no new stream goes there, and those on it end by
        themselves."""
        if self._gpu is not None:
            why = f"{_LOST} ({error.call}: {error.name})"
            self._gpu, self._machine = None, replace(self._machine, gpus=(), problem=why)
            logger.error("new streams do without the GPU: %s", why)

    def _open(self) -> tuple[Device | None, str]:
        """The GPU, alive at this moment, or None and why a new stream cannot have it."""
        with self._lock:
            gpu = self._gpu
            if gpu is None or self._closed:
                return None, self.problem or "the server is shutting down"
            from gpu.cuda.driver import Device, DeviceLost

            try:
                if self._device is None:
                    self._device = Device.open(gpu.index)
                self._device.memory()  # a context that died in another stream says so
                hangs = self._device.hangs()
            except DeviceLost as error:
                self._lost(error)
                return None, self.problem
            except DeviceError as error:  # no memory for a context, say: the next stream may be luckier
                logger.warning("a stream does without the GPU: %s", error)
                return None, str(error)
            return (None, "the GPU hangs") if hangs else (self._device, "")
