"""Cores are counted on every system."""

from __future__ import annotations

import os

import pytest

from gpu.cores import usable_cores


def test_where_the_system_can_say_it_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5, 7}, raising=False)
    assert usable_cores() == 3


@pytest.mark.parametrize(("said", "cores"), [(3, 3), (None, 1)])
def test_where_it_cannot_all_of_the_machine_count(
    monkeypatch: pytest.MonkeyPatch, said: int | None, cores: int
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: said)
    assert usable_cores() == cores
