"""`film-edit` runs in small: both sides, in turn, over the same frames."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pytest

from bench import film_edit
from bench.error import BenchError


def given(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    film_edit.arguments(parser)
    return parser.parse_args(["--seconds", "0.5", "--rounds", "1", "--size", "128x96", *words])


@pytest.mark.slow
def test_both_sides_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    result = film_edit.measure(given())  # `run` does it in a thread, which no timeout would end
    assert set(result["shares"]) == set(film_edit.PROMPTS)
    assert all(share > 0 for share in result["shares"].values())
    said = capsys.readouterr().out
    assert "bare loop, fps" in said
    assert json.loads(said.strip().splitlines()[-1])["frames"] == 12


async def test_without_a_clip_it_says_so(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="--clip"):
        await film_edit.run(given("--clip", str(tmp_path / "none.mp4")))
