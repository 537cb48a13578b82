"""Real codecs over a path that loses 5 % and jitters by 40 ms, repeated by seed."""

from __future__ import annotations

import asyncio
import sys
import time
from itertools import pairwise
from pathlib import Path as File

import pytest
from browser import Browser, Echo, until

from server.peer import Peer, PeerConfig, PeerState

sys.path.insert(0, str(File(__file__).parents[2]))
from relay import Path, Relay

SECONDS = 8
pytestmark = [pytest.mark.slow, pytest.mark.realtime]


@pytest.mark.parametrize(("codec", "reorder"), [("H264", 0.0), ("VP8", 0.3)])
async def test_video_never_freezes_for_long(codec: str, reorder: float) -> None:
    browser, listener = Browser(codec), Echo()
    peer = Peer(PeerConfig(), listener)
    listener.peer = peer
    relay: Relay | None = None
    try:
        offer = await browser.offer()
        # neither side learns the other's address: everything goes over the relay
        offer = "".join(
            x + "\r\n" for x in offer.splitlines() if not x.startswith(("a=candidate", "a=end-of"))
        )
        lines = (await peer.accept(offer)).splitlines()
        ours = next(x.split() for x in lines if x.startswith("a=candidate") and ":" not in x.split()[4])
        relay = await Relay.open((ours[4], int(ours[5])), seed=3)
        ours[4:6] = relay.address[0], str(relay.address[1])
        lines = [x for x in lines if not x.startswith(("a=candidate", "a=end-of"))]
        lines.insert(
            next(i for i, x in enumerate(lines) if x.startswith("a=ice-ufrag")), " ".join(map(str, ours))
        )
        await browser.answer("\r\n".join(lines) + "\r\n")
        await until(lambda: PeerState.CONNECTED in listener.states and len(listener.frames) > 5)
        relay.impair(Path(loss=0.05, jitter_ms=40, reorder=reorder))
        begun = time.monotonic_ns()
        await asyncio.sleep(SECONDS)
        arrivals = [f.arrived_ns for f in listener.frames if f.arrived_ns > begun]
        assert relay.up.lost > 5  # packets were lost, and
        assert peer.stats().nacks_sent > 5
        assert max(b - a for a, b in pairwise(arrivals)) < 400e6
        assert len(arrivals) > SECONDS * 20 * 0.8
    finally:
        await peer.close()
        await browser.close()
        if relay is not None:
            await relay.close()
