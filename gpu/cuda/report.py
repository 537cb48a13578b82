"""What a machine's GPUs can do, as data: what the probe found, to keep, to show and to choose by."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from gpu.types import Codec


@dataclass(frozen=True, slots=True)
class VideoCaps:
    """One codec of a video engine. `bits` a sample; sizes in pixels."""

    codec: Codec
    bits: tuple[int, ...]
    max_width: int
    max_height: int

    @property
    def words(self) -> str:
        """ "h264 8 bit to 4096x4096"."""
        return f"{self.codec} {'/'.join(map(str, self.bits))} bit to {self.max_width}x{self.max_height}"


@dataclass(frozen=True, slots=True)
class GpuReport:
    """One GPU. An empty tuple with a problem: it could not be asked; without one: it has no such engine."""

    index: int
    name: str
    compute_capability: tuple[int, int]
    total_bytes: int
    free_bytes: int
    uuid: str
    decodes: tuple[VideoCaps, ...] = ()
    encodes: tuple[VideoCaps, ...] = ()
    decode_problem: str = ""
    encode_problem: str = ""
    kernel_problem: str = ""  # why relens' own kernels cannot be loaded there
    sessions: int | None = None  # encoding sessions that could be opened; None: not tried
    sessions_end: str = ""  # why no further one could; "" when as many as were tried could

    @property
    def words(self) -> str:
        """ "NVIDIA L4: decodes h264, hevc; encodes h264, av1"."""
        decodes = ", ".join(caps.codec for caps in self.decodes) or "nothing"
        encodes = ", ".join(caps.codec for caps in self.encodes) or "nothing"
        return f"{self.name}: decodes {decodes}; encodes {encodes}"

    def decoder(self, codec: Codec) -> VideoCaps | None:
        """What it decodes of `codec`."""
        return next((caps for caps in self.decodes if caps.codec == codec), None)

    def encoder(self, codec: Codec) -> VideoCaps | None:
        """What it encodes of `codec`."""
        return next((caps for caps in self.encodes if caps.codec == codec), None)


@dataclass(frozen=True, slots=True)
class Part:
    """A Python library for GPUs: absent (no version), broken (a problem) or usable."""

    name: str
    version: str = ""
    detail: str = ""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class GpuMachine:
    """All that was asked. `problem`: why there are none, or why further ones cannot be used."""

    driver: str = ""  # the driver's release, "580.65.06"; "" where it is not told
    cuda: tuple[int, int] | None = None  # the CUDA version the driver speaks
    gpus: tuple[GpuReport, ...] = ()
    problem: str = ""
    parts: tuple[Part, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values, as `json.dumps` takes them."""
        return asdict(self)


def video_caps(found: Mapping[str, Any]) -> VideoCaps:
    """From plain values."""
    return VideoCaps(found["codec"], tuple(found["bits"]), found["max_width"], found["max_height"])
