"""What is kept is waited for in one place: tried again, handed on once, told while it is away."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path

import pytest

from server import keeping as module
from server.keeping import OPENING, Keeping
from server.kept.errors import DatabaseUnavailable, KeptError
from server.kept.kept import Kept
from tests.server.visitor import until


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_S", 0.05)


@pytest.fixture
def executor() -> Iterator[Executor]:
    with ThreadPoolExecutor(2) as made:
        yield made


class Opening:
    """Opens what is kept once it may."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.away, self.tries = folder, "", 0

    def __call__(self) -> Kept:
        self.tries += 1
        if self.away:
            raise DatabaseUnavailable(self.away, "the database is away")
        return Kept.open(str(self.folder))


async def test_what_is_there_is_there_when_the_server_starts(tmp_path: Path, executor: Executor) -> None:
    taken: list[Kept] = []

    async def take_up(kept: Kept) -> None:
        taken.append(kept)

    keeping = Keeping(Opening(tmp_path), executor, take_up, take_up)
    assert (keeping.kept, keeping.problem) == (None, OPENING)
    await keeping.start()
    assert taken == [keeping.kept, keeping.kept]
    assert keeping.problem == ""
    kept = taken[0]
    await keeping.close()
    with pytest.raises(RuntimeError):
        await kept.run(lambda: 1)


async def test_what_is_away_is_told_and_taken_up_later(
    tmp_path: Path, executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    opening, taken = Opening(tmp_path), list[Kept]()
    opening.away = "the database at 10.0.0.5 is away: see that it runs"

    async def take_up(kept: Kept) -> None:
        taken.append(kept)

    keeping = Keeping(opening, executor, take_up)
    await keeping.start()
    assert opening.tries == 1, "the server's start waits for one try"
    assert keeping.problem == opening.away
    missing = keeping.missing("films")
    assert str(missing) == "films are not there yet, and come by themselves: the database is away"
    assert 1 <= missing.retry_after_s <= 16
    await until(lambda: opening.tries > 3)
    assert caplog.text.count(opening.away) == 1, "said once, not at each try"
    opening.away = ""
    await until(lambda: not keeping.problem)
    assert keeping.told == ""
    assert taken == [keeping.kept]
    tries = opening.tries
    await asyncio.sleep(0.2)
    assert opening.tries == tries
    await keeping.close()


async def test_one_that_cannot_yet_holds_up_no_other_and_a_defect_is_logged_once(
    tmp_path: Path, executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    called: list[str] = []
    broken = [True]

    async def tables(_: Kept) -> None:
        called.append("tables")
        if broken:
            raise KeptError("the tables cannot be read: restore them")

    async def defect(_: Kept) -> None:
        called.append("defect")
        if broken:
            raise ValueError("a defect of the tests")

    async def well(_: Kept) -> None:
        called.append("well")

    keeping = Keeping(Opening(tmp_path), executor, tables, defect, well)
    await keeping.start()
    assert keeping.kept is not None
    assert keeping.problem == (
        "the tables cannot be read: restore them; a defect of relens (ValueError), its log says more"
    )
    assert keeping.told == keeping.problem, "there is nothing in it that strangers may not hear"
    await until(lambda: called.count("defect") > 3)
    assert caplog.text.count("ValueError: a defect of the tests") == 1
    broken.clear()
    await until(lambda: not keeping.problem)
    assert called.count("well") == 1
    await keeping.close()


async def test_a_database_that_hangs_holds_up_neither_start_nor_end(
    tmp_path: Path, executor: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "START_S", 0.05)
    released, opened = threading.Event(), list[Kept]()

    def hangs() -> Kept:
        released.wait(30)
        opened.append(Kept.open(str(tmp_path)))
        return opened[0]

    async def never(_: Kept) -> None:
        raise AssertionError("it came too late")

    keeping = Keeping(hangs, executor, never)
    await keeping.start()
    assert keeping.problem == OPENING
    await keeping.close()
    released.set()
    await until(lambda: opened)

    async def is_closed() -> bool:
        try:
            await opened[0].run(lambda: 1)
        except RuntimeError:
            return True
        return False

    while not await is_closed():  # noqa: ASYNC110
        await asyncio.sleep(0.01)
