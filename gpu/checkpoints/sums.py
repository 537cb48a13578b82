"""Checksums of files: sha256, and git's SHA-1 of a blob, which is how the hub names small files."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpu.checkpoints.progress import LARGE_BYTES, Progress

_BLOCK_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Sums:
    """Lower-case hex. `git`: git's SHA-1 of the same bytes."""

    sha256: str
    git: str


def checked(path: Path, what: str, size_bytes: int, progress: Progress) -> Sums:
    """As sums_of, with progress where the file is large. Raises OSError."""
    if size_bytes < LARGE_BYTES:
        return sums_of(path, size_bytes)
    progress.begin(f"{what}: checking", size_bytes)
    try:
        return sums_of(path, size_bytes, progress.moved)
    finally:
        progress.end()


def sums_of(path: Path, size_bytes: int, told: Callable[[int], None] = lambda count: None) -> Sums:
    """Read a file once; `told` hears how many bytes were read. Raises OSError."""
    sha256, git = hashlib.sha256(), hashlib.sha1(f"blob {size_bytes}\0".encode(), usedforsecurity=False)
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            sha256.update(block)
            git.update(block)
            told(len(block))
    return Sums(sha256.hexdigest(), git.hexdigest())


def matches(sums: Sums, sha256: str | None, etag: str = "") -> str:
    """ "" where the sums are what is known of a file, else what differs. Other kinds of ETag say nothing."""
    known = sha256 or (etag if len(etag) == 64 else "")
    if known and sums.sha256 != known:
        return f"sha256 {sums.sha256[:12]}… instead of {known[:12]}…"
    if not known and len(etag) == 40 and sums.git != etag:
        return f"git's sum {sums.git[:12]}… instead of {etag[:12]}…"
    return ""
