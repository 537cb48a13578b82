"""Watching by WHEP: one stream, encoded once, and real viewers who come early, late, many and unreadable."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Any

import msgspec
import pytest
from aiortc.rtp import RTCP_PSFB_APP, RtcpPsfbPacket, pack_remb_fci

from gpu.types import EncodedFrame
from server.peer import EncodedAudio
from server.streams.types import Viewer, ViewerKind
from server.streams.whep import WhepViewer
from tests.server.streams.studio import Row, Studio, hold, post, studio
from tests.server.streams.whip_clients import FRAGMENT, SDP, Refused
from tests.server.visitor import until

pytestmark = pytest.mark.realtime
ENDPOINT = "/whep/live"
CANDIDATE = "a=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n"


class Recorder:
    """A viewer of the stream itself: what everybody is sent."""

    kind: ViewerKind = "whep"

    def __init__(self) -> None:
        self.frames: list[EncodedFrame] = []
        self.sounds: list[EncodedAudio] = []

    @property
    def keyframes(self) -> int:
        return sum(frame.is_keyframe for frame in self.frames)

    def send_video(self, frame: EncodedFrame) -> None:
        self.frames.append(frame)

    def send_audio(self, packet: EncodedAudio) -> None:
        self.sounds.append(packet)

    def end(self, code: str, message: str) -> None:
        pass


async def live(here: Studio) -> None:
    await here.obs().publish()
    await until(lambda: here.stream.facts().fps_out > 0, what="the stream is live")


async def offered(here: Studio, **how: Any) -> str:
    player = here.player(**how)
    await player.pc.setLocalDescription(await player.pc.createOffer())
    return str(player.pc.localDescription.sdp)


async def test_before_the_publisher_a_viewer_is_told_when_to_come_again() -> None:
    async with studio() as here:
        with pytest.raises(Refused, match="409") as early:
            await here.player().watch()
        assert early.value.headers["Retry-After"] == "2"
        assert len(here.served.state.rtc) == 0
        await live(here)
        player = await here.player().watch()
        await until(lambda: player.pictures)


async def test_the_endpoint_and_its_sessions() -> None:
    async with studio() as here:
        await live(here)
        offer = await offered(here)
        video = offer[offer.index("m=video") :]
        alone = offer[: offer.index("m=audio")].replace("BUNDLE 0 1", "BUNDLE 1") + video
        vp8 = re.sub(r"(?m)^m=video (\d+) (\S+) .*$", r"m=video \1 \2 97", offer)
        await hold(here.served.http, here.served.base, [
            post("no such stream", "/whep/nowhere", 404, offer),
            post("a fragment", ENDPOINT, 415, offer, **{"Content-Type": FRAGMENT}),
            post("nothing", ENDPOINT, 400),
            post("no SDP", ENDPOINT, 400, "hello"),
            post("longer than an SDP", ENDPOINT, 413, offer + "a=x:y\r\n" * 19_000),
            post("who wants to publish", ENDPOINT, 422, offer.replace("recvonly", "sendonly"), "recvonly"),
            post("VP8 alone", ENDPOINT, 422, vp8, "offer H.264"),
            post("sound alone", ENDPOINT, 422, offer[: offer.index("m=video")].replace("0 1", "0")),
            post("the picture alone", ENDPOINT, 201, alone),
            post("both ways", ENDPOINT, 201, offer.replace("recvonly", "sendrecv"), "a=sendonly"),
            Row("GET", "GET", ENDPOINT, 200, shown={"Content-Type": SDP}),
            Row("HEAD", "HEAD", ENDPOINT, 200, shown={"Content-Type": SDP}),
            Row("GET of none", "GET", "/whep/nowhere", 404),
            Row("OPTIONS", "OPTIONS", ENDPOINT, 200, shown={"Accept-Post": SDP, "Link": None}),
            *(Row(method, method, ENDPOINT, 405) for method in ("PUT", "PATCH", "DELETE")),
        ])  # fmt: skip
        player = await here.player().watch(trickle=True)
        lines = player.answer.splitlines()
        assert lines.count("a=sendonly") == 2
        streams = [line.split()[0] for line in lines if line.startswith("a=msid:")]
        assert len(streams) == 2
        assert len(set(streams)) == 1  # one MediaStream: players keep its sound with its picture
        session = player.location.removeprefix(here.served.base)
        right = {"Content-Type": FRAGMENT, "If-Match": player.etag}
        restart = "a=ice-ufrag:anew\r\na=ice-pwd:" + "p" * 24 + "\r\n"
        await hold(here.served.http, here.served.base, [
            Row("no If-Match", "PATCH", session, 428, CANDIDATE, {"Content-Type": FRAGMENT}),
            Row("stale", "PATCH", session, 412, CANDIDATE, {**right, "If-Match": '"old"'}),
            Row("candidates", "PATCH", session, 204, CANDIDATE, right, {"ETag": None}),
            Row("an SDP", "PATCH", session, 415, CANDIDATE, {**right, "Content-Type": SDP}),
            Row("garbage", "PATCH", session, 400, "hello", right),
            Row("restart", "PATCH", session, 200, restart, {**right, "If-Match": "*"}, says="a=ice-pwd:"),
            Row("of before", "PATCH", session, 412, CANDIDATE, right),
            Row("GET", "GET", session, 204),
            Row("OPTIONS", "OPTIONS", session, 200),
            *(Row(method, method, session, 405) for method in ("PUT", "POST")),
            Row("as if it published", "DELETE", session.replace("whep", "whip"), 404),
            Row("DELETE", "DELETE", session, 200),
            Row("DELETE again", "DELETE", session, 404),
            Row("GET after", "GET", session, 404),
        ])  # fmt: skip


async def test_a_view_key_is_asked_for_where_there_is_one() -> None:
    async with studio() as here:
        await live(here)
        here.stream.set_settings(msgspec.structs.replace(here.stream.settings, view_key="to-see"))
        with pytest.raises(Refused, match="401") as missing:
            await here.player().watch()
        assert missing.value.headers["WWW-Authenticate"] == "Bearer"
        assert "Ask who runs this server for the key" in str(missing.value)
        with pytest.raises(Refused, match="401"):
            await here.player(key="wrong").watch()
        for player in (here.player(key="to-see"), here.player("?key=to-see"), here.player(key=here.key)):
            await player.watch()
            await until(lambda player=player: player.pictures)


async def test_no_room_and_going_down_are_503() -> None:
    async with studio(max_viewers=1) as here:
        await live(here)
        await here.player().watch()
        with pytest.raises(Refused, match=r"503.*max_viewers") as full:
            await here.player().watch()
        assert int(full.value.headers["Retry-After"]) > 0
        here.served.state.places.draining = True
        with pytest.raises(Refused, match=r"503.*going-away"):
            await here.player().watch()
        assert here.stream.viewers == 1


async def test_who_never_connects_takes_few_places() -> None:
    async with studio() as here:
        await live(here)
        offer = await offered(here)
        rows = [post(f"{number}", ENDPOINT, 201, offer) for number in range(16)]
        await hold(
            here.served.http, here.served.base, [*rows, post("one more", ENDPOINT, 429, offer, "wait")]
        )
        for session in list(here.served.state.rtc._sessions.values()):
            if isinstance(session, WhepViewer):
                session.end("deleted", "the test ends it")
        player = await here.player().watch()
        await until(lambda: player.pictures)


async def test_ten_viewers_of_one_stream_that_is_encoded_once() -> None:
    async with studio() as here:
        await live(here)
        recorder = Recorder()
        await here.stream.add_viewer(recorder)
        players = [here.player() for _ in range(10)]
        await asyncio.gather(*(player.watch() for player in players))
        await until(lambda: all(len(p.pictures) > 10 and p.sounds for p in players), 30, "ten see pictures")
        assert here.stream.facts().viewers == 11
        span_s = (recorder.frames[-1].pts - recorder.frames[0].pts) / 90_000
        assert recorder.keyframes <= 2 + span_s / 0.5  # for ten viewers no more than for one
        assert len({frame.pts for frame in recorder.frames}) == len(recorder.frames)
        # whoever leaves is not missed, and leaves nothing behind
        for player in players[:5]:
            await player.delete()
        for player in players[5:]:
            await player.close()
        await until(lambda: here.stream.viewers == 1, what="those who left are gone")
        await until(lambda: len(here.served.state.rtc) == 1)


async def test_who_comes_late_is_sent_a_keyframe_at_once() -> None:
    async with studio() as here:
        await live(here)
        recorder = Recorder()
        await here.stream.add_viewer(recorder)
        await until(lambda: len(recorder.frames) > 45 and recorder.frames[-1].pts > 135_000)
        keyframes = recorder.keyframes  # the encoder makes none by itself
        player = here.player()
        shown: list[float] = []
        player.on_picture = lambda _: shown.append(time.monotonic())
        await player.watch()
        connected_s = time.monotonic()
        await until(lambda: shown, what="a picture")
        assert shown[0] - connected_s < 3
        assert 1 <= recorder.keyframes - keyframes <= 3


async def test_a_viewer_that_vanishes_is_removed_and_the_others_go_on() -> None:
    async with studio(lost_s=2.0) as here:
        await live(here)
        gone, stays = await here.player().watch(), await here.player().watch()
        await until(lambda: gone.pictures and stays.pictures)
        await gone.vanish()
        await until(lambda: here.stream.viewers == 1, what="it is noticed")
        seen = len(stays.pictures)
        await until(lambda: len(stays.pictures) > seen + 5)


async def test_viewers_are_ended_with_the_stream() -> None:
    async with studio(linger_s=0.2) as here:
        obs = await here.obs().publish()
        player = await here.player().watch()
        await until(lambda: player.pictures)
        await obs.stop()
        await until(lambda: player.pc.connectionState == "closed", what="the player hears of it")
        assert here.stream.state == "idle"
        with pytest.raises(Refused, match="409"):
            await here.player().watch()


def viewer_of(here: Studio) -> WhepViewer:
    (viewer,) = (s for s in here.served.state.rtc._sessions.values() if isinstance(s, WhepViewer))
    return viewer


async def test_keyframes_and_rates_are_what_the_viewers_ask_for(monkeypatch: Any) -> None:
    async with studio() as here:
        await live(here)
        recorder, rates = Recorder(), list[int]()
        await here.stream.add_viewer(recorder)
        tell = here.stream.viewer_rate

        def told(viewer: Viewer, bps: int) -> None:
            rates.append(bps)
            tell(viewer, bps)

        monkeypatch.setattr(here.stream, "viewer_rate", told)
        player = await here.player().watch()
        await until(lambda: len(player.pictures) > 5)
        assert rates[0] == here.served.state.config.max_bitrate_bps  # nobody's network has said no
        receiver = next(r for r in player.pc.getReceivers() if r.track.kind == "video")
        receiver._RTCRtpReceiver__remote_bitrate_estimator = None  # its own estimates would mix in
        link = viewer_of(here)._peer._link
        assert link is not None
        assert link.video_out is not None
        ssrc = link.video_out._port.ssrc

        await until(lambda: not any(frame.is_keyframe for frame in recorder.frames[-30:]))
        keyframes = recorder.keyframes
        await receiver._send_rtcp_pli(ssrc)
        await until(lambda: recorder.keyframes > keyframes, what="a keyframe for a PLI")

        fci = pack_remb_fci(700_000, [ssrc])
        own = receiver._RTCRtpReceiver__rtcp_ssrc
        await receiver._send_rtcp(RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=own, media_ssrc=0, fci=fci))
        await until(lambda: rates[-1] == 700_000, what="the rate of a REMB")


async def test_a_viewer_that_asks_for_ever_costs_the_others_little() -> None:
    async with studio() as here:
        await live(here)
        recorder = Recorder()
        await here.stream.add_viewer(recorder)
        player = await here.player().watch()
        await until(lambda: len(player.pictures) > 5)
        viewer = viewer_of(here)
        began, keyframes = len(recorder.frames), recorder.keyframes
        for _ in range(60):
            viewer.on_keyframe_needed()
            await asyncio.sleep(0.05)
        span_s = (recorder.frames[-1].pts - recorder.frames[began].pts) / 90_000
        assert recorder.keyframes - keyframes <= 2 + span_s / 1.2
