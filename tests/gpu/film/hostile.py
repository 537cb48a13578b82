"""Files that mean harm, or were harmed, made for the test. Each function writes one and gives its path."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.gpu.film.varied import Kind, make

_LARGE = 16383


def text(content: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        path = folder / "film.mp4"
        path.write_bytes(content)
        return path

    return write


def film(
    change: Callable[[bytearray], bytes | bytearray], kind: Kind | None = None
) -> Callable[[Path], Path]:
    """A sound film whose bytes are then changed."""

    def write(folder: Path) -> Path:
        path = make(folder, kind or Kind(options={"bf": "2", "g": "12"}))
        path.write_bytes(change(bytearray(path.read_bytes())))
        return path

    return write


def box(kind: bytes, body: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack(">I", len(body) + 8 if size is None else size) + kind + body


FTYP = box(b"ftyp", b"isom\0\0\2\0isomavc1")
EBML_MKV = bytes.fromhex("1a45dfa3 8b 4282 88") + b"matroska"


def put(name: bytes, offset: int, form: str, *values: int) -> Callable[[bytearray], bytearray]:
    """Overwrite a field of the first box of that name, `offset` bytes behind its name."""

    def change(data: bytearray) -> bytearray:
        struct.pack_into(form, data, data.index(name) + 4 + offset, *values)
        return data

    return change


def garbage(share: float) -> Callable[[bytearray], bytearray]:
    """Overwrite so much of the payload (mdat), from its end on."""

    def change(data: bytearray) -> bytearray:
        at = data.index(b"mdat") + 4
        size = struct.unpack_from(">I", data, at - 8)[0] - 8
        first = at + round(size * (1 - share))
        data[first : at + size] = random.Random(1).randbytes(at + size - first)
        return data

    return change


def large_frame(folder: Path) -> Path:
    """A VP8 keyframe whose header says 16383 x 16383 (RFC 6386 §9.1), in a container that says 64 x 48."""
    path = make(folder, Kind(name="film.webm", codec="libvpx", times=(0, 40)))
    data = bytearray(path.read_bytes())
    struct.pack_into("<HH", data, data.index(b"\x9d\x01\x2a") + 3, _LARGE, _LARGE)
    path.write_bytes(data)
    return path


def bomb(folder: Path) -> Path:
    """Black of 4096 x 4096: a few kilobytes that become 25 MB a frame."""
    path = folder / "bomb.mkv"
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("libvpx", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        encoder: Any = av.CodecContext.create("libvpx", "w")
        encoder.width = encoder.height = 4096
        encoder.pix_fmt, encoder.time_base = "yuv420p", Fraction(1, 25)
        encoder.options = {"deadline": "realtime", "cpu-used": "8"}
        frame: Any = av.VideoFrame.from_ndarray(np.full((6144, 4096), 16, np.uint8), "yuv420p")
        for number in range(2):
            frame.pts = number
            for packet in encoder.encode(frame):
                packet.stream, packet.time_base = stream, Fraction(1, 25)
                file.mux(packet)
    return path


def many_tracks(folder: Path, tracks: int = 200) -> Path:
    path = folder / "many.mkv"
    with av.open(str(path), "w") as file:
        streams: list[Any] = [file.add_stream("pcm_s16le", rate=8000) for _ in range(tracks - 1)]
        video: Any = file.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for stream in streams:
            stream.layout = "mono"
        for number in range(3):
            image: Any = av.VideoFrame.from_ndarray(np.full((72, 64), 90, np.uint8), "yuv420p")
            image.pts = number
            file.mux(video.encode(image))
        file.mux(video.encode(None))
    return path


def only_sound(folder: Path) -> Path:
    path = folder / "sound.mp4"
    with av.open(str(path), "w") as file:
        stream: Any = file.add_stream("aac", rate=48000)
        stream.layout = "mono"
        for number in range(20):
            block: Any = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            block.sample_rate, block.pts = 48000, number * 1024
            file.mux(stream.encode(block))
        file.mux(stream.encode(None))
    return path


def only_words(folder: Path) -> Path:
    """Matroska with one track of subtitles, by hand: Segment, Info, Tracks, one Cluster."""

    def element(name: str, body: bytes) -> bytes:
        return bytes.fromhex(name) + struct.pack(">Q", len(body) | 1 << 56) + body

    entry = b"".join(
        (element("d7", b"\1"), element("73c5", b"\1"), element("83", b"\x11"), element("86", b"S_TEXT/UTF8"))
    )
    cluster = element("1f43b675", element("e7", b"\0") + element("a3", b"\x81\0\0\x80hello"))
    body = element("1549a966", element("2ad7b1", b"\x0f\x42\x40")) + element("1654ae6b", element("ae", entry))
    path = folder / "words.mkv"
    path.write_bytes(EBML_MKV + element("18538067", body + cluster))
    return path


def endless(folder: Path) -> Path:
    """Matroska whose one cluster of unknown size holds clusters again and again, at the same time each."""
    path = make(folder, Kind(name="film.mkv", muxer={"live": "1"}, times=tuple(range(0, 400, 40))))
    data = path.read_bytes()
    at = data.index(bytes.fromhex("1f43b675"))
    path.write_bytes(data[:at] + data[at:] * 400)
    return path


def outside(folder: Path) -> Path:
    """MOV whose samples are said to lie in another file, named by a URL."""
    secret = make(folder, Kind(name="secret.mp4"))
    data = bytearray(secret.read_bytes())
    at = data.index(b"dref")
    reference = box(
        b"dref", struct.pack(">II", 0, 1) + box(b"url ", b"\0\0\0\0file://" + bytes(secret) + b"\0")
    )
    old = struct.unpack_from(">I", data, at - 4)[0]
    grown = len(reference) - old
    data[at - 4 : at - 4 + old] = reference
    for name in (b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        where = data.index(name) - 4
        struct.pack_into(">I", data, where, struct.unpack_from(">I", data, where)[0] + grown)
    where = data.index(b"mdat")
    size = struct.unpack_from(">I", data, where - 4)[0]
    data[where + 4 : where - 4 + size] = bytes(size - 8)  # nothing of its own to decode
    path = folder / "outside.mov"
    path.write_bytes(data)
    return path


def encrypted(folder: Path) -> Path:
    path = folder / "locked.mp4"
    make(folder, Kind(name="open.mp4"))
    options = {
        "encryption_scheme": "cenc-aes-ctr",
        "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
        "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
    }
    with av.open(str(folder / "open.mp4")) as source, av.open(str(path), "w", options=options) as file:
        stream = file.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                file.mux(packet)
    return path


def fifo(folder: Path) -> Path:
    os.mkfifo(folder / "film.mp4")
    return folder / "film.mp4"


def directory(folder: Path) -> Path:
    (folder / "film.mp4").mkdir()
    return folder / "film.mp4"


def dangling(folder: Path) -> Path:
    (folder / "film.mp4").symlink_to(folder / "nothing.mp4")
    return folder / "film.mp4"


def device(folder: Path) -> Path:
    (folder / "film.mp4").symlink_to("/dev/zero")
    return folder / "film.mp4"
