"""Media one way only: publishers that get nothing back, viewers that send nothing, offers answered whole."""

from __future__ import annotations

import asyncio

import pytest
from aioice import Candidate
from browser import until
from test_restart import joined
from test_sdp import audio, channel, offer, video

from server.errors import ProtocolError, Unusable
from server.peer.answer import ice_fragment
from server.peer.candidates import parse_fragment, parse_password
from server.peer.offer import Codecs
from server.peer.sdp import parse_offer

PUBLISHER = Codecs(("h264", "vp8"), (), gives=False, whole=True)
VIEWER = Codecs((), ("h264",), takes=False, whole=True)


def sound(mid: str, direction: str, name: str = "opus/48000/2") -> list[str]:
    return [line.replace("a=sendrecv", f"a={direction}") for line in audio(mid, name)]


@pytest.mark.parametrize(
    ("codecs", "offered", "left"),
    [
        (PUBLISHER, "sendonly", "sendonly"),
        (PUBLISHER, "sendrecv", "sendonly"),
        (VIEWER, "recvonly", "recvonly"),
        (VIEWER, "sendrecv", "recvonly"),
    ],
)
def test_only_one_way_of_an_offer_is_taken_up(codecs: Codecs, offered: str, left: str) -> None:
    read = parse_offer(offer(sound("0", offered), video("1", offered)), codecs)
    assert [m.direction for m in read.media] == [left, left]
    assert (read.receive is not None, read.send is not None) == (codecs.takes, codecs.gives)
    assert f"a={left}" in read.to_sdp()


@pytest.mark.parametrize(
    ("codecs", "media", "remedy"),
    [
        (PUBLISHER, [video("0", "recvonly")], r"offer H\.264 .* or VP8, sendonly\."),
        (PUBLISHER, [video("0", "inactive")], "no usable video line"),
        (VIEWER, [video("0", "sendonly")], r"packetization-mode 1\), recvonly\."),
        (VIEWER, [video("0", "recvonly", (96,))], "no codec we can send back; offer H.264"),
        (VIEWER, [sound("0", "recvonly")], "no usable video line"),
        (
            PUBLISHER,
            [sound("0", "sendonly", "PCMU/8000"), video("1", "sendonly")],
            "audio line '0' cannot be",
        ),
        (PUBLISHER, [sound("0", "recvonly"), video("1", "sendonly")], "audio line '0' cannot be answered"),
        (PUBLISHER, [video("0", "sendonly"), video("1", "sendonly")], "video line '1' cannot be answered"),
    ],
)
def test_what_cannot_be_answered_whole_is_refused_with_the_remedy(
    codecs: Codecs, media: list[list[str]], remedy: str
) -> None:
    with pytest.raises(Unusable, match=remedy):
        parse_offer(offer(*media), codecs)


def test_lines_that_ask_for_nothing_are_in_nobodys_way() -> None:
    quiet = [sound("0", "inactive"), video("1", "sendonly"), video("2", "sendonly", port=0), channel("3")]
    read = parse_offer(offer(*quiet), PUBLISHER)
    assert [m.used for m in read.media] == [False, True, False, True]


@pytest.mark.parametrize(
    "lines",
    [
        ["a=ice-ufrag:abc", "a=ice-pwd:" + "p" * 24],
        ["a=ice-ufrag:abcd", "a=ice-pwd:short"],
        ["a=ice-pwd:" + "p" * 24],
    ],
)
def test_credentials_that_are_none_are_refused(lines: list[str]) -> None:
    with pytest.raises(ProtocolError, match="22 characters"):
        parse_password("\r\n".join(lines))


async def test_ice_is_restarted_by_a_fragment_and_media_go_on() -> None:
    browser, peer, _ = await joined()
    try:
        assert browser.path is not None
        assert peer._link is not None
        before = peer._link._path._active
        connect = await browser.path.restart("", "", 5.0)
        fragment = ice_fragment(await browser.offer())
        assert await peer.patch(fragment.replace("a=ice-pwd:", "a=x:")) is None  # candidates of nobody's
        assert peer._link._path._ice._connection is before
        ours = await peer.patch(fragment)
        assert ours is not None
        assert parse_fragment(ours)[1]
        new = browser.path._ice._connection
        new.remote_username, new.remote_password = parse_fragment(ours)[0], parse_password(ours)
        for line in parse_fragment(ours)[1]:
            await new.add_remote_candidate(Candidate.from_sdp(line.removeprefix("a=candidate:")))
        await new.add_remote_candidate(None)
        assert await asyncio.wait_for(connect(), 10)
        await until(lambda: peer._link is not None and peer._link._path._active is not before)
        seen = len(browser.decoded)
        await until(lambda: len(browser.decoded) >= seen + 5)
        # its candidates are trickled as before
        assert await peer.patch(fragment) is None
    finally:
        await peer.close()
        await browser.close()
