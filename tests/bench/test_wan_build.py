"""`python -m bench wan-build`, at a size that takes seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench import wan_build
from bench.error import BenchError, NothingToMeasure
from gpu.wan.engines.trt_library import installed

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(not installed("tensorrt-rtx"), reason="TensorRT-RTX is not installed")
def test_a_toy_is_exported_and_built_and_told(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    small = (
        "--config",
        "liveedit-toy",
        "--size",
        "64x48",
        "--blocks",
        "1",
        "--architectures",
        "sm120",
        "--fp8",
    )
    command = [sys.executable, "-m", "bench", "wan-build", *small, "--folder", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=90)
    assert done.returncode == 0, done.stderr[-2000:]
    *lines, last = done.stdout.splitlines()
    (built,) = json.loads(last)["builds"]
    (engine,) = tmp_path.glob("*-fp8-sm120.engine")
    assert built["engine_bytes"] == engine.stat().st_size
    assert built["in_place"] == built["ring"] == 4
    assert built["graph_bytes"] > 500_000, "the weights belong to it"
    assert any(line.startswith("full, block 1") and "SM120" in line for line in lines)


def test_without_the_library_there_is_nothing_to_measure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wan_build, "installed", lambda name: False)
    with pytest.raises(NothingToMeasure, match="pip install"):
        wan_build.measure(_args())


def test_what_is_refused_ends_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wan_build, "installed", lambda name: True)
    with pytest.raises(BenchError, match="both must be multiples of 16"):
        wan_build.measure(_args("--size", "100x100", "--folder", str(tmp_path)))


def _args(*given: str):  # type: ignore[no-untyped-def]
    import argparse

    parser = argparse.ArgumentParser()
    wan_build.arguments(parser)
    return parser.parse_args(given)
