"""The full-size model's measurement runs in every part on a toy network; its figures mean nothing there."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

pytest.importorskip("torch")

from bench import liveedit, liveedit_speed
from bench.error import BenchError, NothingToMeasure
from bench.liveedit_world import World
from gpu.wan.config import LIVEEDIT_1_3B, StreamShape
from gpu.wan.cost import flops
from gpu.wan.sampler import Sampling


def given(tmp_path: Path, **other: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    liveedit.arguments(parser)
    args = parser.parse_args(["--dry-run", "--engines", "eager", "--out", str(tmp_path), "--device", "cpu"])
    vars(args).update(other)
    return args


@pytest.mark.slow
def test_every_part_runs_and_is_written_down(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = liveedit.measure(given(tmp_path))  # `run` does it in a thread, which no timeout would end
    assert result["wrong"] == []
    assert result["parts"]["agree"]["eager"] < 1e-6
    said = capsys.readouterr().out
    assert "dry run, figures mean nothing" in said
    for row in ("matrix rate", "Self-Forcing's public loop | not run", "mask cache", "tiny decoder"):
        assert row in said
    assert json.loads((tmp_path / "liveedit.json").read_text())["bench"] == "liveedit"
    assert "## " in (tmp_path / "liveedit.md").read_text()


async def test_without_a_gpu_there_is_nothing_to_measure(tmp_path: Path) -> None:
    with pytest.raises(NothingToMeasure, match="--dry-run"):
        await liveedit.run(given(tmp_path, dry_run=False))


def test_a_folder_that_is_no_yardstick_is_a_row_that_says_so(tmp_path: Path) -> None:
    world = World("cpu", True, 60.0, ("eager",))
    from bench.liveedit_yardstick import self_forcing

    with pytest.raises(BenchError, match=r"no wan/modules/causal_model\.py"):
        self_forcing(world, tmp_path)


def test_operations_of_a_block_are_those_of_its_passes() -> None:
    world = World("cpu", True, 60.0, ("eager",))
    shape = StreamShape(96, 64, 3, 3, 3)
    full = liveedit_speed.block_flops(world, shape, Sampling())
    assert full == 5 * flops(world.scale.config, shape)
    assert liveedit_speed.block_flops(world, shape, Sampling(steps=2)) == 3 * flops(world.scale.config, shape)
    assert 0.5 * full < liveedit_speed.block_flops(world, shape, Sampling(mask_cache=True)) < full
    assert flops(LIVEEDIT_1_3B, StreamShape()) > 1e13
