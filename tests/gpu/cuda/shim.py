"""Builds gpu/cuda/kernels.cu for the CPU: a shared library that runs any of its kernels by name."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "gpu" / "cuda" / "kernels.cu"
SHIM = Path(__file__).with_name("shim") / "shim.h"
_ENTRY = """ extern "C" int relens_cpu_launch(const char *name, unsigned gx, unsigned gy, unsigned gz,
unsigned bx, unsigned by,
                                 unsigned bz, void **args) {
    const ShimIndex grid = {gx, gy, gz}, block = {bx, by, bz};
    if (!gx || !gy || !gz || !bx || !by || !bz || bx * by * bz > 256) return 2;
%s    return 1;
}
"""
SANITIZED = ("-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def kernel_names(source: Path = SOURCE) -> list[str]:
    """The kernels of a source, as the device knows them."""
    return re.findall(
        r"^(?:KERNEL|RESIZE\()\s*(\w+)\s*[(,]", source.read_text(encoding="utf-8"), re.MULTILINE
    )


def cpu_compiler() -> str:
    """g++; a machine without it skips the test."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("needs g++ to run the CUDA kernels on the CPU")
    return compiler


def build_kernels(dest: Path, flags: Sequence[str] = ()) -> Path:
    """Compiles the kernels with g++ into `dest` (a folder) and returns the library.

    It exports `int relens_cpu_launch(const char *name, unsigned gx, gy, gz, bx, by, bz, void **args)`: 0 when
    the kernel ran, 1 for an unknown name, 2 for a grid or block that the device refuses (the kernels are
    bound to 256 threads a block). A machine without g++ skips the test.
    """
    compiler = cpu_compiler()
    dest.mkdir(parents=True, exist_ok=True)
    branches = "".join(
        f'    if (!strcmp(name, "{name}")) return shim_launch({name}, grid, block, args), 0;\n'
        for name in kernel_names()
    )
    unit = dest / "kernels_cpu.cpp"
    unit.write_text(f'#include "{SHIM}"\n#include "{SOURCE}"\n{_ENTRY % branches}', encoding="utf-8")
    library = dest / "librelens_kernels.so"
    command = [compiler, "-std=c++17", "-O2", "-Wall", "-Werror", "-Wno-unknown-pragmas", "-fPIC", "-shared"]
    subprocess.run([*command, *flags, str(unit), "-o", str(library)], check=True, timeout=120)
    return library
