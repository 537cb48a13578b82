"""The committed image of the kernels: of this source, for every architecture, within its registers."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

from gpu.cuda import build_kernels, kernels
from tests.gpu.cuda.shim import kernel_names

SAID = """\
ptxas info    : Compiling entry function 'composite' for 'sm_80'
ptxas info    : Function properties for composite
    0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers, used 0 barriers, 424 bytes cmem[0]
ptxas info    : Compile time = 29.915 ms
ptxas info    : Compiling entry function 'composite' for 'sm_75'
ptxas info    : Function properties for composite
    32 bytes stack frame, 24 bytes spill stores, 28 bytes spill loads
ptxas info    : Used 44 registers, used 0 barriers, 32 bytes cumulative stack size, 424 bytes cmem[0]
"""


def entries(image: bytes) -> list[tuple[int, int]]:
    """(kind, architecture) of each entry of a fat binary: 1 is PTX, 2 machine code. The layout is nvFatbin's:
    a header of 16 bytes, then entries with a header of their own whose word at 28 is the architecture."""
    magic, _, header, size = struct.unpack_from("<IHHQ", image)
    assert magic == 0xBA55ED50
    found, at = [], header
    while at < header + size:
        kind, _, own, length = struct.unpack_from("<HHIQ", image, at)
        found.append((kind, struct.unpack_from("<I", image, at + 28)[0]))
        at += own + length
    return found


def test_what_is_committed_is_of_this_source() -> None:
    assert build_kernels.stale() == [], "bash .ci/kernels, then commit kernels.fatbin and kernels.json"


def test_every_kernel_for_every_architecture() -> None:
    found = entries(build_kernels.IMAGE.read_bytes())
    assert sorted(arch for kind, arch in found if kind == 2) == list(build_kernels.ARCHS)
    assert [arch for kind, arch in found if kind == 1] == [build_kernels.PTX]
    assert kernels.archs() == build_kernels.ARCHS
    said = json.loads(build_kernels.SIDECAR.read_text(encoding="utf-8"))["kernels"]
    assert sorted(said) == sorted(kernel_names())
    for name, kernel in said.items():
        assert list(kernel["registers"]) == [str(arch) for arch in build_kernels.ARCHS], name
        assert max(kernel["registers"].values()) <= build_kernels.MOST_REGISTERS, name
        assert kernel["spilled_bytes"] == 0, name


def test_what_ptxas_says_is_read() -> None:
    assert build_kernels.resources(SAID) == {
        "composite": {"registers": {"75": 44, "80": 40}, "spilled_bytes": 28}
    }


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Source, image and sidecar, in a folder of the test's own."""
    for what in ("SOURCE", "IMAGE", "SIDECAR"):
        path: Path = getattr(build_kernels, what)
        monkeypatch.setattr(build_kernels, what, Path(shutil.copy(path, tmp_path)))
    assert build_kernels.stale() == []
    return tmp_path


@pytest.mark.parametrize(
    ("name", "spoil", "message"),
    [
        ("kernels.cu", lambda old: old + b"// more\n", "kernels.cu has changed since"),
        ("kernels.fatbin", lambda old: old[:-1] + b"?", "not the one that kernels.json describes"),
        ("kernels.json", lambda old: old.replace(b" 120\n", b" 121\n"), "other architectures"),
        ("kernels.json", lambda old: b"{", "Expecting"),
    ],
)
def test_staleness_is_seen(copied: Path, name: str, spoil: Any, message: str) -> None:
    path = copied / name
    before = path.read_bytes()
    path.write_bytes(spoil(before))
    assert path.read_bytes() != before
    assert any(message in line for line in build_kernels.stale())


def test_an_image_that_the_same_compiler_does_not_make_is_seen(copied: Path) -> None:
    sidecar = json.loads(build_kernels.SIDECAR.read_text(encoding="utf-8"))
    assert build_kernels.stale(sidecar) == []
    assert "to something else" in build_kernels.stale({**sidecar, "image_sha256": "0"})[0]
    assert build_kernels.stale({"nvcc": "99.0.0", "image_sha256": "0"}) == []


def test_the_command_says_what_is_missing(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert build_kernels.main(["--check", "--nvcc", ""]) == 2
    assert ".ci/kernels fetches one" in capsys.readouterr().err
    assert build_kernels.main(["--check", "--nvcc", str(tmp_path / "nvcc")]) == 1
    assert "No such file" in capsys.readouterr().err
    mute = tmp_path / "mute"
    mute.write_text("#!/bin/sh\necho nothing of use\n")
    mute.chmod(0o755)
    with pytest.raises(build_kernels.BuildError, match="ptxas did not name every kernel"):
        build_kernels.compile_kernels(str(mute), tmp_path / "image")
    with pytest.raises(build_kernels.BuildError, match="does not say its version"):
        build_kernels.version_of(str(mute))
