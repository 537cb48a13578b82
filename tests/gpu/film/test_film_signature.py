"""What is said of a file that is no film."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest

from gpu.film.signature import read_signature
from gpu.film.types import FilmError


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        with pytest.raises(FilmError) as told:
            read_signature(fd)
    finally:
        os.close(fd)
    return str(told.value)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"this is no film" * 10, "it begins with the text “this is”"),
        (b"#EXTM3U\n/etc/passwd", "it begins with the text “#EXTM3U”"),
        (b"\x89PNG\r\n\x1a\n" + bytes(20), "it begins with the bytes 89 50 4e 47 0d 0a 1a 0a"),
        (b"\x00\x1b[2J' \xff more", "it begins with the bytes 00 1b 5b 32 4a 27 20 ff"),
        (b"\x1a\x45\xdf\xa3\x8a\x42\x82\x87pic\x1b[2J", "whose type is the bytes 70 69 63 1b 5b 32 4a"),
        (
            struct.pack(">I4s", 8, b"free") + struct.pack(">I4s", 2, b"\x00'b\x1b"),
            "the box of the bytes 00 27 62 1b",
        ),
    ],
)
def test_a_files_first_bytes_are_said_in_words(tmp_path: Path, data: bytes, said: str) -> None:
    message = refused(tmp_path / "letter.mp4", data)
    assert said in message
    assert "b'" not in message
    assert message.isprintable()
