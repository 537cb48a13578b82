"""Models are loaded once, one at a time, and all of them end."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from gpu.errors import ModelError
from server.workers import Workers


@pytest.fixture
def executor() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(2)


async def test_a_model_asked_for_by_many_is_loaded_once(executor: ThreadPoolExecutor) -> None:
    workers = Workers("passthrough", 0, executor)
    assert workers.loaded("passthrough") is None
    found = await asyncio.gather(*(workers.get(name) for name in ("", "passthrough", "")))
    assert len({id(worker) for worker in found}) == 1
    assert workers.loaded("passthrough") is found[0]
    await workers.close()
    assert workers.loaded("passthrough") is None
    executor.shutdown()


async def test_unknown_names_are_refused_with_the_known(executor: ThreadPoolExecutor) -> None:
    workers = Workers("passthrough", 0, executor)
    with pytest.raises(ModelError, match="passthrough"):
        await workers.get("x" * 1_000)
    assert [spec.name for spec in workers.specs].count("passthrough") == 1
    executor.shutdown()
