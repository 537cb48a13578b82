"""The lossless H.264 of the fakes: libav reads it to the byte, and so does its own reader."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from gpu.codec.decoder import LibavDecoder
from gpu.types import EncodedFrame

_HEADER = Path(__file__).parent / "stubs" / "ipcm.h"
_SIZES = [(2, 2), (16, 16), (18, 34), (64, 48), (130, 98)]
U8 = NDArray[np.uint8]


class Format(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_int32)
        for name in (
            "width",
            "height",
            "profile",
            "full_range",
            "has_colour",
            "primaries",
            "transfer",
            "matrix",
        )
    ]


class Slice(ctypes.Structure):
    _fields_ = [("is_idr", ctypes.c_int32), ("frame_num", ctypes.c_uint32), ("idr_pic_id", ctypes.c_uint32)]


class Nal(ctypes.Structure):
    _fields_ = [("data", ctypes.c_void_p), ("bytes", ctypes.c_size_t), ("type", ctypes.c_int32)]


@pytest.fixture(scope="session")
def ipcm(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    if shutil.which("gcc") is None:
        pytest.skip("gcc is not installed")
    library = tmp_path_factory.mktemp("ipcm") / "libipcm.so"
    warnings = ["-Wall", "-Wextra", "-Werror", "-fsanitize=undefined", "-fno-sanitize-recover"]
    subprocess.run(
        [
            "gcc",
            "-shared",
            "-fPIC",
            "-O1",
            *warnings,
            "-DIPCM_API=",
            "-x",
            "c",
            str(_HEADER),
            "-o",
            str(library),
        ],
        check=True,
        timeout=60,
    )
    lib = ctypes.CDLL(str(library))
    lib.ipcm_most_bytes.restype = ctypes.c_size_t
    lib.ipcm_write.restype = ctypes.c_int64
    return lib


def nv12(seed: int, width: int, height: int) -> U8:
    """Random samples, with runs of zeros and ones that need emulation prevention. [H * 3 / 2, W]"""
    rng = np.random.default_rng(seed)
    picture = rng.integers(0, 256, (height * 3 // 2, width), np.uint8)
    picture[rng.random(picture.shape) < 0.4] = 0
    picture[rng.random(picture.shape) < 0.2] = 1
    return picture


def write(
    lib: ctypes.CDLL, picture: U8, form: Format, is_idr: bool = True, frame_num: int = 0, headers: bool = True
) -> bytes:
    room = lib.ipcm_most_bytes(form.width, form.height)
    out = ctypes.create_string_buffer(room)
    luma, pitch = picture.ctypes.data, picture.strides[0]
    head = Slice(is_idr, frame_num, 0)
    count = lib.ipcm_write(
        out, ctypes.c_size_t(room), ctypes.byref(form), ctypes.byref(head), int(headers),
        ctypes.c_void_p(luma), ctypes.c_size_t(pitch),
        ctypes.c_void_p(luma + form.height * pitch), ctypes.c_size_t(pitch),
    )  # fmt: skip
    assert count > 0
    return out.raw[:count]


def nals(lib: ctypes.CDLL, data: bytes) -> list[Nal]:
    """They point into `data`, which must outlive them."""
    offset, found = ctypes.c_size_t(0), []
    while True:
        nal = Nal()
        if not lib.ipcm_next_nal(data, ctypes.c_size_t(len(data)), ctypes.byref(offset), ctypes.byref(nal)):
            return found
        found.append(nal)


def read(lib: ctypes.CDLL, data: bytes) -> tuple[int, Format, Slice, U8]:
    form, head, code = Format(), Slice(), -99
    picture = np.zeros((0, 0), np.uint8)
    for nal in nals(lib, data):
        if nal.type == 7 and lib.ipcm_read_sps(ctypes.byref(nal), ctypes.byref(form)):
            break
        if nal.type in (1, 5) and form.width:
            pitch = form.width + 6
            picture = np.zeros((form.height * 3 // 2, pitch), np.uint8)
            code = lib.ipcm_read_slice(
                ctypes.byref(nal), ctypes.byref(form), ctypes.byref(head),
                ctypes.c_void_p(picture.ctypes.data), ctypes.c_size_t(pitch),
                ctypes.c_void_p(picture.ctypes.data + form.height * pitch), ctypes.c_size_t(pitch),
            )  # fmt: skip
    return code, form, head, picture[:, : form.width]


@pytest.mark.parametrize("profile", [66, 77, 100])
@pytest.mark.parametrize(("width", "height"), _SIZES)
def test_libav_reads_the_very_picture(ipcm: ctypes.CDLL, width: int, height: int, profile: int) -> None:
    decoder = LibavDecoder("h264")
    form = Format(width, height, profile, 0, 1, 6, 6, 6)
    for i in range(5):
        picture = nv12(i, width, height)
        data = write(ipcm, picture, form, i == 0, i, i == 0)
        [frame] = decoder.decode(EncodedFrame(data, i * 3000, i == 0))
        chroma = picture[height:].reshape(height // 2, width // 2, 2)
        assert np.array_equal(frame.y, picture[:height])
        assert np.array_equal(frame.u, chroma[..., 0])
        assert np.array_equal(frame.v, chroma[..., 1])
    decoder.close()


@pytest.mark.parametrize(("width", "height"), _SIZES)
def test_its_reader_gives_back_picture_and_format(ipcm: ctypes.CDLL, width: int, height: int) -> None:
    for profile, full_range, colour in ((66, 0, (1, 1, 1, 1)), (100, 1, (1, 6, 6, 6)), (77, 1, (0, 2, 2, 2))):
        form, picture = Format(width, height, profile, full_range, *colour), nv12(9, width, height)
        code, found, head, back = read(ipcm, write(ipcm, picture, form))
        assert code == 0
        assert bytes(found) == bytes(form)
        assert head.is_idr
        assert np.array_equal(back, picture)


def test_range_and_colour_are_what_libav_understands(ipcm: ctypes.CDLL) -> None:
    for full_range, matrix in ((0, 1), (1, 1), (0, 6), (1, 6)):
        context = av.CodecContext.create("h264", "r")
        form = Format(32, 18, 66, full_range, 1, matrix, matrix, matrix)
        packet = av.Packet(write(ipcm, nv12(3, 32, 18), form))
        [picture] = [*context.decode(packet), *context.decode(None)]
        assert (picture.width, picture.height) == (32, 18)
        assert int(picture.color_range) == 1 + full_range
        assert int(picture.colorspace) == matrix


def test_no_start_code_inside_a_picture_of_zeros(ipcm: ctypes.CDLL) -> None:
    data = write(ipcm, np.zeros((24, 16), np.uint8), Format(16, 16, 66))
    assert data.count(b"\x00\x00\x01") == 3
    assert [nal.type for nal in nals(ipcm, data)] == [7, 8, 5]
    assert read(ipcm, data)[0] == 0


def test_no_room_and_odd_sizes_are_refused(ipcm: ctypes.CDLL) -> None:
    picture, out = nv12(1, 16, 16), ctypes.create_string_buffer(400)
    pointers = (ctypes.c_void_p(picture.ctypes.data), ctypes.c_size_t(16)) * 2
    for form, room, code in (
        (Format(16, 16, 66), 100, -3),
        (Format(15, 16, 66), 400, -2),
        (Format(16, 16, 88), 400, -2),
    ):
        head = ctypes.byref(Slice(1, 0, 0))
        assert ipcm.ipcm_write(out, ctypes.c_size_t(room), ctypes.byref(form), head, 1, *pointers) == code


def test_damage_is_found_and_never_read_beyond(ipcm: ctypes.CDLL) -> None:
    whole = write(ipcm, nv12(5, 34, 18), Format(34, 18, 66))
    for end in range(0, len(whole) - 1, 7):
        assert read(ipcm, whole[:end])[0] != 0, end
    rng = np.random.default_rng(2)
    for _ in range(300):
        broken = np.frombuffer(whole, np.uint8).copy()
        broken[rng.integers(4, 60, 3)] = rng.integers(0, 256, 3)
        read(ipcm, broken.tobytes())
