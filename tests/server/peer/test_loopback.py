"""Peer against a stock aiortc connection on loopback, with real codecs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import threading
import time
from itertools import pairwise
from typing import Any

import psutil
import pytest
from aiortc.rtcrtpsender import RTCRtpSender
from aiortc.rtp import RtcpSrPacket
from browser import Browser, Camera, Echo, connect, until

from gpu.types import Codec, EncodedFrame
from server.errors import ProtocolError
from server.peer import EncodedAudio, Peer, PeerConfig, PeerState


@pytest.mark.parametrize(("name", "codec"), [("H264", "h264"), ("VP8", "vp8")])
async def test_echo_decodes_and_messages_go_both_ways(name: str, codec: Codec) -> None:
    browser = Browser(name)
    peer, listener = await connect(browser)
    try:
        await until(lambda: len(browser.decoded) >= 20 and browser.channel.readyState == "open")
        assert peer.codec_in == peer.codec_out == codec
        assert all(frame.codec == codec for frame in listener.frames)
        assert listener.frames[0].is_keyframe
        steps = [b.pts - a.pts for a, b in pairwise(listener.frames)]
        assert set(steps) == {4500}
        browser.channel.send('{"a":1}')
        browser.channel.send(b"\x00\x01")
        await until(lambda: browser.received == ['{"a":1}', b"\x00\x01"])
        assert listener.messages == ['{"a":1}', b"\x00\x01"]
        stats = peer.stats()
        assert stats.state is PeerState.CONNECTED
        assert stats.frames_received >= 20
        assert stats.packets_sent >= 20
        assert stats.bitrate_in_bps > 0 < stats.bitrate_out_bps
        assert stats.packets_abandoned == 0
    finally:
        await peer.close()
        await browser.close()
    assert listener.states == [PeerState.CONNECTED, PeerState.CLOSED]


async def test_timestamps_on_the_wire_are_those_of_the_frames() -> None:
    """What leaves has the timestamp it came with, after a wrap too; sender reports speak the same clock."""
    browser = Browser()
    peer, listener = await connect(browser, echo=False)
    seen: list[int] = []
    reports: list[int] = []
    receiver = browser.pc.getReceivers()[0]
    inner, inner_rtcp = receiver._handle_rtp_packet, receiver._handle_rtcp_packet

    async def handle(packet, arrival_time_ms):
        seen.append(packet.timestamp)
        await inner(packet, arrival_time_ms)

    async def handle_rtcp(packet):
        if hasattr(packet, "sender_info"):
            reports.append(packet.sender_info.rtp_timestamp)
        await inner_rtcp(packet)

    receiver._handle_rtp_packet, receiver._handle_rtcp_packet = handle, handle_rtcp
    try:
        await until(lambda: any(f.is_keyframe for f in listener.frames))
        data = next(f for f in listener.frames if f.is_keyframe).data
        sent = [2**33 + 2**32 - 6000 + i * 3000 for i in range(5)]
        for pts in sent:
            peer.send_video(EncodedFrame(data, pts, True))
        expected = [pts & 0xFFFFFFFF for pts in sent]
        await until(lambda: list(dict.fromkeys(seen)) == expected)
        # Reports go on from there by the clock, whatever was sent last.
        await until(lambda: any((at - expected[0]) & 0xFFFFFFFF < 10 * 90_000 for at in reports), 5)
    finally:
        await peer.close()
        await browser.close()


async def test_keyframe_requests_both_ways_are_coalesced() -> None:
    browser = Browser()
    peer, listener = await connect(browser, echo=False)
    try:
        await until(lambda: len(listener.frames) >= 3)
        keyframes = sum(f.is_keyframe for f in listener.frames)
        begun = time.monotonic()
        for _ in range(50):
            peer.request_keyframe()
            await asyncio.sleep(0.002)
        await until(lambda: sum(f.is_keyframe for f in listener.frames) > keyframes)
        most = (time.monotonic() - begun) / 0.25 + 2  # however slow the machine
        assert 1 <= peer.stats().plis_sent <= most < 40
        receiver = browser.pc.getReceivers()[0]
        media_ssrc = peer._link.video_out._port.ssrc
        asked = listener.keyframes_needed
        begun = time.monotonic()
        for _ in range(50):
            await receiver._send_rtcp_pli(media_ssrc)
            await asyncio.sleep(0.002)
        await until(lambda: listener.keyframes_needed > asked)
        most = (time.monotonic() - begun) / 0.25 + 2
        assert listener.keyframes_needed - asked <= most < 40
    finally:
        await peer.close()
        await browser.close()


async def test_remb_moves_the_bitrate_between_its_bounds() -> None:
    from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci

    browser = Browser()
    config = PeerConfig(min_bitrate_bps=200_000, start_bitrate_bps=2_000_000, max_bitrate_bps=2_000_000)
    peer, listener = await connect(browser, config, echo=False)
    receiver = browser.pc.getReceivers()[0]
    receiver._RTCRtpReceiver__remote_bitrate_estimator = None  # its own estimates would mix in
    try:
        ssrc = peer._link.video_out._port.ssrc
        for asked, told in ((700_000, 700_000), (1_000, 200_000), (50_000_000, 2_000_000)):
            fci = pack_remb_fci(asked, [ssrc])
            await receiver._send_rtcp(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=1, media_ssrc=0, fci=fci))
            await until(
                lambda told=told: listener.bitrates and abs(listener.bitrates[-1] - told) < told * 0.01
            )
        assert len(listener.bitrates) == 3
    finally:
        await peer.close()
        await browser.close()


async def test_the_browser_is_told_what_the_server_can_take() -> None:
    browser = Browser()
    peer, _ = await connect(browser)
    told: list[object] = []
    sender = browser.pc.getSenders()[0]
    inner = sender._handle_rtcp_packet

    async def handle(packet):
        if getattr(packet, "fmt", None) == 15:
            told.append(packet)
        await inner(packet)

    sender._handle_rtcp_packet = handle
    try:
        await until(lambda: told)
    finally:
        await peer.close()
        await browser.close()


async def test_sound_passes_untouched() -> None:
    browser = Browser(audio=True)
    peer, listener = await connect(browser)
    try:
        await until(lambda: len(browser.heard) >= 20 and len(browser.decoded) >= 5)
        packets = list(listener.audio)
        assert all(isinstance(p, EncodedAudio) and p.data for p in packets)
        assert {b.pts - a.pts for a, b in pairwise(packets)} == {960}
        assert browser.heard[0].sample_rate == 48000
    finally:
        await peer.close()
        await browser.close()


async def test_reports_of_picture_and_sound_say_the_same_instant() -> None:
    """Within 1 ms, by what each says of a timestamp; and by their answers the round trip is still known."""
    browser = Browser(audio=True)
    peer, _ = await connect(browser)
    reports: dict[str, list[float]] = {"video": [], "audio": []}  # NTP less media seconds

    def listen(receiver: Any, kind: str, hz: int) -> None:
        inner = receiver._handle_rtcp_packet

        async def handle(packet: Any) -> None:
            if isinstance(packet, RtcpSrPacket):
                info = packet.sender_info
                reports[kind].append(info.ntp_timestamp / (1 << 32) - info.rtp_timestamp / hz)
            await inner(packet)

        receiver._handle_rtcp_packet = handle

    for receiver, kind, hz in zip(
        browser.pc.getReceivers(), ("video", "audio"), (90_000, 48_000), strict=True
    ):
        listen(receiver, kind, hz)
    try:
        await until(lambda: all(len(found) >= 2 for found in reports.values()))
        wrap_s = {"video": (1 << 32) / 90_000, "audio": (1 << 32) / 48_000}  # timestamps have 32 bits only
        apart_s = reports["video"][-1] - reports["audio"][-1]
        assert any(
            abs(apart_s + video * wrap_s["video"] - audio * wrap_s["audio"]) < 0.001
            for video in range(-3, 4)
            for audio in range(-3, 4)
        )
        await until(lambda: peer.stats().rtt_s is not None)
        assert 0 <= (peer.stats().rtt_s or 0) < 1
    finally:
        await peer.close()
        await browser.close()


@pytest.mark.parametrize("name", ["H264", "VP8"])
async def test_one_line_up_and_one_down(name: str) -> None:
    browser = Browser(camera=False)
    wanted = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.name in (name, "rtx")]
    browser.pc.addTransceiver(Camera(), "sendonly").setCodecPreferences(wanted)
    browser.pc.addTransceiver("video", "recvonly").setCodecPreferences(wanted)
    peer, _ = await connect(browser)
    try:
        await until(lambda: len(browser.decoded) >= 10 and browser.channel.readyState == "open")
        assert peer.stats().packets_abandoned == 0
    finally:
        await peer.close()
        await browser.close()


async def test_nothing_is_left_behind() -> None:
    """Sessions ended in every state: no task, thread or socket of theirs is left."""
    process = psutil.Process()

    async def settle() -> tuple[int, int, int]:
        await asyncio.sleep(0.3)
        # the loop's own pool is grown by the stand-in's encoder, not by us
        threads = [t for t in threading.enumerate() if not t.name.startswith("asyncio_")]
        return len(asyncio.all_tasks()), len(threads), process.num_fds()

    async def one(stage: str) -> None:
        browser = Browser(audio=True)
        if stage == "never accepted":
            peer = Peer(PeerConfig(), Echo())
        elif stage == "connecting":
            peer = Peer(PeerConfig(), Echo())
            await peer.accept(await browser.offer())
        elif stage == "halfway":
            peer = Peer(PeerConfig(), Echo())
            await browser.answer(await peer.accept(await browser.offer()))
        else:
            peer, _ = await connect(browser)
            await until(lambda: len(browser.decoded) > 2)
        if stage == "left by the browser":
            await browser.close()
            await until(lambda: peer.state is PeerState.CLOSED)
        await asyncio.gather(peer.close(), peer.close())
        await peer.close()
        await browser.close()

    await one("connected")  # what is loaded once
    before = await settle()
    for stage in ("never accepted", "connecting", "halfway", "connected", "left by the browser"):
        await one(stage)
        after = await settle()
        grown = [a > b for a, b in zip(after, before, strict=True)]
        assert not any(grown), (stage, before, after, asyncio.all_tasks())
        assert not [t.name for t in threading.enumerate() if "decoder" in t.name], stage


async def test_a_peer_that_never_comes_fails_in_time() -> None:
    browser, listener = Browser(), Echo()
    peer = Peer(PeerConfig(connect_timeout_s=0.6), listener)
    try:
        await peer.accept(await browser.offer())
        assert listener.states == []
        await until(lambda: listener.states == [PeerState.FAILED], 5)
    finally:
        await peer.close()
        await browser.close()


async def test_a_peer_that_falls_silent_is_noticed() -> None:
    browser = Browser()
    peer, listener = await connect(browser, PeerConfig(idle_timeout_s=0.8))
    try:
        transport = browser.pc.getTransceivers()[0].receiver.transport.transport
        for protocol in transport._connection._protocols:
            protocol.transport.abort()
        await until(lambda: PeerState.FAILED in listener.states, 8)
    finally:
        await peer.close()
        with contextlib.suppress(Exception):
            await asyncio.wait_for(browser.close(), 5)


async def test_end_of_candidates_does_not_end_the_session() -> None:
    """No usable candidate and the word that none will come: the peer's own checks still find us."""
    browser, listener = Browser(), Echo()
    peer = Peer(PeerConfig(), listener)
    listener.peer = peer
    try:
        offer = await browser.offer()
        lines = [x for x in offer.splitlines() if not x.startswith("a=candidate")]
        assert "a=end-of-candidates" in lines
        await browser.answer(await peer.accept("\r\n".join(lines) + "\r\n"))
        await until(lambda: len(browser.decoded) >= 3)
    finally:
        await peer.close()
        await browser.close()


async def test_trickled_candidates() -> None:
    browser, listener = Browser(), Echo()
    peer = Peer(PeerConfig(), listener)
    listener.peer = peer
    try:
        with pytest.raises(ProtocolError, match="offer first"):
            await peer.add_candidates("a=candidate:1 1 udp 1 127.0.0.1 5 typ host\r\n")
        offer = await browser.offer()
        lines = offer.splitlines()
        candidates = [x for x in lines if x.startswith("a=candidate")]
        kept = [x for x in lines if not x.startswith(("a=candidate", "a=end-of"))]
        answer = await peer.accept("\r\n".join(kept) + "\r\n")
        ufrag = next(x for x in lines if x.startswith("a=ice-ufrag"))
        fragment = "\r\n".join(
            [ufrag, "m=audio 9 RTP/AVP 0", "a=mid:0", *candidates, "a=end-of-candidates", ""]
        )
        await peer.add_candidates(fragment)
        await peer.add_candidates(
            "a=ice-ufrag:gone\r\n" + candidates[0] + "\r\n"
        )  # of another time: no use, no harm
        with pytest.raises(ProtocolError, match="trickle-ice-sdpfrag"):
            await peer.add_candidates("hello")
        # the browser is told of no candidate of ours: only what was trickled can bring the two together
        answer = "\r\n".join(x for x in answer.splitlines() if not x.startswith(("a=candidate", "a=end-of")))
        await browser.answer(answer + "\r\n")
        await until(lambda: len(browser.decoded) >= 3)
    finally:
        await peer.close()
        await browser.close()


async def test_hostile_datagrams_do_not_end_a_session() -> None:
    """From outside: empty ones, bad STUN, stray DTLS and RTP, floods of SSRCs."""
    browser = Browser()
    peer, _ = await connect(browser)
    attacker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        await until(lambda: len(browser.decoded) >= 2)
        targets = [
            protocol.transport.get_extra_info("sockname")[:2]
            for protocol in peer._link._path._ice._connection._protocols
            if ":" not in protocol.transport.get_extra_info("sockname")[0]
        ]
        refused = peer.stats().datagrams_refused
        cookie = b"\x21\x12\xa4\x42"
        bad = [
            b"",
            b"\x00",
            b"\x00\x01\x00\x04" + cookie + bytes(12) + b"\x80\x28\x00\x00",  # an attribute cut short
            b"\x00\x01\x00\x08" + cookie + bytes(12) + b"\x00\x06\x00\x02\xff\xfe\x00\x00",  # no UTF-8
            b"\x00\x01\x00\x08" + cookie + bytes(12) + b"\x00\x25\x00\x04" + bytes(4),
            b"\x00\x01\x00\x06" + cookie + bytes(12) + b"\x00\x24\x00\x02\x00\x00",  # PRIORITY of two bytes
            b"\x16\xfe\xff" + os.urandom(60),
            b"\x80" + os.urandom(40),
            os.urandom(1400),
        ]
        for target in targets:
            for data in bad * 3:
                attacker.sendto(data, target)
            for ssrc in range(300):
                attacker.sendto(b"\x80\x61" + bytes(6) + ssrc.to_bytes(4, "big") + bytes(30), target)
        # and from the right address: what a machine on the path could do
        connection = browser.pc.getTransceivers()[0].receiver.transport.transport._connection
        for data in bad:
            await connection.send(data)
        for ssrc in range(300):
            await connection.send(b"\x80\x61" + bytes(6) + ssrc.to_bytes(4, "big") + bytes(30))
        seen = len(browser.decoded)
        await until(lambda: len(browser.decoded) >= seen + 10)
        assert peer.state is PeerState.CONNECTED
        assert peer.stats().datagrams_refused > refused + 300
    finally:
        attacker.close()
        await peer.close()
        await browser.close()


async def test_an_authenticated_flood_of_ssrcs_is_bounded() -> None:
    browser = Browser()
    peer, listener = await connect(browser, PeerConfig(max_ssrcs=16))
    try:
        await until(lambda: len(listener.frames) >= 2)
        dtls = browser.pc.getTransceivers()[0].receiver.transport
        payload_type = browser.pc.getTransceivers()[0]._codecs[0].payloadType
        for ssrc in range(1000, 1400):
            await dtls._send_rtp(
                bytes([0x80, payload_type]) + b"\x00\x01" + bytes(4) + ssrc.to_bytes(4, "big") + bytes(20)
            )
        seen = len(listener.frames)
        await until(lambda: len(listener.frames) >= seen + 10)
        assert len(peer._link._path._dtls._rtp_router.ssrc_table) <= 16
        port = peer._link.video_in._port
        assert len(port._receiver._RTCRtpReceiver__remote_streams) <= 16
        for garbage in (
            b"\x80\xc8\x00\x02" + bytes(8),
            b"\x9f\xca\x00\x01" + bytes(4),
            b"\x81\xcb\x00\x01" + bytes(4),
        ):
            await dtls._send_rtp(garbage)  # RTCP of wrong lengths
        seen = len(listener.frames)
        await until(lambda: len(listener.frames) >= seen + 5)
    finally:
        await peer.close()
        await browser.close()


async def test_a_full_send_queue_drops_to_the_next_keyframe() -> None:
    browser = Browser()
    peer, listener = await connect(browser, PeerConfig(max_send_bytes=60_000), echo=False)
    try:
        key = b"\x00\x00\x00\x01\x67\x42\x00\x1f\x00\x00\x00\x01\x65" + b"\x11" * 40_000
        delta = b"\x00\x00\x00\x01\x41" + b"\x11" * 30_000
        asked = listener.keyframes_needed
        peer.send_video(EncodedFrame(key, 0, True))
        peer.send_video(EncodedFrame(delta, 3000, False))  # no room
        peer.send_video(EncodedFrame(b"\x00\x00\x00\x01\x41\x11", 6000, False))  # refers to what was dropped
        stats = peer.stats()
        assert stats.frames_unsent >= 2
        assert stats.send_queue_bytes <= 60_000
        await until(lambda: listener.keyframes_needed > asked)
        begun = time.monotonic()
        await until(lambda: peer.stats().send_queue_bytes == 0, 5)
        assert time.monotonic() - begun < 5
        peer.send_video(EncodedFrame(key, 9000, True))
        await until(lambda: peer.stats().frames_sent == 1)  # the first was dropped before it left
    finally:
        await peer.close()
        await browser.close()


async def test_messages_that_do_not_fit_are_not_sent() -> None:
    browser = Browser()
    peer, listener = await connect(browser, PeerConfig(max_message_backlog_bytes=1000), echo=False)
    offered = peer._link._pc.sctp
    try:
        await until(lambda: browser.channel.readyState == "open")
        await until(lambda: peer.send_message("x"))
        assert not peer.send_message("y" * 2000)
        offered._remote_max_message_size = 10  # a browser that takes less than our bound
        assert not peer.send_message("y" * 20)
        assert peer.send_message("y" * 5)
        browser.channel.send("z" * 65_000)
        await until(lambda: listener.messages == ["z" * 65_000])
    finally:
        await peer.close()
        await browser.close()
    assert not peer.send_message("late")


async def test_a_session_the_browser_left_takes_no_offer() -> None:
    first, second = Browser(), Browser()
    peer, _ = await connect(first)
    try:
        await first.close()
        await until(lambda: peer.state is PeerState.CLOSED)
        with pytest.raises(ProtocolError, match="open a new one"):
            await peer.accept(await second.offer())
    finally:
        await peer.close()
        await second.close()


async def test_another_browser_connection_takes_the_session_over() -> None:
    """A page reloaded with the session's address in hand: a new DTLS identity in a second offer."""
    first, second = Browser(), Browser()
    peer, _ = await connect(first)
    try:
        await until(lambda: len(first.decoded) >= 2)
        await second.answer(await peer.accept(await second.offer()))
        await until(lambda: len(second.decoded) >= 5 and second.channel.readyState == "open")
        assert peer.state is PeerState.CONNECTED
        with pytest.raises(ProtocolError):
            await peer.accept("v=0")
        assert peer.state is PeerState.CONNECTED
        second.channel.send("still here")
        await until(lambda: second.received == ["still here"])
    finally:
        await peer.close()
        await first.close()
        await second.close()
