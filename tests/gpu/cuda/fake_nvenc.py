"""What tests ask the fake NVENC (stubs/nvenc.c), and the pictures they give it."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpu.codec.decoder import LibavDecoder
from gpu.cuda.driver import Device, Stream
from gpu.cuda.frame import DeviceFrame, FramePool
from gpu.cuda.nvenc import NvencEncoder
from gpu.cuda.nvenc_config import Config
from gpu.cuda.nvenc_structs import InitializeParams
from gpu.types import U8, EncodedFrame, Frame
from tests.gpu.cuda.fake import FakeDriver

STEP = 3000  # ticks; 30 fps
Make = Callable[..., NvencEncoder]


class FakeNvenc:
    """The fake libnvidia-encode of this process."""

    def __init__(self, folder: Path) -> None:
        self._library = ctypes.CDLL(str(folder / "libnvidia-encode.so.1"))
        self._library.fake_nvenc_count.restype = ctypes.c_longlong
        self._library.fake_nvenc_log.restype = ctypes.c_char_p
        self._library.fake_nvenc_reset()

    def count(self, what: str) -> int:
        """Alive now: "sessions", "registered", "mapped", "bitstreams", "locked". Since the test began:
        "opened", "pictures", "keyframes", "reconfigured", "resets", and "left", what sessions had when they
        were closed."""
        found = int(self._library.fake_nvenc_count(what.encode()))
        assert found >= 0, what
        return found

    def log(self, *first: str) -> list[str]:
        """What happened, of these first words only."""
        lines = self._library.fake_nvenc_log().decode().splitlines()
        return [line for line in lines if not first or line.split()[0] in first]

    def last(self) -> tuple[InitializeParams, Config]:
        """What a session was set up with, or reconfigured to, last."""
        params, config = InitializeParams(), Config()
        self._library.fake_nvenc_last(ctypes.byref(params), ctypes.byref(config))
        return params, config


def nv12(seed: int, width: int = 64, height: int = 48) -> U8:
    """[H * 3 / 2, W] uint8: luma, then U and V by turns."""
    return np.random.default_rng(seed).integers(0, 256, (height * 3 // 2, width), np.uint8)


def on_device(
    pool: FramePool, stream: Stream, picture: U8, pts: int = 0, full_range: bool = False, bt709: bool = False
) -> DeviceFrame:
    """The picture in a buffer of the pool, copied by page-locked memory, so that it is there only after
    `ready`."""
    height, width = pool.height, pool.width
    buffer = pool.take(stream)
    pinned = stream.device.pinned((height * 3 // 2, width), "u1")
    pinned.array[:] = picture
    stream.copy2d(buffer.luma.ptr, buffer.pitch, pinned.ptr, width, width, height * 3 // 2, "h2d")
    frame = buffer.frame(pts, pts + 7, full_range, bt709, stream)
    _KEEP.append(pinned)
    del _KEEP[:-64]
    return frame


_KEEP: list[
    object
] = []  # page-locked memory a copy may still read: freeing it would make the fake do the copy


def forget() -> None:
    """Let go of what `on_device` keeps."""
    _KEEP.clear()


def planar(picture: U8, pts: int = 0, full_range: bool = False) -> Frame:
    """The same picture as a host frame."""
    height, width = picture.shape[0] * 2 // 3, picture.shape[1]
    chroma = picture[height:].reshape(height // 2, width // 2, 2)
    return Frame(picture[:height], chroma[..., 0], chroma[..., 1], pts, pts + 7, full_range)


def same(frame: Frame, picture: U8) -> bool:
    """Whether a decoded frame is the picture to the byte."""
    other = planar(picture)
    return all(np.array_equal(getattr(frame, plane), getattr(other, plane)) for plane in ("y", "u", "v"))


def decoded(frames: list[EncodedFrame]) -> list[Frame]:
    """What libav makes of an H.264 stream."""
    decoder = LibavDecoder("h264")
    found = [back for frame in frames for back in decoder.decode(frame)]
    decoder.close()
    return found


@pytest.fixture
def nvenc(bare_gpu: FakeDriver) -> Iterator[FakeNvenc]:
    """The fake NVENC. A session left open is a failure, and so is what a closed one left behind."""
    fake = FakeNvenc(bare_gpu.folder)
    yield fake
    forget()
    left = 0 if bare_gpu.lost else fake.count("left")  # a lost GPU takes nothing back
    assert (fake.count("sessions"), left) == (0, 0)


@pytest.fixture
def device(nvenc: FakeNvenc) -> Iterator[Device]:
    device = Device.open()
    yield device
    forget()
    device.close()


@pytest.fixture
def stream(device: Device) -> Stream:
    return device.stream()


@pytest.fixture
def make(device: Device) -> Iterator[Make]:
    """Opens encoders and closes them when the test ends, however it ends."""
    made: list[NvencEncoder] = []

    def open_one(*arguments: Any, **named: Any) -> NvencEncoder:
        made.append(NvencEncoder(device, *arguments, **named))
        return made[-1]

    yield open_one
    for encoder in made:
        encoder.close()
