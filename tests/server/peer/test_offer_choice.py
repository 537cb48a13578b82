"""What each way of an offer speaks: one codec or two, in one line or two."""

from __future__ import annotations

import pytest
from aiortc.sdp import SessionDescription
from browser import Echo
from test_sdp import TRANSPORT, channel, offer

from gpu.types import Codec
from server.errors import ProtocolError
from server.peer import Peer, PeerConfig
from server.peer.offer import Codecs, Offer
from server.peer.sdp import parse_offer

ALL: tuple[Codec, ...] = ("h264", "vp8", "hevc", "av1", "vp9")
FMTP = {  # payload types and parameters as Chromium offers them
    45: ("AV1", "level-idx=5;profile=0;tier=0"),
    49: ("H265", "level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST"),
    96: ("VP8", ""),
    98: ("VP9", "profile-id=0"),
    100: ("VP9", "profile-id=2"),
    102: ("H264", "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"),
}


def line(mid: str, direction: str, *types: int) -> list[str]:
    listed = " ".join(f"{pt} {pt + 1}" for pt in types)
    lines = [f"m=video 9 UDP/TLS/RTP/SAVPF {listed}", f"a=mid:{mid}", f"a={direction}", *TRANSPORT]
    for pt in types:
        name, fmtp = FMTP[pt]
        lines += [f"a=rtpmap:{pt} {name}/90000", f"a=rtcp-fb:{pt} nack", f"a=rtcp-fb:{pt} nack pli"]
        lines += [f"a=fmtp:{pt} {fmtp}"] if fmtp else []
        lines += [f"a=rtpmap:{pt + 1} rtx/90000", f"a=fmtp:{pt + 1} apt={pt}"]
    return [*lines, "a=ssrc:1111 cname:x", "a=ssrc:2222 cname:x"]


def read(
    *media: list[str],
    receive: tuple[Codec, ...] = ALL,
    send: tuple[Codec, ...] = ("h264", "vp8"),
    prefer: bool = True,
) -> Offer:
    return parse_offer(offer(*media), Codecs(receive, send, prefer))


@pytest.mark.parametrize(
    ("offered", "receive", "spoken"),
    [
        ((45, 98, 96, 102), ALL, "h264"),
        ((45, 98, 96), ALL, "vp8"),
        ((45, 102), ("av1", "h264"), "av1 in and h264 out"),
        ((96, 98, 102), ("vp9", "vp8"), "vp9 in and h264 out"),
        ((96, 98), ("vp9", "vp8"), "vp9 in and vp8 out"),
        ((49, 96), ("hevc", "vp8"), "hevc in and vp8 out"),
    ],
)
def test_the_preferred_codec_comes_and_the_best_we_have_goes_back(
    offered: tuple[int, ...], receive: tuple[Codec, ...], spoken: str
) -> None:
    assert read(line("0", "sendrecv", *offered), receive=receive).spoken == spoken


def test_the_order_of_the_offer_where_it_is_to_decide() -> None:
    assert read(line("0", "sendrecv", 98, 96, 102), prefer=False).spoken == "vp9 in and vp8 out"


def test_each_line_may_speak_its_own() -> None:
    assert read(line("0", "sendonly", 45), line("1", "recvonly", 102, 96)).spoken == "av1 in and h264 out"
    assert read(line("0", "sendonly", 45)).spoken == "av1"


@pytest.mark.parametrize(
    ("media", "remedy"),
    [
        ([line("0", "sendrecv", 45)], "no codec we can send back; offer H.264 .* or VP8"),
        ([line("0", "recvonly", 98)], "no codec we can send back"),
        ([line("0", "sendrecv", 100)], r"no codec we take; offer H\.264 .*, VP8, HEVC .*, AV1 .* or VP9"),
    ],
)
def test_what_cannot_come_or_go_says_what_can(media: list[list[str]], remedy: str) -> None:
    with pytest.raises(ProtocolError, match=remedy):
        read(*media)


def test_a_line_of_no_use_does_not_refuse_the_next() -> None:
    found = read(line("0", "sendrecv", 45), line("1", "sendrecv", 96))
    assert [m.used for m in found.media] == [False, True]
    assert found.spoken == "vp8"
    with pytest.raises(ProtocolError, match="no codec we can send back"):  # why the first is of none
        read(line("0", "sendrecv", 45), line("1", "sendrecv", 100))


@pytest.mark.parametrize("more", ["x" * 4096, "x=\t", "x=\N{EURO SIGN}"])
def test_a_codec_of_unreadable_parameters_is_not_taken(more: str) -> None:
    """They may say, as here, what is not taken: without them it would be."""
    media = [part.replace("a=fmtp:100 ", f"a=fmtp:100 {more};") for part in line("0", "sendonly", 100, 96)]
    assert any(more in part for part in media)
    assert read(media).spoken == "vp8"
    with pytest.raises(ProtocolError, match="no codec we take"):
        read(media, receive=("vp9",))


def test_a_second_line_for_the_same_is_refused() -> None:
    both = read(line("0", "sendrecv", 102), line("1", "sendonly", 45), line("2", "recvonly", 96))
    assert [m.used for m in both.media] == [True, False, False]


async def answered(text: str, config: PeerConfig) -> str:
    peer = Peer(config, Echo())
    try:
        return await peer.accept(text)
    finally:
        await peer.close()


async def test_an_answer_of_two_codecs_names_first_what_is_to_be_sent() -> None:
    config = PeerConfig(codecs=("av1", "h264"))
    answer = await answered(offer(line("0", "sendrecv", 96, 102, 45), channel("d")), config)
    (video,) = (part for part in answer.split("m=")[1:] if part.startswith("video"))
    assert video.split("\r\n")[0].endswith("UDP/TLS/RTP/SAVPF 45 46 102 103")
    lines = video.split("\r\n")
    assert "a=sendrecv" in lines
    for pt in (45, 102):
        name, fmtp = FMTP[pt]
        assert f"a=rtpmap:{pt} {name}/90000" in lines
        assert f"a=fmtp:{pt} {fmtp}" in lines
        assert f"a=rtpmap:{pt + 1} rtx/90000" in lines
        assert f"a=fmtp:{pt + 1} apt={pt}" in lines
        assert f"a=rtcp-fb:{pt} nack pli" in lines
    assert "VP8" not in answer
    parsed = SessionDescription.parse(answer)  # another reader's view
    assert [codec.payloadType for codec in parsed.media[0].rtp.codecs] == [45, 46, 102, 103]


@pytest.mark.parametrize("pt", sorted(FMTP.keys() - {100, 102}))
async def test_every_codec_is_answered_with_its_parameters(pt: int) -> None:
    config = PeerConfig(codecs=ALL, send_codecs=ALL)
    lines = (await answered(offer(line("0", "sendrecv", pt)), config)).split("\r\n")
    name, fmtp = FMTP[pt]
    assert f"a=rtpmap:{pt} {name}/90000" in lines
    said = [x for x in lines if x.startswith(f"a=fmtp:{pt} ")]
    assert said == ([f"a=fmtp:{pt} {fmtp.removesuffix(';tx-mode=SRST')}"] if fmtp else [])


async def test_a_held_line_speaks_what_it_spoke() -> None:
    peer = Peer(PeerConfig(codecs=("av1", "h264")), Echo())
    try:
        await peer.accept(offer(line("0", "sendrecv", 45, 102), channel("1")))
        held = await peer.accept(offer(line("0", "sendonly", 45, 102), channel("1")))
        assert "SAVPF 45 46\r\n" in held
        assert (peer.codec_in, peer.codec_out) == ("av1", "h264")
        with pytest.raises(ProtocolError, match="stay as they are"):
            await peer.accept(offer(line("0", "sendonly", 102), channel("1")))
    finally:
        await peer.close()
