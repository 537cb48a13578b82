"""A thread that makes a library's calls: what comes at the last moment is the job's, not a timeout."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

import pytest

from gpu.cuda import bounded
from gpu.cuda.bounded import Bounded


class AtTheLastMoment(Future[Any]):
    """Done after its waiter gave up, and before that looks again."""

    def result(self, timeout: float | None = None) -> Any:
        self.exception(10.0)
        if timeout is not None:
            raise TimeoutError
        return super().result()


def test_a_job_done_at_the_last_moment_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "Future", AtTheLastMoment)
    thread = Bounded("relens-test", 1.0)
    try:
        assert thread.run(lambda: 5) == 5
        with pytest.raises(KeyError):
            thread.run(lambda: {}[1])
        assert not thread.stuck
    finally:
        thread.close()


def test_a_jobs_own_timeout_is_not_the_threads() -> None:
    def job() -> None:
        raise TimeoutError("its own")

    thread = Bounded("relens-test", 10.0)
    try:
        with pytest.raises(TimeoutError, match="its own"):
            thread.run(job)
        assert not thread.stuck
        assert thread.run(lambda: 1) == 1
    finally:
        thread.close()
