"""Compiles kernels.cu into kernels.fatbin, and writes beside it what was compiled by what: kernels.json.

    python -m gpu.cuda.build_kernels           after every change of kernels.cu; commit both files
    python -m gpu.cuda.build_kernels --check   compiles aside and fails when what is committed is stale

Needs nvcc 12.8 or later and g++, no GPU; relens itself needs neither, it loads the image. Imports nothing of
relens.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).with_name("kernels.cu")
IMAGE = SOURCE.with_suffix(".fatbin")
SIDECAR = SOURCE.with_suffix(".json")

ARCHS = (75, 80, 86, 89, 90, 100, 120)  # Turing to Blackwell: every GPU that CUDA 13 drives, by its own code
PTX = 75  # and for what comes between or after them, code that the driver compiles: the oldest runs on all
MOST_REGISTERS = 64  # at 256 threads a block, four blocks fit the 65,536 registers of a multiprocessor
TIMEOUT_S = 180.0
_FLAGS = (
    "-std=c++17", "-O3", "-fatbin", "--compress-mode=size", "-Xptxas", "-v,-warn-spills", "--threads", "0",
    "-allow-unsupported-compiler",
)  # fmt: skip


class BuildError(Exception):
    """The kernels cannot be compiled, or what is committed is not what they compile to."""


def compile_kernels(nvcc: str, image: Path) -> dict[str, Any]:
    """Compile for every architecture into `image`; returns what the sidecar says of it.

    Raises BuildError with the compiler's words; for registers spilled to memory, or more than
    MOST_REGISTERS."""
    targets = [f"-gencode=arch=compute_{arch},code=sm_{arch}" for arch in ARCHS]
    targets.append(f"-gencode=arch=compute_{PTX},code=compute_{PTX}")
    said = _run([nvcc, *_FLAGS, *targets, "-o", str(image), str(SOURCE)])
    kernels = resources(said)
    if not kernels or any(
        set(kernel["registers"]) != {str(arch) for arch in ARCHS} for kernel in kernels.values()
    ):
        raise BuildError(f"ptxas did not name every kernel for every architecture:\n{said}")
    for name, kernel in kernels.items():
        if kernel["spilled_bytes"] or max(kernel["registers"].values()) > MOST_REGISTERS:
            raise BuildError(
                f"{name} takes too many registers: {kernel}; at most {MOST_REGISTERS}, none spilled"
            )
    return {
        "source_sha256": _sha256(SOURCE),
        "image_sha256": _sha256(image),
        "nvcc": version_of(nvcc),
        "archs": list(ARCHS),
        "ptx": PTX,
        "kernels": kernels,
    }


def resources(said: str) -> dict[str, Any]:
    """From `ptxas -v`: per kernel the registers a thread takes by architecture, and bytes spilled in the
    worst."""
    kernels: dict[str, Any] = {}
    kernel, arch = None, ""
    for line in said.splitlines():
        if found := re.search(r"Compiling entry function '(\w+)' for 'sm_(\d+)'", line):
            kernel = kernels.setdefault(found[1], {"registers": {}, "spilled_bytes": 0})
            arch = found[2]
        elif kernel is not None and (
            found := re.search(r"(\d+) bytes spill stores, (\d+) bytes spill loads", line)
        ):
            kernel["spilled_bytes"] = max(kernel["spilled_bytes"], int(found[1]), int(found[2]))
        elif kernel is not None and (found := re.search(r"Used (\d+) registers", line)):
            kernel["registers"][arch] = int(found[1])
            kernel = None
    for kernel in kernels.values():
        kernel["registers"] = dict(sorted(kernel["registers"].items(), key=lambda item: int(item[0])))
    return dict(sorted(kernels.items()))


def stale(compiled: dict[str, Any] | None = None) -> list[str]:
    """What of the committed image and sidecar is not of this source. Needs no compiler; but what one of the
    same version has just `compiled` must be the same bytes, so that nobody has to trust the image."""
    try:
        sidecar = json.loads(SIDECAR.read_text(encoding="utf-8"))
        image = _sha256(IMAGE)
    except (OSError, ValueError) as error:
        return [f"{error}"]
    found = []
    if sidecar.get("source_sha256") != _sha256(SOURCE):
        found.append(f"{SOURCE.name} has changed since {IMAGE.name} was compiled")
    if sidecar.get("image_sha256") != image:
        found.append(f"{IMAGE.name} is not the one that {SIDECAR.name} describes")
    if (sidecar.get("archs"), sidecar.get("ptx")) != (list(ARCHS), PTX):
        found.append(
            f"{SIDECAR.name} is for other architectures: {sidecar.get('archs')}, PTX {sidecar.get('ptx')}"
        )
    if compiled and compiled["nvcc"] == sidecar.get("nvcc") and compiled["image_sha256"] != image:
        found.append(f"nvcc {compiled['nvcc']} compiles {SOURCE.name} to something else than {IMAGE.name}")
    return found


def version_of(nvcc: str) -> str:
    """As nvcc says it: "13.0.88". Raises BuildError where it does not run."""
    said = _run([nvcc, "--version"])
    found = re.search(r"V(\d+\.\d+\.\d+)", said)
    if found is None:
        raise BuildError(f"{nvcc} --version does not say its version:\n{said}")
    return found[1]


def _run(command: list[str]) -> str:
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise BuildError(f"{error}") from error
    if done.returncode:
        raise BuildError(f"{' '.join(command)} failed ({done.returncode}):\n{done.stdout}")
    return done.stdout


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m gpu.cuda.build_kernels", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--nvcc", default=shutil.which("nvcc"), help="the compiler (default: the one on the PATH)"
    )
    parser.add_argument(
        "--check", action="store_true", help="compile aside; fail when what is committed is stale"
    )
    asked = parser.parse_args(arguments)
    if not asked.nvcc:
        print("no nvcc on the PATH: name one by --nvcc; .ci/kernels fetches one", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory() as folder:
            image = Path(folder) / IMAGE.name
            sidecar = compile_kernels(asked.nvcc, image)
            if not asked.check:
                shutil.copyfile(image, IMAGE)
                SIDECAR.write_text(json.dumps(sidecar, indent=1) + "\n", encoding="utf-8")
            elif found := stale(sidecar):
                raise BuildError(
                    "; ".join(found) + ": run python -m gpu.cuda.build_kernels and commit both files"
                )
    except BuildError as error:
        print(error, file=sys.stderr)
        return 1
    most = max(max(kernel["registers"].values()) for kernel in sidecar["kernels"].values())
    print(
        f"{len(sidecar['kernels'])} kernels for sm_{', '.join(map(str, ARCHS))} by nvcc {sidecar['nvcc']}: "
        f"at most {most} registers, nothing spilled"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
