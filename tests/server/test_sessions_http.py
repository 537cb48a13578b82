"""The HTTP side: admission, preconditions, refusals, other origins. Real clients for real sessions."""

from __future__ import annotations

import asyncio

import pytest
from visitor import SDP, Served, serving, until

from gpu.errors import NoMemory
from gpu.models.passthrough import PassthroughModel
from server import problem
from server.api import model_info, page_config
from server.config import load_config
from server.routes import operators
from server.routes.sessions import etag_of

FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}
CANDIDATE = "m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\na=candidate:1 1 udp 1 127.0.0.1 9 typ host\r\n"


async def refused(served: Served, method: str, path: str, status: int, **how: object) -> dict[str, object]:
    async with served.http.request(method, served.base + path, **how) as reply:  # type: ignore[arg-type]
        assert reply.status == status, await reply.text()
        assert reply.content_type == problem.CONTENT_TYPE
        body = await reply.json()
        assert body["status"] == status
        assert body["detail"]
        return {**body, "headers": reply.headers}


async def test_one_session_more_than_there_is_room_for_is_told_when_to_come_again() -> None:
    async with serving(max_sessions=1) as served:
        await served.visitor().connect()
        reply = await served.visitor().offer()
        assert reply.status == 503
        assert int(reply.headers["Retry-After"]) > 0
        body = await reply.json()
        assert body["type"] == "urn:relens:capacity"
        assert body["remedy"]


async def test_one_visitor_never_gets_all_places_whoever_a_proxy_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(max_sessions=3, max_sessions_each=2) as served:
        monkeypatch.setitem(SDP, "X-Forwarded-For", "203.0.113.7")
        for _ in range(2):
            assert (await served.visitor().offer()).status == 201
        reply = await served.visitor().offer()
        body = await reply.json()
        assert (reply.status, body["type"]) == (503, "urn:relens:capacity")
        assert int(reply.headers["Retry-After"]) > 0
        assert "203.0.113.7" in body["detail"]
        assert "Close one of them" in body["remedy"]
        monkeypatch.setitem(SDP, "X-Forwarded-For", "203.0.113.8")
        assert (await served.visitor().offer()).status == 201
        async with served.http.get(served.base + "/metrics") as scraped:
            assert 'relens_sessions_refused_total{reason="share"} 1.0' in await scraped.text()


async def test_a_stream_that_would_not_fit_is_refused_at_the_door_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(model="passthrough") as served:
        inside = await served.visitor().connect()

        def no_room(self: PassthroughModel) -> None:
            raise NoMemory("a stream takes 4 GiB and 1 GiB is free: at 640x352 would fit")

        monkeypatch.setattr(PassthroughModel, "admit", no_room)
        reply = await served.visitor().offer()
        assert reply.status == 503
        body = await reply.json()
        assert (body["type"], int(reply.headers["Retry-After"]) > 0) == ("urn:relens:memory", True)
        assert "at 640x352 would fit" in body["detail"]
        monkeypatch.undo()
        (session,) = served.state.sessions.all()
        assert inside.location.endswith(session.id)
        await served.visitor().connect()


async def test_visitor_who_reloads_gets_the_place_just_left() -> None:
    async with serving(max_sessions=1) as served:
        visitor = await served.visitor().connect()
        ending = served.state.sessions.all()[0].end("deleted", "the test ends it")
        await served.visitor().connect()
        await ending
        (session,) = served.state.sessions.all()
        assert not visitor.location.endswith(session.id)


async def test_offers_at_once_do_not_share_the_last_place() -> None:
    async with serving(max_sessions=2) as served:
        replies = await asyncio.gather(*(served.visitor().offer() for _ in range(4)))
        assert sorted(reply.status for reply in replies) == [201, 201, 503, 503]


async def test_candidates_need_the_tag_of_the_newest_answer() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        path = visitor.location.removeprefix(served.base)
        await refused(served, "PATCH", path, 428, data=CANDIDATE, headers=FRAGMENT)
        wrong = {**FRAGMENT, "If-Match": '"old"'}
        await refused(served, "PATCH", path, 412, data=CANDIDATE, headers=wrong)
        for tag in (visitor.etag, "*", f'"x", {visitor.etag}'):
            right = {**FRAGMENT, "If-Match": tag}
            async with served.http.patch(visitor.location, data=CANDIDATE, headers=right) as reply:
                assert reply.status == 204, await reply.text()
        await refused(served, "PATCH", path, 415, data=CANDIDATE, headers={"If-Match": "*"})
        async with served.http.get(visitor.location) as reply:
            assert reply.headers["ETag"] == visitor.etag
            assert (await reply.json())["state"] == "open"


async def test_what_is_no_offer_is_refused_and_takes_no_place() -> None:
    async with serving(max_sessions=1) as served:
        for data in ("", "v=0", "m=video", "x" * 5_000):
            await refused(served, "POST", "/sessions", 400, data=data.encode(), headers=SDP)
        await refused(served, "POST", "/sessions", 400, data=b"\xff\xfe", headers=SDP)
        await refused(served, "POST", "/sessions", 415, data=b"{}", headers={"Content-Type": "text/plain"})
        await until(lambda: len(served.state.sessions) == 0)
        await served.visitor().connect()


async def test_bodies_over_the_bound_are_refused() -> None:
    async with serving(max_body_bytes=2_000) as served:
        await refused(served, "POST", "/sessions", 413, data=b"v" * 3_000, headers=SDP)


@pytest.mark.parametrize(
    "query", ["?prompt=x&strength=2", "?prompt=x&strength=nan", "?prompt=x&strength=much"]
)
async def test_first_edit_is_validated(query: str) -> None:
    async with serving() as served:
        body = await refused(served, "POST", "/sessions" + query, 400, data=b"v=0", headers=SDP)
        assert "strength" in str(body["detail"])
        long = "?prompt=" + "x" * 2_001
        await refused(served, "POST", "/sessions" + long, 400, data=b"v=0", headers=SDP)


async def test_model_that_there_is_not_is_named_with_those_there_are() -> None:
    async with serving() as served:
        reply = await served.visitor().offer("?model=nothing")
        assert reply.status == 400
        assert "passthrough" in (await reply.json())["detail"]
        assert len(served.state.sessions) == 0


async def test_sessions_that_are_not_are_404_and_other_methods_405() -> None:
    async with serving() as served:
        for method in ("POST", "PATCH", "DELETE", "GET"):
            await refused(served, method, "/sessions/nothing", 404, headers=SDP)
        body = await refused(served, "PUT", "/sessions", 405)
        assert "POST" in body["headers"]["Allow"]  # type: ignore[index]
        await refused(served, "GET", "/no/such/file", 404)


async def test_list_of_sessions_gives_nobody_the_power_to_end_one() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        async with served.http.get(served.base + "/sessions") as reply:
            text = await reply.text()
            assert (await reply.json())["sessions"][0]["state"] == "open"
        assert visitor.location.rsplit("/", 1)[1] not in text


async def test_pages_of_other_origins_are_let_in_only_where_allowed() -> None:
    foreign = {"Origin": "https://example.test", **SDP}
    async with serving() as served:
        await refused(served, "POST", "/sessions", 403, data=b"v=0", headers=foreign)
        async with served.http.options(served.base + "/sessions", headers=foreign) as reply:
            assert reply.status == 403
        own = {"Origin": served.base, **SDP}
        await refused(served, "POST", "/sessions", 400, data=b"v=0", headers=own)
    async with serving(allowed_origins=("https://example.test",)) as served:
        async with served.http.options(served.base + "/sessions", headers=foreign) as reply:
            assert reply.status == 204
            assert reply.headers["Access-Control-Allow-Origin"] == "https://example.test"
            assert "If-Match" in reply.headers["Access-Control-Allow-Headers"]
        body = await refused(served, "POST", "/sessions", 400, data=b"v=0", headers=foreign)
        assert "ETag" in body["headers"]["Access-Control-Expose-Headers"]  # type: ignore[index]


async def test_a_broken_origin_is_a_foreign_one() -> None:
    async with serving() as served:
        await refused(served, "POST", "/sessions", 403, data=b"v=0", headers={"Origin": "http://[", **SDP})


async def test_a_foreign_name_on_a_loopback_address_is_refused() -> None:
    rebound = {"Host": "evil.test", "Origin": "http://evil.test", **SDP}
    async with serving() as served:
        await refused(served, "POST", "/sessions", 403, data=b"v=0", headers=rebound)
        await refused(served, "GET", "/config.json", 403, headers=rebound)
        await refused(served, "GET", "/config.json", 403, headers={"Host": "http://["})
        for name in ("localhost:8080", "127.0.0.1", "[::1]:8080"):
            async with served.http.get(served.base + "/healthz", headers={"Host": name}) as reply:
                assert reply.status == 200
    async with serving(allowed_origins=("http://evil.test",)) as served:
        await refused(served, "POST", "/sessions", 400, data=b"v=0", headers=rebound)


async def test_tag_changes_with_the_ice_credentials() -> None:
    answer = "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\na=ice-ufrag:abcd\r\n"
    assert etag_of(answer) == etag_of(answer)
    assert etag_of(answer) != etag_of(answer.replace("abcd", "efgh"))


async def test_models_readings_and_configuration_are_what_the_page_reads() -> None:
    servers = '[{"urls": ["turn:turn.test:3478"], "username": "u", "credential": "c"}]'
    config = load_config(flags={"model": "passthrough", "ice_servers": servers})
    shown = page_config(config, "nano", "a device", "1.0")
    assert shown.ice_servers[0].urls == ["turn:turn.test:3478"]
    async with serving(ice_servers=config.ice_servers) as served:
        async with served.http.get(served.base + "/models") as reply:
            models = (await reply.json())["models"]
        (one,) = [model for model in models if model["name"] == "passthrough"]
        assert one["default"]
        assert one["device"]
        assert one["why"] == "", "it was asked for by name"
        spec = next(spec for spec in served.state.workers.specs if spec.name == "passthrough")
        assert one["maxSize"] == list(model_info(spec, True, "").max_size)
        async with served.http.get(served.base + "/understand?prompt=hello") as reply:
            reading = await reply.json()
        assert set(reading) == {"label", "parts", "confidence", "understood", "nearest", "leftOut", "note"}
        await refused(served, "GET", "/understand?prompt=x&strength=2", 400)
        await refused(served, "GET", "/understand?prompt=x&strength=half", 400)
        await refused(served, "GET", "/understand?model=nothing&prompt=x", 400)
        await refused(served, "GET", "/understand?prompt=" + "x" * 2_001, 400)
        async with served.http.get(served.base + "/config.json") as reply:
            page = await reply.json()
        assert page["model"] == "passthrough"
        assert page["iceServers"][0] == {"urls": ["turn:turn.test:3478"], "username": "u", "credential": "c"}
        assert page["limits"]["maxSessions"] == 4


async def test_what_was_measured_is_the_default_and_says_why() -> None:
    async with serving() as served:
        served.state.workers.default, served.state.workers.why = "nano-plus", "18 ms a picture"
        async with served.http.get(served.base + "/models") as reply:
            models = {model["name"]: model for model in (await reply.json())["models"]}
        assert {name for name, model in models.items() if model["default"]} == {"nano-plus"}
        assert {model["why"] for name, model in models.items() if name != "nano-plus"} == {""}
        assert models["nano-plus"]["why"] == "18 ms a picture"
        async with served.http.get(served.base + "/config.json") as reply:
            assert (await reply.json())["model"] == "nano-plus"
        served.state.workers.default = "passthrough"


async def test_health_and_readiness() -> None:
    async with serving() as served:
        for path, status in (("/healthz", "alive"), ("/readyz", "ready")):
            async with served.http.get(served.base + path) as reply:
                assert reply.status == 200
                assert (await reply.json())["status"] == status


async def test_not_ready_before_the_model_is_loaded() -> None:
    async with serving() as served:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(served.state.workers, "loaded", lambda _: None)
            body = await refused(served, "GET", "/readyz", 503)
            assert "Retry-After" in body["headers"]  # type: ignore[operator]
        async with served.http.get(served.base + "/readyz") as reply:
            assert reply.status == 200
    assert {route.path for route in operators.ROUTES} >= {"/readyz", "/healthz", "/metrics", "/models"}


async def test_defect_in_a_handler_is_a_problem_without_its_insides(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as served:

        def broken(*_: object) -> None:
            raise KeyError("secret")

        monkeypatch.setattr(served.state.sessions, "open", broken)
        body = await refused(served, "POST", "/sessions", 500, data=b"v=0", headers=SDP)
        assert "secret" not in str(body)
