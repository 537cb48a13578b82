"""What is typed after an edit and said of it: hand-written lines, in degrees.txt, and what each comes to."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu.history import Settled, settled_in_order
from gpu.nano.text import TextTower
from gpu.types import Edit

FILE, BESIDE = (Path(__file__).parent / name for name in ("degrees.txt", "degrees_beside.txt"))
LEAST, LEAST_UNSEEN = 0.92, 0.85


@pytest.fixture(scope="module")
def tower() -> TextTower:
    return TextTower.load()


def amounts(settled: Settled) -> dict[str, float]:
    return {part.name: part.amount * settled.edit.strength for part in settled.reading.parts}


def comes_to(before: dict[str, float], after: dict[str, float], understood: bool, wanted: str) -> bool:
    if wanted == "none" or not understood:
        return wanted == "none" and not understood
    name, how = wanted[:-1], wanted[-1]
    if wanted.startswith("+"):
        return {one: amount for one, amount in after.items() if one != wanted[1:]} == before != after
    if wanted.startswith("="):
        return set(after) == {wanted[1:]}
    others = {one: amount for one, amount in before.items() if name not in ("all", one)}
    if others != {one: amount for one, amount in after.items() if name not in ("all", one)}:
        return False
    if how == "-":
        return name not in after
    changed = before if name == "all" else [name]
    sign = 1 if how == ">" else -1
    return all(sign * (after.get(one, before[one]) - before[one]) > 0 for one in changed)


def is_read(tower: TextTower, line: str) -> bool:
    running, said, wanted = line.split("\t")
    first, second = settled_in_order([Edit(0, running), Edit(1, said)], tower.read)
    before, after, understood = amounts(first), amounts(second), second.reading.understood
    return any(comes_to(before, after, understood, way) for way in wanted.split("|"))


def lines_of(file: Path) -> list[str]:
    return [line for line in file.read_text("utf-8").splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(("part", "least"), [("looked at", LEAST), ("never looked at", LEAST_UNSEEN)])
def test_what_is_said_of_the_edit_in_force_is_done_to_it(tower: TextTower, part: str, least: float) -> None:
    told = lines_of(FILE)[part != "looked at" :: 2]
    wrong = [line for line in told if not is_read(tower, line)]
    print(f"{FILE.name}, {part}: {1 - len(wrong) / len(told):.1%} of {len(told)} as meant")
    assert len(told) >= 40
    assert 1 - len(wrong) / len(told) >= least, "\n".join(wrong) if part == "looked at" else "(not shown)"


def test_what_is_switched_off_or_added_leaves_the_rest(tower: TextTower) -> None:
    told = lines_of(BESIDE)
    wrong = [line for line in told if not is_read(tower, line)]
    print(f"{BESIDE.name}: {1 - len(wrong) / len(told):.1%} of {len(told)} as meant")
    assert len(told) >= 70
    assert 1 - len(wrong) / len(told) >= LEAST, "\n".join(wrong)
