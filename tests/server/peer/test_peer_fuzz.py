"""Datagrams made from real ones by chance (seeded): from the right address, and authenticated."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import Any

import pylibsrtp
import pytest
from browser import Browser, connect, until
from google_crc32c import value as crc32c

from server.peer import PeerState

COUNT = 1500
KEEP = {"datagram": 0, "rtp": 12, "sctp": 12}


def spoil(data: bytes, rng: random.Random, keep: int = 0) -> bytes:
    """A few bytes changed, cut or put in, behind the first `keep`."""
    spoilt = bytearray(data)
    for _ in range(rng.randrange(1, 5)):
        at = rng.randrange(keep, max(len(spoilt), keep + 1))
        match rng.randrange(4):
            case 0 if at < len(spoilt):
                spoilt[at] = rng.randrange(256)
            case 1:
                del spoilt[at : at + rng.randrange(1, 8)]
            case 2:
                spoilt[at:at] = rng.randbytes(rng.randrange(1, 8))
            case 3:
                del spoilt[at:]
    return bytes(spoilt)


def gather(holder: Any, name: str, into: list[bytes]) -> Any:
    inner = getattr(holder, name)

    async def send(data: bytes) -> None:
        if len(into) < 500:
            into.append(data)
        await inner(data)

    setattr(holder, name, send)
    return inner


@pytest.mark.parametrize("layer", ["datagram", "rtp", "sctp"])
async def test_spoilt_datagrams_do_not_end_a_session(layer: str, caplog: pytest.LogCaptureFixture) -> None:
    rng = random.Random(layer)
    browser = Browser()
    peer, listener = await connect(browser)
    dtls = browser.pc.getTransceivers()[0].receiver.transport
    seen: list[bytes] = []
    faults: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context))
    try:
        await until(lambda: browser.channel.readyState == "open")
        if layer == "datagram":
            send = gather(dtls.transport, "_send", seen)
        else:
            send = gather(dtls, "_send_rtp" if layer == "rtp" else "_send_data", seen)
        for i in range(20):
            browser.channel.send(f"{i}" * 50)
            await asyncio.sleep(0.02)
        await until(lambda: len(seen) > 20)
        samples = list(seen)
        for i in range(COUNT):
            data = spoil(rng.choice(samples), rng, KEEP[layer])
            if layer == "sctp":  # with a right checksum, or nothing is looked at
                data = data[:8] + crc32c(data[:8] + bytes(4) + data[12:]).to_bytes(4, "little") + data[12:]
            with contextlib.suppress(pylibsrtp.Error):  # libsrtp may refuse to send it
                await send(data)
            if i % 50 == 0:
                await asyncio.sleep(0)
        frames = len(listener.frames)
        await until(lambda: len(listener.frames) >= frames + 5)
        assert peer.state is PeerState.CONNECTED
        assert not [r for r in caplog.records if r.levelname in ("ERROR", "CRITICAL")]
        assert not faults
    finally:
        await peer.close()
        await browser.close()
