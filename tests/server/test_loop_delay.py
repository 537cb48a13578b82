"""The loop's delay is seen when the loop is held up, and the sampler ends."""

from __future__ import annotations

import asyncio
import time

from visitor import until

from server.loop_delay import LoopDelay


async def test_a_held_up_loop_is_seen() -> None:
    delay = LoopDelay()
    assert delay.quantile_s(0.99) == 0
    delay.start()
    await asyncio.sleep(0.05)
    time.sleep(0.15)  # noqa: ASYNC251  # what must not happen, to see it measured
    await until(lambda: delay.quantile_s(0.99) > 0.1)
    assert delay.quantile_s(0.0) <= delay.quantile_s(0.5) <= delay.quantile_s(0.99)
    await delay.close()
    assert "loop-delay" not in {task.get_name() for task in asyncio.all_tasks()}
    await delay.close()
