"""Folders that a command made and left empty go again when it fails. Knows no commands."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path


def absent(folders: Iterable[Path]) -> list[Path]:
    """The folders that are not there yet, and those above them, each before what it is in."""
    ways = (path for folder in folders for path in (folder, *folder.parents))
    return sorted({path for path in ways if not path.exists()}, key=lambda path: -len(path.parts))


def remove_empty(folders: Iterable[Path]) -> None:
    """Those of `absent` in which there is nothing but empty folders; files are never touched."""
    for folder in folders:
        inner = [path for path in folder.rglob("*") if path.is_dir() and not path.is_symlink()]
        for path in (*sorted(inner, key=lambda path: -len(path.parts)), folder):
            try:
                path.rmdir()
            except OSError:  # not empty, or never made
                continue
