"""Publishing by WHIP: OBS's way and aiortc's own, with real H.264 and Opus, seen by real viewers."""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
from typing import Any

import pytest
from aiohttp import web

from server.streams.whip import WhipPublisher
from tests.server.streams.studio import studio
from tests.server.streams.whip_clients import Refused, obs_offer
from tests.server.visitor import Camera, until

pytestmark = pytest.mark.realtime


async def test_obs_publishes_and_a_viewer_sees_and_hears_it() -> None:
    async with studio() as here:
        obs = await here.obs().publish()
        await until(lambda: here.stream.state == "live" and here.stream.facts().fps_out > 0, what="pictures")
        player = await here.player().watch()
        await until(lambda: len(player.pictures) > 20 and player.sounds > 10, 20, "the viewer's pictures")
        picture = player.pictures[-1]
        assert (picture.width, picture.height) == (160, 96)
        assert picture.to_ndarray(format="gray").std() > 20  # the ramp, not a grey hole
        facts = here.stream.facts()
        assert facts.publisher is not None
        assert (facts.publisher.kind, facts.publisher.codec, facts.publisher.audio) == (
            "whip",
            "h264",
            "opus",
        )
        assert (facts.publisher.software, facts.publisher.address) == ("OBS-Studio/32.0.1", "127.0.0.1")
        assert facts.publisher.fps > 5
        assert facts.publisher.bitrate_bps > 10_000
        assert (facts.viewers, facts.width, facts.height) == (1, 160, 96)
        await obs.stop()
        await until(lambda: here.stream.state == "waiting")
        assert await obs.delete() == 404


async def test_obs_that_begins_amid_a_group_of_pictures_is_waited_for() -> None:
    """Its first packets are often lost (obs-studio#9614), and it makes no keyframe when asked."""
    async with studio() as here:
        await here.obs(begin_at=12, profile="baseline", sound=False).publish()
        player = await here.player().watch()
        await until(lambda: len(player.pictures) > 5, what="pictures after the next keyframe")
        assert here.stream.facts().publisher.audio == ""  # type: ignore[union-attr]


async def test_a_redirect_before_us_is_followed_to_a_session_that_can_be_ended() -> None:
    async with studio() as here:

        async def send_on(request: web.Request) -> web.Response:
            return web.Response(status=307, headers={"Location": here.whip})

        door = web.Application()
        door.router.add_post("/whip/live", send_on)
        runner = web.AppRunner(door)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            obs = here.obs()
            obs.url = f"http://127.0.0.1:{runner.addresses[0][1]}/whip/live"
            await obs.publish()
            assert obs.redirects == [here.whip]
            assert obs.location.startswith(here.whip + "/")
            await obs.stop()
        finally:
            await runner.cleanup()


async def test_a_client_with_trickle_and_vp8_of_its_own_publishes() -> None:
    async with studio() as here:
        client = here.trickler()
        client.pc.addTrack(Camera())
        await client.open()
        player = await here.player(sound=False).watch(trickle=True)
        await until(lambda: len(player.pictures) > 10, 20, "pictures")
        assert player.pictures[-1].width == 320
        assert await client.delete() == 200
        assert await client.delete() == 404


async def test_the_second_publisher_is_refused_and_the_first_goes_on() -> None:
    async with studio() as here:
        await here.obs().publish()
        await until(lambda: here.stream.facts().fps_out > 0)
        first = here.stream.publisher
        with pytest.raises(Refused, match=r"409.*takeover=1"):
            await here.obs().publish()
        assert here.stream.publisher is first
        player = await here.player().watch()
        await until(lambda: len(player.pictures) > 5)


async def test_a_takeover_keeps_the_viewers_and_their_clock() -> None:
    async with studio() as here:
        await here.obs().publish()
        player = await here.player().watch()
        await until(lambda: len(player.pictures) > 5)
        first = here.stream.publisher
        assert isinstance(first, WhipPublisher)
        await here.obs("?takeover=1", size=(128, 96), profile="main").publish()
        await until(lambda: player.pictures[-1].width == 128, 20, "the new publisher's pictures")
        await first.ended()
        assert here.stream.publisher is not first
        assert here.stream.state == "live"
        assert here.stream.viewers == 1
        times = [picture.pts for picture in player.pictures]
        assert times == sorted(set(times))
        assert len(here.served.state.rtc) == 2


async def test_a_publisher_that_is_silent_gives_way_to_who_has_the_key(monkeypatch: Any) -> None:
    monkeypatch.setattr("server.routes.whip.SILENT_S", 0.2)
    async with studio() as here:
        obs = await here.obs().publish()
        await until(lambda: here.stream.facts().fps_out > 0)
        await obs.vanish()
        first = here.stream.publisher
        assert isinstance(first, WhipPublisher)
        await until(lambda: first.silent_s > 0.3)
        await here.obs().publish()
        assert here.stream.publisher is not first


async def test_a_publisher_that_vanishes_is_found_out() -> None:
    async with studio(lost_s=2.0, linger_s=0.2) as here:
        obs = await here.obs().publish()
        player = await here.player().watch()
        await until(lambda: len(player.pictures) > 2)
        await obs.vanish()
        await until(lambda: here.stream.state == "idle", what="its end is noticed")
        await until(lambda: len(here.served.state.rtc) == 0, what="its viewer is ended, too")


async def test_a_publisher_that_never_connects_leaves_the_stream_free() -> None:
    async with studio(connect_timeout_s=0.5, linger_s=0) as here:
        obs = here.obs()
        obs.connect = lambda: contextlib.nullcontext(None).__aenter__()  # type: ignore[method-assign]
        await obs.publish()
        assert here.stream.state == "live"
        await until(lambda: here.stream.state == "idle")
        assert len(here.served.state.rtc) == 0


async def test_nothing_stays_of_those_who_came_and_went() -> None:
    async with studio(linger_s=0) as here:
        before = 0
        for _ in range(4):
            obs = await here.obs().publish()
            player = await here.player().watch()
            await until(lambda player=player: len(player.pictures) > 2)
            await player.close()
            await obs.stop()
            await until(lambda: len(here.served.state.rtc) == 0 and here.stream.state == "idle")
            await until(lambda: len(here.served.state.places) == 0, what="the pipeline is closed")
            await asyncio.sleep(0.1)  # stock aiortc ends some of its tasks behind its close
            before = before or len(asyncio.all_tasks())
            assert len(asyncio.all_tasks()) <= before
            names = {thread.name for thread in threading.enumerate()}
            assert not names & {"relens-decode", "relens-encode"}


async def test_a_server_that_stops_ends_publishers_and_viewers() -> None:
    async with studio() as here:
        obs = await here.obs().publish()
        player = await here.player().watch()
        await until(lambda: len(player.pictures) > 2)
        await here.served.state.rtc.close()
        assert len(here.served.state.rtc) == 0
        await until(lambda: {obs.pc.connectionState, player.pc.connectionState} == {"closed"})
        assert here.stream.viewers == 0


@pytest.mark.parametrize("codec", ["AV1", "H265"])
async def test_the_other_codecs_of_obs_are_taken(codec: str) -> None:
    async with studio() as here:
        obs = here.obs()
        await obs.pc.setLocalDescription(await obs.pc.createOffer())
        offer = re.sub("a=fmtp:96.*\r\n", "", obs_offer(obs.pc).replace("H264/", f"{codec}/"))
        await obs.post(offer)
        assert f"a=rtpmap:96 {codec}/90000" in obs.answer
        facts = here.stream.facts()
        assert facts.publisher is not None
        assert facts.publisher.codec == {"AV1": "av1", "H265": "hevc"}[codec]
        assert await obs.delete() == 200
