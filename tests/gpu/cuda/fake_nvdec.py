"""What tests ask the fake decoder library (stubs/nvcuvid.c), and the streams that it understands."""

from __future__ import annotations

import ctypes
import gc
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from gpu.cuda.cuvid import CODECS
from gpu.cuda.driver import Device
from gpu.cuda.frame import DeviceFrame
from gpu.types import Codec, EncodedFrame
from tests.gpu.cuda.fake import FakeDriver

U8 = NDArray[np.uint8]
INTER, KEY, SHOW_EXISTING = 0, 1, 2
ALIVE = ("decoders", "parsers", "mapped")
_STUBS = Path(__file__).with_name("stubs")


class FakeDecoder:
    """The fake libnvcuvid of this process."""

    def __init__(self, folder: Path) -> None:
        self._library = ctypes.CDLL(str(folder / "libnvcuvid.so.1"))
        self._library.fake_nvdec_count.restype = ctypes.c_longlong
        self._library.fake_nvdec_count.argtypes = (ctypes.c_char_p,)
        self._library.fake_nvdec_log.restype = ctypes.c_char_p
        self._library.fake_nvdec_reset()
        self._before: dict[str, int] = {}
        # What a GPU lost in an earlier test held.
        self._before = {what: self.count(what) for what in (*ALIVE, "most_mapped")}

    def count(self, what: str) -> int:
        """One of ALIVE, made since the test began; or so far: "most_mapped", "violations", "decoded"."""
        found = int(self._library.fake_nvdec_count(what.encode()))
        assert found >= 0, what
        return found - self._before.get(what, 0)

    def called(self, *names: str) -> list[str]:
        """The calls of these functions (or all), in order: "cuvidMapVideoFrame64 2"."""
        lines = self._library.fake_nvdec_log().decode().splitlines()
        return [line for line in lines if not names or line.split()[0] in names]


def nv12(seed: int, width: int, height: int, bits: int = 8) -> NDArray[np.uint8] | NDArray[np.uint16]:
    """Random samples; of more than 8 bits in the upper bits of 16. [H * 3 / 2, W]"""
    samples = np.random.default_rng(seed).integers(0, 1 << bits, (height * 3 // 2, width), np.uint16)
    return samples.astype(np.uint8) if bits == 8 else (samples << (16 - bits)).astype(np.uint16)


def tiny(
    codec: Codec, picture: NDArray[np.uint8] | NDArray[np.uint16], pts: int = 0, kind: int = KEY, *,
    arrived_ns: int = 0, shown: bool = True, bits: int = 8, chroma: int = 1, full_range: bool = False,
    matrix: int = 6, missing: int = 0, order: int | None = None, at: tuple[int, int] = (0, 0),
    coded: tuple[int, int] | None = None, size: tuple[int, int] | None = None, field: int = 0,
    damaged: bool = False,
) -> EncodedFrame:  # fmt: skip
    """A unit of the fake's container: one picture of any codec but H.264, cut out of a coded one at `at`."""
    width, height = size or (picture.shape[1], picture.shape[0] * 2 // 3)
    coded_width, coded_height = coded or (-(-(width + at[0]) // 16) * 16, -(-(height + at[1]) // 16) * 16)
    samples = picture.tobytes() if kind != SHOW_EXISTING else b""
    head = struct.pack(
        "<2s8B7H2BI", b"TV", CODECS[codec], kind, shown, bits, chroma, full_range, matrix, missing,
        pts // 100 & 0x7FFF if order is None else order, width, height, coded_width, coded_height, *at,
        field, damaged, len(samples),
    )  # fmt: skip
    return EncodedFrame(head + samples, pts, kind == KEY, codec, arrived_ns)


def glued(*units: EncodedFrame) -> EncodedFrame:
    """One unit of several frames, as VP9's superframes are."""
    last = units[-1]
    data = b"".join(unit.data for unit in units)
    return EncodedFrame(data, last.pts, units[0].is_keyframe, last.codec, last.arrived_ns)


class Pcm:
    """Writes H.264 that is lossless, and that libav reads too (stubs/ipcm.h)."""

    def __init__(self, dest: Path) -> None:
        library = dest / "libipcm.so"
        command = ["gcc", "-shared", "-fPIC", "-O1", "-DIPCM_API=", "-x", "c", str(_STUBS / "ipcm.h")]
        subprocess.run([*command, "-o", str(library)], check=True, timeout=60)
        self._library = ctypes.CDLL(str(library))
        self._library.ipcm_most_bytes.restype = ctypes.c_size_t
        self._library.ipcm_write.restype = ctypes.c_int64

    def unit(
        self, picture: U8, number: int, *, key: bool | None = None, pts: int | None = None, profile: int = 66,
        full_range: bool = False, matrix: int | None = None,
    ) -> EncodedFrame:  # fmt: skip
        """Access unit `number` (its frame_num), a keyframe when it is 0."""
        height, width = picture.shape[0] * 2 // 3, picture.shape[1]
        key = number == 0 if key is None else key
        colour = (0, 2, 2, 2) if matrix is None else (1, matrix, matrix, matrix)
        form = (ctypes.c_int32 * 8)(width, height, profile, full_range, *colour)
        head = (ctypes.c_int32 * 3)(key, number % 256, 0)
        room = self._library.ipcm_most_bytes(width, height)
        out = ctypes.create_string_buffer(room)
        pitch = ctypes.c_size_t(picture.strides[0])
        luma, chroma = (ctypes.c_void_p(part.ctypes.data) for part in (picture, picture[height:]))
        count = self._library.ipcm_write(
            out, ctypes.c_size_t(room), form, head, int(key), luma, pitch, chroma, pitch
        )
        assert count > 0
        time = number * 3000 if pts is None else pts
        return EncodedFrame(out.raw[:count], time, key, "h264", arrived_ns=time + 7)


@pytest.fixture(scope="session")
def pcm(gpu_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Pcm:
    return Pcm(tmp_path_factory.mktemp("pcm"))


@pytest.fixture
def engine(fake_gpu: FakeDriver, gpu_folder: Path) -> Iterator[FakeDecoder]:
    """The fake decoder library. What a test leaves alive in it, or does wrong to it, is a failure."""
    fake = FakeDecoder(gpu_folder)
    yield fake
    if any(fake.count(what) for what in ALIVE):
        gc.collect()  # dear: only where something may hang in a cycle
    assert {what: fake.count(what) for what in ALIVE} == dict.fromkeys(ALIVE, 0)
    assert fake.count("violations") == 0, fake.called("VIOLATION")


@pytest.fixture
def device(engine: FakeDecoder) -> Iterator[Device]:
    opened = Device.open()
    yield opened
    opened.close()


def picture_of(frame: DeviceFrame) -> U8:
    """As the tests make them: [H * 3 / 2, W]."""
    device = frame.luma.device
    stream = device.stream()
    stream.wait(frame.ready)
    luma, chroma = frame.luma.download(stream), frame.chroma.download(stream)
    stream.close()
    return np.concatenate((luma, chroma.reshape(-1, frame.width)))
