"""The simulation is the same each time, and its path and sender do what they are said to."""

from __future__ import annotations

from itertools import pairwise

from bench.receive import Simulation
from tests.relay import Path


def gaps(path: Path, seed: int, again_after_s: float = 0.075) -> list[float]:
    shown = Simulation(path, seed, again_after_s, 0.075).run(20).shown_s
    return [b - a for a, b in pairwise(shown)]


def test_a_clean_path_shows_every_frame_in_time():
    out = gaps(Path(), 1)
    assert len(out) >= 478
    assert max(out) < 0.05


def test_same_seed_same_stream():
    lossy = Path(loss=0.05, jitter_ms=40)
    assert gaps(lossy, 2) == gaps(lossy, 2) != gaps(lossy, 3)


def test_loss_is_repaired_by_asking_again():
    seen = Simulation(Path(loss=0.05, jitter_ms=40), 1, 0.0, 0.075).run(20)
    assert seen.nacks > 50
    assert len(seen.shown_s) > 470  # a tenth of the frames would miss a packet otherwise


def test_a_dead_path_shows_nothing():
    assert gaps(Path(loss=1.0), 1) == []
