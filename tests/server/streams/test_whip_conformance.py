"""Every status of RFC 9725 that applies here, one table for the endpoint and one for the session."""

from __future__ import annotations

import asyncio
import random
import re
from pathlib import Path
from typing import Any

import aioice.stun
import msgspec
import pytest

from server.config import load_config
from server.peer.candidates import parse_fragment, parse_password
from server.routes.rtc import ice_links
from server.streams import rtc_sessions
from server.workers import Workers
from tests.server.streams.studio import Row, Studio, hold, post, studio
from tests.server.streams.whip_clients import FRAGMENT, SDP, Refused, obs_offer
from tests.server.visitor import until

ENDPOINT = "/whip/live"
ELSEWHERE = {"Origin": "https://page.example"}
ASKED = {**ELSEWHERE, "Access-Control-Request-Method": "POST"}
CHALLENGE = {"WWW-Authenticate": "Bearer"}
CANDIDATE = "a=candidate:1 1 udp 1 192.0.2.9 9 typ host\r\n"
RESTART = "a=ice-ufrag:anew\r\na=ice-pwd:" + "p" * 24 + "\r\n"


async def an_offer(here: Studio) -> str:
    obs = here.obs()
    await obs.pc.setLocalDescription(await obs.pc.createOffer())
    return obs_offer(obs.pc)


def without_video(offer: str) -> str:
    return offer[: offer.index("m=video")].replace("BUNDLE 0 1", "BUNDLE 0")


async def test_the_endpoint() -> None:
    async with studio(allowed_origins=("https://page.example",)) as here:
        offer = await an_offer(here)
        key = {"Authorization": f"Bearer {here.key}"}
        video = offer[offer.index("m=video") :]
        twice = offer.replace("BUNDLE 0 1", "BUNDLE 0 1 2") + video.replace("a=mid:1", "a=mid:2")
        rows = [
            Row("no key", "POST", ENDPOINT, 401, offer, {"Content-Type": SDP}, CHALLENGE),
            post("wrong key", ENDPOINT, 401, offer, "send it as Authoriz", Authorization="Bearer wrong"),
            post("wrong key in the query", ENDPOINT + "?key=wrong", 401, offer),
            post("another scheme", ENDPOINT, 401, offer, Authorization="Basic bGl2ZTpsaXZl"),
            post("no such stream", "/whip/nowhere", 404, offer, **key),
            Row("no content type", "POST", ENDPOINT, 415, offer, {"Content-Type": "text/plain", **key}),
            post("a fragment", ENDPOINT, 415, offer, **{**key, "Content-Type": FRAGMENT}),
            post("nothing", ENDPOINT, 400, "", "SDP", **key),
            post("nothing, the key in the query", f"{ENDPOINT}?key={here.key}", 400, ""),
            post("no SDP", ENDPOINT, 400, "hello", **key),
            post("no text", ENDPOINT, 400, b"\xff\xfe", "UTF-8", **key),
            post("half of an offer", ENDPOINT, 400, offer[:90], **key),
            post("no fingerprint", ENDPOINT, 400, re.sub("a=fingerprint.*\r\n", "", offer), **key),
            post("not bundled", ENDPOINT, 400, re.sub("a=group:BUNDLE.*\r\n", "", offer), "bundle", **key),
            post("no rtcp-mux", ENDPOINT, 400, offer.replace("a=rtcp-mux\r\n", ""), "rtcp-mux", **key),
            post("longer than an SDP", ENDPOINT, 413, offer + "a=x:y\r\n" * 19_000, **key),
            post("longer than a body", ENDPOINT, 413, b"v" * 300_000, **key),
            post("no video", ENDPOINT, 422, without_video(offer), "sendonly", **key),
            post("who watches", ENDPOINT, 422, offer.replace("sendonly", "recvonly"), "sendonly", **key),
            post("no codec of ours", ENDPOINT, 422, offer.replace("H264", "H263"), "VP8", **key),
            post("no sound of ours", ENDPOINT, 422, offer.replace("opus/48000/2", "G722/8000"), "Op", **key),
            post("two videos", ENDPOINT, 422, twice, "one video line", **key),
            Row("GET", "GET", ENDPOINT, 204, shown={"Content-Type": None}),
            Row("HEAD", "HEAD", ENDPOINT, 204),
            Row("GET of none", "GET", "/whip/nowhere", 404),
            *(Row(method, method, ENDPOINT, 405) for method in ("PUT", "PATCH", "DELETE")),
            Row("OPTIONS", "OPTIONS", ENDPOINT, 200, shown={"Accept-Post": SDP, "Link": None}),
            Row("preflight", "OPTIONS", ENDPOINT, 200, headers=ASKED, shown={
                "Accept-Post": SDP, "Access-Control-Allow-Origin": "https://page.example", "Link": None,
            }),
            post("a page of others", ENDPOINT, 403, offer, Origin="https://evil.example", **key),
        ]  # fmt: skip
        await hold(here.served.http, here.served.base, rows)
        async with here.served.http.options(here.whip, headers={"Origin": "https://evil.example"}) as reply:
            assert reply.status == 403
            assert "Access-Control-Allow-Origin" not in reply.headers
        assert here.stream.state == "idle"
        assert len(here.served.state.places) == 0


async def test_what_201_holds_and_what_can_be_asked_of_its_session() -> None:
    async with studio() as here:
        obs = await here.obs().publish()
        await until(lambda: here.stream.facts().fps_out > 0)
        assert re.fullmatch(r"/whip/live/[\w-]{24}", obs.location.removeprefix(here.served.base))
        assert re.fullmatch(r'"[0-9a-f]{16}"', obs.etag)  # strong
        lines = obs.answer.splitlines()
        assert lines.count("a=recvonly") == 2
        assert any(line.startswith("a=candidate:") for line in lines)
        assert "a=end-of-candidates" in lines

        session = obs.location.removeprefix(here.served.base)
        right = {"Content-Type": FRAGMENT, "If-Match": obs.etag}
        stale = {"Content-Type": FRAGMENT, "If-Match": '"0123456789abcdef"'}
        anything = {"Content-Type": FRAGMENT, "If-Match": "*"}
        patch = "PATCH"
        await hold(here.served.http, here.served.base, [
            Row("no If-Match", patch, session, 428, CANDIDATE, {"Content-Type": FRAGMENT}),
            Row("stale", patch, session, 412, CANDIDATE, stale),
            Row("weak", patch, session, 412, CANDIDATE, {**right, "If-Match": "W/" + obs.etag}),
            Row("candidates", patch, session, 204, CANDIDATE, right, {"ETag": None, "Content-Type": None}),
            Row("any of two", patch, session, 204, CANDIDATE, {**right, "If-Match": f'"x", {obs.etag}'}),
            Row("no candidates of ours", patch, session, 204, CANDIDATE.replace("udp", "tcp"), right),
            Row("whatever came before", patch, session, 204, CANDIDATE, anything),
            Row("an offer", patch, session, 415, CANDIDATE, {**right, "Content-Type": SDP}),
            Row("garbage", patch, session, 400, "hello", right),
            Row("no text", patch, session, 400, b"\xff", right),
            Row("too long", patch, session, 400, CANDIDATE * 400, right, says="16384"),
            Row("longer than a body", patch, session, 413, b"a" * 300_000, right),
            Row("half a restart", patch, session, 204, "a=ice-ufrag:anew\r\n" + CANDIDATE, right),
            Row("no credentials", patch, session, 400, "a=ice-ufrag:anew\r\na=ice-pwd:short\r\n", anything),
            Row("GET", "GET", session, 204),
            Row("HEAD", "HEAD", session, 204),
            *(Row(method, method, session, 405) for method in ("PUT", "POST")),
            Row("OPTIONS", "OPTIONS", session, 200, shown={"Link": None}),
            Row("of another stream", patch, session.replace("live", "dead"), 404, CANDIDATE, right),
            Row("as if it watched", patch, session.replace("whip", "whep"), 404, CANDIDATE, right),
            Row("DELETE as if it watched", "DELETE", session.replace("whip", "whep"), 404),
            Row("none", patch, "/whip/live/nothing", 404, CANDIDATE, right),
            Row("DELETE of none", "DELETE", "/whip/live/nothing", 404),
        ])  # fmt: skip
        assert here.stream.state == "live"

        async with here.served.http.patch(obs.location, data=RESTART, headers=anything) as reply:
            assert (reply.status, reply.content_type) == (200, FRAGMENT)
            ours, anew = await reply.text(), reply.headers["ETag"]
        assert anew not in (obs.etag, None)
        ufrag, candidates = parse_fragment(ours)
        assert ufrag not in (None, re.search("a=ice-ufrag:(.*)", obs.answer)[1].strip())  # type: ignore[index]
        assert parse_password(ours)
        assert candidates
        await hold(here.served.http, here.served.base, [
            Row("of the generation before", patch, session, 412, CANDIDATE, right),
            Row("of this one", patch, session, 204, CANDIDATE, {**right, "If-Match": anew}),
        ])  # fmt: skip
        player = await here.player().watch()  # nobody answers the restart: the path in use stays in use
        await until(lambda: len(player.pictures) > 3)
        await hold(here.served.http, here.served.base, [
            Row("DELETE looks at no If-Match", "DELETE", session, 200, headers={"If-Match": '"x"'}),
            Row("DELETE again", "DELETE", session, 404),
            Row("GET after", "GET", session, 404),
            Row("PATCH after", patch, session, 404, CANDIDATE, {**right, "If-Match": anew}),
        ])  # fmt: skip
        again = await here.obs().publish()
        assert again.location != obs.location


async def test_no_room_and_going_down_are_503_with_a_time_to_come_again() -> None:
    async with studio(max_sessions=1) as here:
        await here.served.visitor().connect()
        with pytest.raises(Refused, match="503") as full:
            await here.obs().publish()
        assert int(full.value.headers["Retry-After"]) > 0
        assert here.stream.state == "idle"
        here.served.state.places.draining = True
        with pytest.raises(Refused, match=r"503.*going-away") as down:
            await here.obs().publish()
        assert int(down.value.headers["Retry-After"]) > 0


async def test_a_stream_that_opens_too_slowly_for_obs_is_answered_in_time(monkeypatch: Any) -> None:
    get = Workers.get

    async def slow(self: Workers, name: str = "") -> Any:
        await asyncio.sleep(1)
        return await get(self, name)

    monkeypatch.setattr("server.routes.rtc.ANSWER_WITHIN_S", 0.2)
    async with studio() as here:
        monkeypatch.setattr(Workers, "get", slow)
        with pytest.raises(Refused, match=r"503.*within 0\.2 s") as late:
            await here.obs().publish()
        assert int(late.value.headers["Retry-After"]) > 0
        assert here.stream.state == "idle"
        monkeypatch.undo()
        await here.obs().publish()
        assert len(here.served.state.places) == 1


async def test_who_is_taken_over_while_its_stream_opens_is_told_so(monkeypatch: Any) -> None:
    get = Workers.get

    async def slow(self: Workers, name: str = "") -> Any:
        await asyncio.sleep(0.5)
        return await get(self, name)

    async with studio() as here:
        monkeypatch.setattr(Workers, "get", slow)
        first = asyncio.ensure_future(here.obs().publish())
        await until(lambda: here.stream.publisher is not None)
        await here.obs("?takeover=1").publish()
        with pytest.raises(Refused, match="409"):
            await first
        assert here.stream.state == "live"
        await until(lambda: len(here.served.state.rtc) == 1)


async def test_offers_gone_wrong_in_any_line_are_answered_or_refused(monkeypatch: Any) -> None:
    """OBS's offer with lines lost, doubled, cut and swapped: never a 5xx, and nothing of it stays."""
    monkeypatch.setattr(rtc_sessions, "CALLS_AT_ONCE", 1000)
    draw = random.Random(9725)
    async with studio() as here:
        headers = {"Content-Type": SDP, "Authorization": f"Bearer {here.key}"}
        lines = (await an_offer(here)).splitlines()
        seen = set[int]()
        for _ in range(80):
            made = list(lines)
            for _ in range(draw.choice((1, 1, 2, 4))):
                at = draw.randrange(len(made))
                match draw.randrange(4):
                    case 0:
                        del made[at]
                    case 1:
                        made.insert(at, draw.choice(made))
                    case 2:
                        made[at] = made[at][: draw.randrange(len(made[at]) + 1)]
                    case 3:
                        made[at] = made[at].replace(draw.choice("01:a= "), draw.choice(("9", "", "\0", "é")))
            async with here.served.http.post(here.whip, data="\r\n".join(made), headers=headers) as reply:
                assert reply.status in (201, 400, 422), (reply.status, await reply.text(), made)
                seen.add(reply.status)
                if reply.status == 201:
                    location = here.served.base + reply.headers["Location"]
                    async with here.served.http.delete(location) as gone:
                        assert gone.status == 200
        assert seen == {201, 400, 422}
        await until(lambda: len(here.served.state.rtc) == 0, what="nothing stays")
        assert here.stream.publisher is None


async def test_floods_and_guesses_are_429(monkeypatch: Any) -> None:
    async with studio() as here:
        wrong = [post("a guess", ENDPOINT, 401, "", Authorization=f"Bearer {n}") for n in range(10)]
        right = {"Authorization": f"Bearer {here.key}"}
        await hold(here.served.http, here.served.base, wrong)
        await hold(here.served.http, here.served.base, [post("who guessed", ENDPOINT, 429, "", **right)])
    monkeypatch.setattr(rtc_sessions, "CALLS_AT_ONCE", 4)
    monkeypatch.setattr(rtc_sessions, "CALLS_PER_S", 0.001)
    async with studio() as here:
        calls = [post("one", ENDPOINT, 401), Row("two", "DELETE", ENDPOINT + "/x", 404)]
        calls += [Row("three", "PATCH", ENDPOINT + "/x", 404), post("four", "/whep/live", 415)]
        calls[-1] = post("four", "/whep/nowhere", 404)
        over = [post("five", ENDPOINT, 429), post("six", "/whep/live", 429)]
        over += [Row("seven", "DELETE", ENDPOINT + "/x", 429, shown={"Retry-After": "1"})]
        over += [Row("eight", "PATCH", "/whep/live/x", 429), Row("looks are free", "GET", ENDPOINT, 204)]
        await hold(here.served.http, here.served.base, calls + over)


class Stun(asyncio.DatagramProtocol):
    """Answers binding requests (RFC 8489), so that gathering need not wait for a time-out."""

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        asked = aioice.stun.parse_message(data)
        said = aioice.stun.Message(asked.message_method, aioice.stun.Class.RESPONSE, asked.transaction_id)
        said.attributes["XOR-MAPPED-ADDRESS"] = addr
        self.transport.sendto(bytes(said), addr)


async def test_ice_servers_come_with_201_and_never_with_a_preflight() -> None:
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(Stun, local_addr=("0.0.0.0", 0))
    url = f"stun:127.0.0.1:{transport.get_extra_info('sockname')[1]}"
    config = load_config(flags={"ice_servers": url})
    async with studio(ice_servers=config.ice_servers) as here:
        offer = await an_offer(here)
        headers = {"Content-Type": SDP, "Authorization": f"Bearer {here.key}"}
        async with here.served.http.post(here.whip, data=offer, headers=headers) as reply:
            assert reply.status == 201
            assert reply.headers.getall("Link") == [f'<{url}>; rel="ice-server"']
    transport.close()


def test_turn_servers_come_with_their_credentials() -> None:
    servers = (
        '[{"urls": ["turn:t.example:3478?transport=udp", "turns:t.example"], "username": "a\\"b", '
        '"credential": "c\\\\d"}, {"urls": "stun:s.example"}]'
    )
    secret = r'; rel="ice-server"; username="a\"b"; credential="c\\d"; credential-type="password"'
    assert ice_links(load_config(flags={"ice_servers": servers})) == [
        "<turn:t.example:3478?transport=udp>" + secret,
        "<turns:t.example>" + secret,
        '<stun:s.example>; rel="ice-server"',
    ]


async def test_a_stream_that_another_server_has_is_sent_there(tmp_path: Path) -> None:
    """By 307 alone, key and all, for who publishes and for who watches; and only for who may."""
    own = str(tmp_path)  # not what the other tests' servers keep
    async with studio() as here, studio(data_dir=own) as front:
        settings = msgspec.structs.replace(
            front.stream.settings, key=here.key, redirect=here.served.base + "/"
        )
        await front.served.state.streams.put("live", settings)
        there = {"Location": f"{here.whip}?takeover=1"}
        key = {"Authorization": f"Bearer {here.key}", "Content-Type": SDP}
        rows = [
            Row("a publisher", "POST", ENDPOINT + "?takeover=1", 307, "v=0", key, there),
            post("wrong key", ENDPOINT, 401, "v=0", Authorization="Bearer wrong"),
            Row("a player", "POST", "/whep/live", 307, "v=0", {"Content-Type": SDP}, {"Location": here.whep}),
        ]
        await hold(front.served.http, front.served.base, rows)
        obs = here.obs()
        obs.url = front.whip
        await obs.publish()
        assert obs.redirects == [here.whip]
        player = here.player()
        player.url = front.whep
        await player.watch()
        await until(lambda: len(player.pictures) > 3, what="pictures by way of another server")
        await obs.stop()
