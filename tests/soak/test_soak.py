"""Nothing grows: thousands of frames in one pipeline, sessions dropped in every state: a short soak."""

from __future__ import annotations

import pytest

from bench.held import growth
from bench.soak_frames import soak_frames
from bench.soak_sessions import STATES, soak_sessions
from tests import beside

POOL_THREADS = 8  # server.app.THREADS: a pool that fills as it is first used
SESSIONS = 3 * len(STATES)

pytestmark = pytest.mark.slow


def test_frames_leave_nothing_behind():
    # In a process of its own: what earlier tests left to their threads grows in this one.
    done = beside.call(soak_frames, "passthrough", "160x120", 4000, 25.0)
    assert done["errors"] == []
    assert done["framesOut"] == done["framesIn"] > 1000
    assert done["applied"] == done["changes"] > 0
    grown = growth(done["before"], done["after"])
    assert grown["rssMb"] < 4
    assert grown["objects"] < 1000
    assert grown["threads"] == 0
    assert grown["files"] == 0
    assert growth(done["start"], done["closed"])["threads"] == 0


async def test_sessions_dropped_in_every_state_leave_nothing_behind():
    done = await soak_sessions("passthrough", SESSIONS, warm_rounds=1)
    assert done["refused"] == []
    assert done["sessions"] == SESSIONS
    grown = growth(done["before"], done["after"])
    assert grown["tasks"] == 0
    assert grown["udpSockets"] == 0
    assert grown["files"] <= 0
    assert grown["objects"] < 50 * SESSIONS
    assert grown["threads"] <= POOL_THREADS
    assert grown["rssMb"] < SESSIONS  # a pipeline with its codecs is more than 1 MB
