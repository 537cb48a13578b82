"""OBS over a path that loses packets: it sends them again when asked, and makes no keyframe when asked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from server.streams.whip import WhipPublisher
from tests.relay import Path, Relay
from tests.server.streams.studio import studio
from tests.server.visitor import until

SECONDS = 4
pytestmark = [pytest.mark.slow, pytest.mark.realtime]


def by_way_of(relay: Relay, answer: str, ours: list[str]) -> str:
    """The answer with the relay's address in the place of all of ours."""
    ours[4:6] = relay.address[0], str(relay.address[1])
    lines = [x for x in answer.splitlines() if not x.startswith(("a=candidate", "a=end-of"))]
    at = next(i for i, x in enumerate(lines) if x.startswith("a=ice-ufrag"))
    return "\r\n".join([*lines[:at], " ".join(ours), *lines[at:]]) + "\r\n"


async def test_what_obs_sends_arrives_over_a_path_that_loses_packets() -> None:
    async with studio() as here:
        obs = here.obs(size=(640, 360))
        relay: Relay | None = None
        connect: Callable[[], Any] = obs.connect

        async def over_the_relay() -> None:
            nonlocal relay
            lines = obs.answer.splitlines()
            ours = next(x.split() for x in lines if x.startswith("a=candidate") and ":" not in x.split()[4])
            relay = await Relay.open((ours[4], int(ours[5])), seed=7)
            obs.answer = by_way_of(relay, obs.answer, ours)
            await connect()

        obs.connect = over_the_relay  # type: ignore[method-assign]
        await obs.publish()
        try:
            await until(lambda: here.stream.facts().fps_out > 5)
            publisher = here.stream.publisher
            assert isinstance(publisher, WhipPublisher)
            assert relay is not None
            relay.impair(Path(loss=0.03, delay_ms=40))
            before = publisher._peer.stats()
            await asyncio.sleep(SECONDS)
            after = publisher._peer.stats()
            assert relay.up.lost > 5
            assert after.nacks_sent > before.nacks_sent
            given_up = after.packets_abandoned - before.packets_abandoned
            assert (
                given_up < relay.up.lost / 2
            )  # a keyframe that is whole does not wait for what was before it
            assert after.frames_received - before.frames_received > SECONDS * 30 * 0.8
        finally:
            if relay is not None:
                await relay.close()
