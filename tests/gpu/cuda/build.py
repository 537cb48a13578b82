"""Builds the stand-ins for the driver's libraries with gcc."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

STUBS = Path(__file__).with_name("stubs")
SOURCES = {
    "libcuda.so.1": "libcuda.c",
    "libnvcuvid.so.1": "nvcuvid.c",
    "libnvidia-encode.so.1": "nvenc.c",
}
_FLAGS = (
    "-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared",
    "-fvisibility=hidden", "-pthread",
)  # fmt: skip


_built: dict[str, Path] = {}


def once(name: str, make: Callable[[], Path]) -> Path:
    """What `make` gave first in this process: a fixture that the tests of another folder import is another
    fixture to pytest, and two fake libcudas in one process know nothing of each other's contexts."""
    if name not in _built:
        _built[name] = make()
    return _built[name]


def build_stub(soname: str, dest: Path) -> Path:
    """Compiles one stand-in into the folder `dest` under the name its users open."""
    dest.mkdir(parents=True, exist_ok=True)
    return _build(STUBS / SOURCES[soname], dest / soname)


def build_source(text: str, library: Path) -> Path:
    """Compiles a stand-in of a test's own."""
    source = library.with_suffix(".c")
    source.write_text(text, encoding="utf-8")
    return _build(source, library, strict=False)


def _build(source: Path, library: Path, strict: bool = True) -> Path:
    """A machine without gcc skips the test; CI has one, there its absence is a failure."""
    compiler = shutil.which("gcc")
    if compiler is None:
        if os.environ.get("CI"):
            pytest.fail("CI needs gcc to build the stand-ins for the NVIDIA driver")
        pytest.skip("needs gcc to build a stand-in for the NVIDIA driver")
    flags = _FLAGS if strict else ("-fPIC", "-shared")
    command = [compiler, *flags, f"-Wl,-soname,{library.name}", str(source), "-o", str(library)]
    built = subprocess.run([*command, "-ldl", "-lm"], capture_output=True, text=True, timeout=120)
    assert built.returncode == 0, built.stderr
    return library
