"""What tus 1.0 says in headers: reading them, and what we answer. Knows no files, sockets or databases.

Source: tus.io/protocols/resumable-upload 1.0.0, with the extensions named in EXTENSIONS.
"""

from __future__ import annotations

import base64
import binascii
import email.utils
from collections.abc import Mapping
from dataclasses import dataclass

from gpu.errors import RelensError

VERSION = "1.0.0"
EXTENSIONS = "creation,creation-defer-length,creation-with-upload,expiration,termination,checksum"
CHECKSUMS = ("sha1", "sha256", "md5")  # sha1 is the one that every server must know
OFFSET_STREAM = "application/offset+octet-stream"
MOST_METADATA = 4096  # characters
MOST_KEYS = 32
MOST_INT = 2**53 - 1  # what a browser's client can count to


class TusError(RelensError):
    """A request that the protocol refuses; `status` is the answer's, 460 for a checksum that does not fit."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Creation:
    """A new upload as asked for. `length` None: said later."""

    length: int | None
    metadata: Mapping[str, str]
    raw_metadata: str  # as it came, for HEAD
    begins: bool  # the first bytes come along


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the bytes of one request must hash to."""

    algorithm: str
    digest: bytes


def check_version(headers: Mapping[str, str]) -> None:
    """Raises TusError 412 for another version than ours, or none."""
    said = headers.get("Tus-Resumable", "")
    if said != VERSION:
        raise TusError(412, f"Tus-Resumable is {said[:20]!r}: this server speaks {VERSION}")


def read_creation(headers: Mapping[str, str], most_bytes: int) -> Creation:
    """Raises TusError 400 for what is malformed, 413 for what is longer than `most_bytes`."""
    deferred, length = headers.get("Upload-Defer-Length"), headers.get("Upload-Length")
    if deferred is not None and deferred != "1":
        raise TusError(400, f"Upload-Defer-Length is {deferred[:20]!r}: it can only be 1")
    if (deferred is None) == (length is None):
        raise TusError(400, "give Upload-Length, or Upload-Defer-Length: 1, and not both")
    raw = headers.get("Upload-Metadata", "")
    return Creation(
        read_length(length, most_bytes) if length is not None else None,
        read_metadata(raw),
        raw,
        headers.get("Content-Type", "") == OFFSET_STREAM,
    )


def read_length(text: str, most_bytes: int) -> int:
    """Raises TusError 400, or 413 beyond `most_bytes`."""
    length = _whole(text, "Upload-Length")
    if length > most_bytes:
        raise TusError(413, f"{length} bytes are too many: this server takes at most {most_bytes}")
    return length


def read_offset(headers: Mapping[str, str]) -> int:
    """Raises TusError 400 where it is missing or malformed."""
    text = headers.get("Upload-Offset")
    if text is None:
        raise TusError(400, "Upload-Offset is missing: say where the bytes go")
    return _whole(text, "Upload-Offset")


def read_metadata(text: str) -> dict[str, str]:
    """Pairs of a key and base64, with commas between. Raises TusError 400."""
    if len(text) > MOST_METADATA:
        raise TusError(400, f"Upload-Metadata of {len(text)} characters: at most {MOST_METADATA}")
    if not text.isascii():
        raise TusError(400, "Upload-Metadata is not ASCII: keys, and values in base64")
    made: dict[str, str] = {}
    for pair in text.split(",") if text.strip() else ():
        key, _, value = pair.strip().partition(" ")
        if not key or not key.isascii() or not key.isprintable() or key in made:
            raise TusError(
                400, f"Upload-Metadata has a key that is empty, twice there or not ASCII: {key[:40]!r}"
            )
        try:
            made[key] = base64.b64decode(value.strip(), validate=True).decode()
        except (binascii.Error, ValueError) as error:
            raise TusError(400, f"Upload-Metadata's {key[:40]!r} is not UTF-8 in base64") from error
        if len(made) > MOST_KEYS:
            raise TusError(400, f"Upload-Metadata of more than {MOST_KEYS} keys")
    return made


def read_checksum(headers: Mapping[str, str]) -> Checksum | None:
    """None where none is given. Raises TusError 400."""
    text = headers.get("Upload-Checksum")
    if text is None:
        return None
    algorithm, _, value = text.strip().partition(" ")
    if algorithm not in CHECKSUMS:
        raise TusError(
            400, f"Upload-Checksum by {algorithm[:20]!r}: this server knows {', '.join(CHECKSUMS)}"
        )
    try:
        digest = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise TusError(400, "Upload-Checksum is not base64") from error
    return Checksum(algorithm, digest)


def http_date(seconds: float) -> str:
    """For Upload-Expires (RFC 9110 §5.6.7)."""
    return email.utils.formatdate(seconds, usegmt=True)


def _whole(text: str, name: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= MOST_INT):
        raise TusError(400, f"{name} is {text[:20]!r}: a whole number from 0")
    return int(text)
