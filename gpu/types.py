"""The few types that cross borders in the media path. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

CLOCK_HZ = 90_000  # RTP clock of every video codec we speak (RFC 6184 §8.2.1, RFC 7741 §6.1)

Codec = Literal["h264", "vp8", "vp9", "hevc", "av1"]
U8 = NDArray[np.uint8]
Where = Literal["host", "device"]  # where a picture's samples are; "device": a GPU's


class Picture(Protocol):
    """What those who only pass pictures on know of one: a Frame, or a DeviceFrame (gpu/cuda/frame.py)."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...
    @property
    def pts(self) -> int: ...
    @property
    def arrived_ns(self) -> int: ...


@dataclass(frozen=True, slots=True)
class EncodedFrame:
    """One access unit; `pts` in 90 kHz ticks, unwrapped.

    `data` is, for H.264 and HEVC: Annex-B, a keyframe with its parameter sets; for VP8 and VP9: one frame or
    superframe as the bitstream has it; for AV1: one temporal unit in the low-overhead format (AV1 §5.2, every
    OBU with its size), without the temporal delimiter, a keyframe with its sequence header.

    `arrived_ns` (time.monotonic_ns, when its last packet came in) travels with the frame so that what the
    server adds is measured per frame; 0 where unknown (files).
    """

    data: bytes
    pts: int
    is_keyframe: bool
    codec: Codec = "h264"
    arrived_ns: int = 0


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture in planar YUV 4:2:0, BT.601 limited range unless `full_range`.

    y: [H, W] uint8; u, v: [H/2, W/2] uint8 (H, W even). Arrays are read-only by convention: a step returns
    new ones.
    """

    y: U8
    u: U8
    v: U8
    pts: int
    arrived_ns: int = 0
    full_range: bool = False

    @property
    def width(self) -> int:
        return int(self.y.shape[1])

    @property
    def height(self) -> int:
        return int(self.y.shape[0])


@dataclass(frozen=True, slots=True)
class Edit:
    """A user's instruction with its parameters. `prompt` is only its text; "" means: the source exactly."""

    revision: int = 0
    prompt: str = ""
    strength: float = 1.0  # 0..1, 0 returns the source exactly
    transition_ms: int = 400
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Part:
    """One edit of an instruction: which, how much (0..1), where, and with which colours."""

    name: str
    amount: float
    region: Literal["everywhere", "background", "person"] = "everywhere"
    colours: tuple[str, ...] = ()  # (what is found, what it becomes), as far as the edit has such


@dataclass(frozen=True, slots=True)
class Change:
    """More or less of what is in force: `times` what it is and `plus`, within 0..1. See gpu/history.py."""

    times: float = 1.0
    plus: float = 0.0
    of: tuple[str, ...] = ()  # names of edits: the first in force is changed, or all go; none: all that is
    place: str = ""  # of those, only what is there: a region; "": wherever they are
    adds: bool = False  # the reading's parts go beside what is in force, and are no less than `times` of it

    @property
    def takes_away(self) -> bool:
        return self.times == self.plus == 0


@dataclass(frozen=True, slots=True)
class Reading:
    """What a model understood of a prompt."""

    parts: tuple[Part, ...]  # strongest first; empty: the source
    confidence: float  # 0..1
    nearest: tuple[str, ...] = ()  # labels of the nearest things the model can do, best first
    understood: bool = True  # False: outside the model's reach; the picture stays as it is
    label: str = ""  # in words: "night + rain"
    left_out: tuple[str, ...] = ()  # in words: what was asked for and cannot be done along with the parts
    steps_back: bool = False  # asks for the edit before the one in force; a model by itself gives the source
    change: Change | None = None  # asks for more or less of what is in force; parts: where that is not
    note: str = ""  # what became of what was in force, or why nothing can
    then: tuple[Reading, ...] = ()  # several changes, to be made one after the other
    redoes: bool = False  # asks for the edit that the last step back took; by itself it is not understood
    is_read: bool = True  # False: nobody could read it yet, and what it asks for is found later

    @property
    def hangs(self) -> bool:
        """Whether what it asks for hangs on what is, or was, in force."""
        return self.steps_back or self.redoes or self.change is not None or bool(self.then)


@dataclass(frozen=True, slots=True)
class Preset:
    """An instruction worth offering."""

    name: str
    label: str
    prompt: str
    group: str  # "art" | "drawing" | "looks" | "weather" | "room" | "colour"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a server must know of a model before it loads it."""

    name: str
    title: str
    frames_per_chunk: int
    max_size: tuple[int, int]  # (width, height) of the largest picture it takes, either way up
    licence: str
    weights: str  # where they come from
    memory_bytes_per_stream: int
    frames: tuple[Where, ...] = ("host",)  # where it takes its pictures, and leaves what it makes of them
    presets: tuple[Preset, ...] = field(default=())
    identity: str = ""  # of all that decides its pictures, weights above all; "": not known
    note: str = ""  # what everybody who sees its pictures must know of them
