"""`python -m bench gpu-media` on the fake driver: every part runs; no figure is passed off as one."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench import gpu_media
from gpu.cuda import twins
from gpu.types import EncodedFrame, Frame
from tests.gpu.cuda.conftest import (  # noqa: F401  # fixtures
    driver_folder,
    fake_gpu,
    gpu_folder,
    kernel_library,
)
from tests.gpu.cuda.fake import FakeDriver

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("twins", "memory", "graph", "decode", "libav", "bus", "encode", "at_once", "long_run")


def asked(out: Path, dry_run: bool = True) -> argparse.Namespace:
    return argparse.Namespace(minutes=0.01, limit_s=400.0, out=out, dry_run=dry_run)


def bench(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bench", "gpu-media", *args], cwd=ROOT, capture_output=True, text=True,
        timeout=60, env={**os.environ, **environ},
    )  # fmt: skip


def test_every_part_runs(fake_gpu: FakeDriver, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:  # noqa: F811
    result = gpu_media.measure(asked(tmp_path))
    assert result["wrong"] == []
    assert tuple(result["parts"]) == PARTS
    assert not any("error" in part for part in result["parts"].values())
    parts = result["parts"]
    assert set(parts["twins"]["worst"]) >= {"nv12_to_rgb", "edit_change, composite", "rgb_to_nv12"}
    assert parts["libav"]["NVDEC h264 baseline against libav, 96x64"]["equal"] == 6
    assert parts["bus"]["128x96"]["down_bytes"] == parts["bus"]["128x96"]["up_bytes"] == 0
    assert parts["encode"]["NVENC h264 96x64"]["keyframes_at"] == [0]
    assert parts["long_run"]["frames"] > 0
    said = capsys.readouterr().out
    assert said.startswith("| fake driver, figures mean nothing")
    told = json.loads((tmp_path / "gpu-media.json").read_text())
    assert (told["fake"], told["title"].split(",")[0]) == (True, "fake driver")
    for name in ("gpu-media.md", "gpu-media.svg"):
        assert "fake driver, figures mean nothing" in (tmp_path / name).read_text()


def test_without_nvenc_one_picture_comes_down(
    fake_gpu: FakeDriver,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bench.gpu_path import over_the_bus
    from bench.gpu_world import TINY, World

    world = World(TINY, 100)
    world.clip("h264", TINY.sizes[0])
    world.clip("h264", TINY.sizes[1])
    monkeypatch.setenv("FAKE_NVENC_CODECS", "none")
    found = over_the_bus(world)
    world.close()
    assert found.wrong == []
    assert found.data["96x64"]["down_bytes"] == 96 * 64 * 3 // 2
    assert found.data["96x64"]["encoder"] == "libx264"


@pytest.mark.parametrize("after", [40, 3000])
def test_a_gpu_lost_on_the_way_is_told_with_what_was_found_before(
    fake_gpu: FakeDriver,  # noqa: F811
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    after: int,
) -> None:
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", str(after))
    result = gpu_media.measure(asked(tmp_path))
    assert fake_gpu.lost
    assert any("the GPU is lost" in text for text in result["wrong"])
    assert tuple(result["parts"]) == PARTS
    assert ("worst" in result["parts"]["twins"]) == (after == 3000)
    assert "Not as it must be" in (tmp_path / "gpu-media.md").read_text()


def test_a_kernel_that_differs_from_its_twin_is_found(
    fake_gpu: FakeDriver,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bench.gpu_kernels import against_twins
    from bench.gpu_world import TINY, World

    right = twins.nv12_to_rgb

    def other(*args: Any) -> Any:
        return np.clip(right(*args) + 0.01, 0, 1)

    monkeypatch.setattr(twins, "nv12_to_rgb", other)
    world = World(TINY, 100)
    found = against_twins(world)
    world.close()
    assert any("nv12_to_rgb" in text for text in found.wrong)


def test_a_picture_that_differs_from_libavs_is_found(
    fake_gpu: FakeDriver,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from bench import gpu_decode
    from bench.gpu_world import TINY, World

    class Other(gpu_decode.LibavDecoder):
        def decode(self, encoded: EncodedFrame) -> list[Frame]:
            return [replace(frame, y=frame.y ^ (frame.pts == 3000)) for frame in super().decode(encoded)]

    monkeypatch.setattr(gpu_decode, "LibavDecoder", Other)
    world = World(TINY, 100)
    found = gpu_decode.against_libav(world)
    world.close()
    told = found.data["NVDEC h264 baseline against libav, 96x64"]
    assert (told["equal"], told["of"]) == (5, 6)
    assert found.wrong


def test_it_needs_numpy_and_pyav_alone(fake_gpu: FakeDriver, tmp_path: Path) -> None:  # noqa: F811
    """A machine lent with a GPU has not all that relens installs."""
    absent = (
        "aiortc",
        "aiohttp",
        "msgspec",
        "openvino",
        "onnxruntime",
        "prometheus_client",
        "matplotlib",
        "psutil",
    )
    program = (
        f"import sys, runpy; sys.modules.update(dict.fromkeys({absent})); "
        f"sys.argv = ['bench', 'gpu-media', '--dry-run', '--out', {str(tmp_path)!r}]; "
        "runpy.run_module('bench', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *table, last = done.stdout.splitlines()
    assert table[0].startswith("| fake driver, figures mean nothing")
    assert json.loads(last)["wrong"] == []


def test_the_fake_driver_is_not_measured(fake_gpu: FakeDriver, tmp_path: Path) -> None:  # noqa: F811
    done = bench("--out", str(tmp_path))
    assert done.returncode == 3
    assert "--dry-run" in done.stderr
    assert done.stdout == ""
    assert not list(tmp_path.iterdir())


def test_without_a_gpu_one_line_says_so(fake_gpu: FakeDriver, tmp_path: Path) -> None:  # noqa: F811
    done = bench("--dry-run", "--out", str(tmp_path), FAKE_CUDA_DEVICES="0")
    assert done.returncode == 3
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert "no GPU" in done.stderr
    assert not list(tmp_path.iterdir())
