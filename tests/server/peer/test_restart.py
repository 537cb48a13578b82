"""An ICE restart by a new offer: media, timestamps and messages go on; a failed one leaves the old path."""

from __future__ import annotations

from browser import Browser, Echo, connect, until

from server.peer import Peer, PeerConfig, PeerState
from server.peer.privates import IcePath


class Restarting(Browser):
    """A browser that can restart: aiortc cannot, so its transport gets the same exchange as ours."""

    def __init__(self) -> None:
        super().__init__()
        self.path: IcePath | None = None

    def equip(self) -> None:
        """Before its sockets are open."""
        transport = self.pc.getTransceivers()[0].receiver.transport
        self.path = IcePath(transport, (), 100)

    async def restart(self, peer: Peer, answered: bool = True) -> bool:
        assert self.path is not None
        connect_ice = await self.path.restart("", "", 5.0)
        offer = await self.offer()
        answer = await peer.accept(offer)
        new = self.path._ice._connection
        lines = answer.splitlines()
        new.remote_username = next(x[12:] for x in lines if x.startswith("a=ice-ufrag:"))
        new.remote_password = next(x[10:] for x in lines if x.startswith("a=ice-pwd:"))
        if not answered:
            return False
        answer = "".join(x + "\r\n" for x in lines if x != "a=end-of-candidates")
        await self.answer(answer)
        return await connect_ice()

    async def close(self) -> None:
        assert self.path is not None
        await super().close()
        await self.path.close()


async def joined(config: PeerConfig | None = None) -> tuple[Restarting, Peer, Echo]:
    browser = Restarting()
    inner = browser.offer

    async def offer() -> str:
        # aiortc's own first offer gathers; equip between the making of transports and that
        browser.equip()
        browser.offer = inner  # type: ignore[method-assign]
        return await inner()

    browser.offer = offer  # type: ignore[method-assign]
    peer, listener = await connect(browser, config)
    await until(lambda: len(browser.decoded) >= 3 and browser.channel.readyState == "open")
    return browser, peer, listener


async def test_media_and_messages_go_on_over_a_restart() -> None:
    browser, peer, listener = await joined()
    try:
        link = peer._link
        assert link is not None
        before, last = link._path._active, listener.frames[-1].pts
        old_ufrag = before.local_username
        assert await browser.restart(peer)
        await until(lambda: link._path._active is not before)
        assert link._path._active.local_username != old_ufrag
        assert peer._link is link  # the same DTLS, SRTP and SCTP
        seen = len(browser.decoded)
        await until(lambda: len(browser.decoded) >= seen + 10)
        await until(lambda: not before._protocols)  # the old one's sockets are closed
        assert listener.frames[-1].pts > last
        pts = [frame.pts for frame in listener.frames]
        assert pts == sorted(set(pts))
        browser.channel.send("after")
        await until(lambda: browser.received == ["after"])
        assert listener.states == [PeerState.CONNECTED]
        # and once more
        assert await browser.restart(peer)
        seen = len(browser.decoded)
        await until(lambda: len(browser.decoded) >= seen + 5)
    finally:
        await peer.close()
        await browser.close()


async def test_a_path_that_died_is_replaced() -> None:
    browser, peer, listener = await joined(PeerConfig(idle_timeout_s=10))
    try:
        assert peer._link is not None
        await peer._link._path._active.close()  # what expired consent does
        assert not peer._link.connected
        assert await browser.restart(peer)
        await until(lambda: peer._link is not None and peer._link.connected)
        seen = len(browser.decoded)
        await until(lambda: len(browser.decoded) >= seen + 10)
        assert PeerState.FAILED not in listener.states
    finally:
        await peer.close()
        await browser.close()


async def test_a_restart_that_fails_leaves_the_session_on_its_path() -> None:
    browser, peer, listener = await joined(PeerConfig(connect_timeout_s=0.5))
    try:
        assert peer._link is not None
        before = peer._link._path._active
        await browser.restart(peer, answered=False)
        await until(lambda: peer._restarting is not None and peer._restarting.done())
        assert peer._link._path._active is before
        assert peer._link._path._ice._connection is before
        seen = len(browser.decoded)
        await until(lambda: len(browser.decoded) >= seen + 5)
        assert listener.states == [PeerState.CONNECTED]
    finally:
        await peer.close()
        await browser.close()
