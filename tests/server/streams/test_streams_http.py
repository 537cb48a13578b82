"""/streams over HTTP: what is told, the edit with its receipts, what the operator sets, who may what."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gpu.editor import EditRefused
from gpu.models.registry import list_models
from server.errors import ProtocolError
from server.problem import CONTENT_TYPE
from server.routes import streams as routes
from server.stream_api import EditAsked, SettingsAsked, edit_of, presets_of, read_body, settings_of
from server.streams.stream import Stream
from server.streams.types import StreamPreset, StreamSettings
from tests.server.streams.stream_parts import Caster
from tests.server.visitor import Served, serving, until

OPERATOR = {"Authorization": "Bearer the-operators"}
NIGHT = {"name": "Night", "prompt": "make it night", "strength": 0.5, "transitionMs": 100}


async def ask(
    served: Served, method: str, path: str, status: int = 200, body: Any = None, **headers: str
) -> Any:
    how: dict[str, Any] = {"json": body} if body is not None else {}
    async with served.http.request(method, served.base + path, headers=headers, **how) as reply:
        assert reply.status == status, await reply.text()
        if status >= 400:
            assert reply.content_type == CONTENT_TYPE
        return await reply.json(content_type=None) if reply.content_type.endswith("json") else None


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}


def live(served: Served, name: str = "live") -> Stream:
    stream = served.state.streams.get(name)
    assert stream is not None
    return stream


async def test_a_new_server_has_one_stream_and_tells_what_it_does(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        (facts,) = (await ask(served, "GET", "/streams"))["streams"]
        assert (facts["name"], facts["state"], facts["viewers"]) == ("live", "idle", 0)
        assert "key" not in facts
        caster = await Caster(live(served)).publish()
        await until(lambda: live(served).facts().width)
        facts = await ask(served, "GET", "/streams/live")
        assert (facts["state"], facts["width"], facts["height"]) == ("live", 96, 64)
        assert facts["publisher"]["address"] == "192.0.2.7"
        guest = await ask(served, "GET", "/streams/live", **{"X-Forwarded-For": "203.0.113.1"})
        assert guest["publisher"]["address"] == ""
        await ask(served, "DELETE", "/streams/live/publisher", 204)
        assert caster.ends[0][0] == "kicked"
        await ask(served, "DELETE", "/streams/live/publisher", 404)
        await ask(served, "GET", "/streams/other", 404)


async def test_an_edit_is_answered_by_what_it_was_taken_for_and_seen(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        await Caster(live(served)).publish()
        path = "/streams/live/edit"
        first = await ask(served, "PUT", path, body={"prompt": "one", "strength": 0.5, "seed": 3})
        assert first["type"] == "received"
        assert (first["prompt"], first["strength"], first["seed"]) == ("one", 0.5, 3)
        assert not first["understood"], "passing through is all that this model can"
        assert "applied" not in first
        nothing = await ask(served, "PUT", path + "?wait=applied", body={"prompt": "one"})
        assert nothing["applied"] is None
        second = await ask(served, "PUT", path + "?wait=applied", body={"prompt": "", "transitionMs": 0})
        assert second["revision"] == first["revision"] + 2
        assert second["applied"] >= 0
        shown = await ask(served, "GET", path)
        assert (shown["revision"], shown["applied"]) == (second["revision"], second["revision"])
        assert shown["received"]["understood"]


async def test_where_nobody_publishes_nothing_is_waited_for(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        told = await ask(served, "PUT", "/streams/live/edit?wait=applied", body={"prompt": ""})
        assert (told["understood"], told["applied"]) == (True, None)


async def test_an_edit_that_the_model_refuses_in_the_end_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        await Caster(live(served)).publish()
        await until(lambda: live(served).facts().width)
        asked = live(served).edit

        def refuse(edit: Any) -> Any:
            received = asked(edit)
            live(served).on_error(EditRefused(received.revision, "no room for its graphs"))
            return received

        monkeypatch.setattr(live(served), "edit", refuse)
        told = await ask(served, "PUT", "/streams/live/edit?wait=applied", 409, {"prompt": ""})
        assert "no room for its graphs" in told["detail"]


@pytest.mark.parametrize(
    "body",
    [
        {}, {"prompt": "x", "preset": 1}, {"preset": 0}, {"preset": 10}, {"preset": 9},
        {"prompt": "x" * 2_001}, {"prompt": "x", "strength": 2}, {"prompt": "x", "more": 1},
        {"prompt": None}, [], "x", 1,
    ],
    ids=str,
)  # fmt: skip
def test_edits_that_are_none_are_refused_by_name(body: Any) -> None:
    with pytest.raises(ProtocolError, match=r"\w"):
        edit_of(read_body(msgspec.json.encode(body).decode(), EditAsked), [])


async def test_presets_are_asked_for_by_number_and_may_be_weaker(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        await ask(served, "PUT", "/streams/live/settings", body={"presets": [NIGHT]})
        assert (await ask(served, "GET", "/streams/live/presets"))["presets"] == [NIGHT]
        told = await ask(served, "PUT", "/streams/live/edit", body={"preset": 1})
        assert (told["prompt"], told["strength"]) == ("make it night", 0.5)
        told = await ask(served, "PUT", "/streams/live/edit", body={"preset": 1, "strength": 0.25})
        assert told["strength"] == 0.25
        refused = await ask(served, "PUT", "/streams/live/edit", 400, {"preset": 2})
        assert "preset 2" in refused["detail"]
        for body in ("{", b"\xff", "null"):
            headers = {"Content-Type": "application/json"}
            url = served.base + "/streams/live/edit"
            async with served.http.put(url, data=body, headers=headers) as reply:
                assert reply.status == 400
        await ask(served, "PUT", "/streams/live/edit?wait=for", 400, {"preset": 1})
        await ask(served, "PUT", "/streams/live/edit", 415)
        await ask(served, "PUT", "/streams/other/edit", 404, {"preset": 1})


def test_a_stream_without_presets_has_its_models() -> None:
    specs = list_models()
    found = presets_of(StreamSettings(key="12345678"), specs, "nano")
    assert len(found) == 9
    assert all(preset.name and preset.prompt for preset in found)
    own = StreamSettings(key="12345678", presets=(StreamPreset(name="a", prompt="b"),))
    assert presets_of(own, specs, "nano") == list(own.presets)


async def test_the_operator_makes_sets_and_deletes_streams(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        made = await ask(served, "PUT", "/streams/cam/settings", 201, {"prompt": "x", "presets": [NIGHT]})
        assert len(made["key"]) >= 12
        changed = await ask(served, "PUT", "/streams/cam/settings", body={"viewKey": "seen", "bitrateBps": 1})
        assert (changed["key"], changed["viewKey"], changed["presets"]) == (made["key"], "seen", [])
        own = await ask(served, "PUT", "/streams/cam/settings", body={"key": "my-own-key"})
        assert own["key"] == "my-own-key"
        renewed = await ask(served, "POST", "/streams/cam/key")
        assert renewed["key"] not in ("my-own-key", made["key"])
        assert await ask(served, "GET", "/streams/cam/settings") == renewed
        caster = await Caster(live(served, "cam")).publish()
        await ask(served, "DELETE", "/streams/cam", 204)
        assert caster.ends[0][0] == "deleted"
        await ask(served, "DELETE", "/streams/cam", 404)
        await ask(served, "POST", "/streams/cam/key", 404)


async def test_of_changes_at_once_each_sees_the_one_before(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        before = live(served).settings.key
        settings, renewed = await asyncio.gather(
            ask(served, "PUT", "/streams/live/settings", 200, {"prompt": "x", "viewKey": "seen"}),
            ask(served, "POST", "/streams/live/key"),
        )
        now = live(served).settings
        assert (now.prompt, now.view_key) == ("x", "seen")
        assert now.key == renewed["key"] != before
        assert settings["key"] in (before, now.key)
        changes = [ask(served, "PUT", "/streams/live/settings", 200, {"prompt": str(n)}) for n in range(4)]
        keys = [ask(served, "POST", "/streams/live/key") for _ in range(4)]
        told = await asyncio.gather(*changes, *keys)
        now = live(served).settings
        assert {one["key"] for one in told[4:]} >= {now.key}
        assert now.prompt in ("0", "1", "2", "3")


async def test_an_edit_whose_stream_is_deleted_and_made_anew_while_it_comes_is_not_the_new_ones(
    tmp_path: Path,
) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        came, may_go_on = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            yield b'{"prompt": '
            came.set()
            await may_go_on.wait()
            yield b'"make it night"}'

        url, how = f"{served.base}/streams/live/edit", {"Content-Type": "application/json"}
        asking = asyncio.ensure_future(served.http.put(url, data=slowly(), headers=how))
        await came.wait()
        await asyncio.sleep(0.2)  # its head is there, and was judged
        streams = served.state.streams
        await streams.delete("live")
        await streams.put("live", StreamSettings(key="another-key"))
        may_go_on.set()
        async with await asking as reply:
            assert reply.status == 404
            assert "deleted meanwhile" in (await reply.json(content_type=None))["detail"]
        assert live(served).edit_facts().revision == 0


async def test_a_key_renewed_while_its_stream_is_deleted_brings_it_not_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        kept = served.state.kept
        assert kept is not None
        run, may_go = kept.run, asyncio.Event()

        async def slowly(*work: Any, **how: Any) -> Any:
            await may_go.wait()
            return await run(*work, **how)

        monkeypatch.setattr(kept, "run", slowly)
        deleting = asyncio.ensure_future(served.state.streams.delete("live"))
        await asyncio.sleep(0)  # it has the lock
        renewing = asyncio.ensure_future(ask(served, "POST", "/streams/live/key", 404))
        await asyncio.sleep(0.2)
        assert not renewing.done()
        may_go.set()
        assert await deleting
        assert "deleted meanwhile" in (await renewing)["detail"]
        assert served.state.streams.get("live") is None


CANNOT_WORK: list[tuple[dict[str, Any], str]] = [
    ({"key": "short"}, "key"),
    ({"key": "with space"}, "key"),
    ({"model": "nothing"}, "passthrough"),
    ({"targets": [{"name": "a", "url": "http://x/"}]}, "rtmp://"),
    ({"targets": [{"name": "a", "url": "rtmp://host/app"}]}, "stream key"),
    ({"targets": [{"name": "a", "url": "rtmp://x/y/z"}] * 2}, "same name"),
    ({"srt": {"port": 9999, "passphrase": "short"}}, "passphrase"),
    ({"presets": [NIGHT] * 10}, "presets"),
    ({"more": 1}, "more"),
]


async def test_settings_that_cannot_work_are_refused_by_name(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        for settings, said in CANNOT_WORK:
            told = await ask(served, "PUT", "/streams/cam/settings", 400, settings)
            assert said in told["detail"]
        assert served.state.streams.get("cam") is None


async def test_names_ports_and_the_number_of_streams_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        for name in ("Cam", "-cam", "c%20m", "c" * 64):
            told = await ask(served, "PUT", f"/streams/{name}/settings", 400, {})
            assert "a to z" in told["detail"]
        srt = {"srt": {"port": 9999, "passphrase": "long enough"}}
        await ask(served, "PUT", "/streams/one/settings", 201, srt)
        await ask(served, "PUT", "/streams/one/settings", 200, srt)
        told = await ask(served, "PUT", "/streams/two/settings", 409, srt)
        assert "one" in told["detail"]
        monkeypatch.setattr(routes, "MOST_STREAMS", 2)
        told = await ask(served, "PUT", "/streams/two/settings", 409, {})
        assert "delete one" in told["detail"]


OPERATORS = [
    ("GET", "/settings"), ("PUT", "/settings"), ("POST", "/key"), ("DELETE", ""), ("DELETE", "/publisher"),
    ("GET", "/setup"),
]  # fmt: skip


async def test_without_an_operators_key_this_machine_alone_is_the_operator(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path)) as served:
        proxied = {"X-Forwarded-For": "203.0.113.1"}
        for method, path in OPERATORS:
            told = await ask(served, method, "/streams/live" + path, 403, {}, **proxied)
            assert "operator_key" in told["detail"]
        told = await ask(served, "PUT", "/streams/live/edit", 403, {"prompt": "x"}, **proxied)
        key = {"Authorization": f"Bearer {live(served).settings.key}", **proxied}
        await ask(served, "PUT", "/streams/live/edit", 200, {"prompt": "x"}, **key)


async def test_a_stream_with_a_view_key_is_told_of_by_the_key_that_is_shown(tmp_path: Path) -> None:
    target = {"name": "a platform", "url": "rtmp://127.0.0.1:9/app/key-of-it", "enabled": False}
    async with serving(data_dir=str(tmp_path), operator_key="the-operators") as served:
        settings = {"key": "publishers", "viewKey": "viewers.", "targets": [target]}
        await ask(served, "PUT", "/streams/live/settings", 200, settings, **OPERATOR)
        await ask(served, "PUT", "/streams/open/settings", 201, {"targets": [target]}, **OPERATOR)
        await Caster(live(served)).publish()
        await until(lambda: live(served).facts().width)
        await ask(served, "PUT", "/streams/live/edit", 200, {"prompt": "a secret"}, **OPERATOR)
        secrets = ("a secret", "a platform", "127.0.0.1", "192.0.2.7", "tests", "passthrough")
        for key, says in (("", 0), ("guess", 0), ("viewers.", 1), ("publishers", 4), ("the-operators", 6)):
            told = str(await ask(served, "GET", "/streams/live", **bearer(key)))
            known = [secret for secret in secrets if secret in told]
            expected = {0: [], 1: ["a secret", "tests", "passthrough"], 6: list(secrets)}
            expected[4] = [secret for secret in secrets if secret != "192.0.2.7"]
            assert known == expected[says], key
            listed = (await ask(served, "GET", "/streams", **bearer(key)))["streams"]
            assert [secret for secret in secrets if secret in str(listed[0])] == known, key
            assert bool(listed[1]["targets"]) == (key == "the-operators"), key
            assert listed[0]["needsKey"] == (says == 0)
            assert not listed[1]["needsKey"]
            for path in ("/streams/live/edit", "/streams/live/presets"):
                await ask(served, "GET", path, 401 if says == 0 else 200, **bearer(key))
                await ask(served, "GET", path.replace("live", "open"), **bearer(key))
        by_address = await ask(served, "GET", "/streams/live?key=viewers.")
        assert (by_address["width"], by_address["targets"]) == (96, [])


async def test_the_operators_key_is_asked_for_and_guesses_are_counted(tmp_path: Path) -> None:
    async with serving(data_dir=str(tmp_path), operator_key="the-operators") as served:
        for method, path in OPERATORS:
            await ask(served, method, "/streams/live" + path, 401, {})
        await ask(served, "GET", "/streams/live/settings", 200, None, **OPERATOR)
        await ask(served, "PUT", "/streams/live/edit", 200, {"prompt": "x"}, **OPERATOR)
        key = {"Authorization": f"Bearer {live(served).settings.key}"}
        for _ in range(12):  # the stream's own key is no guess at the operator's
            await ask(served, "GET", "/streams/live", 200, None, **key)
        await ask(served, "PUT", "/streams/live/edit", 200, {"prompt": "x"}, **key)
        wrong = bearer("no-0")
        for number in range(10):
            await ask(served, "PUT", "/streams/live/edit", 401, {"prompt": "x"}, **bearer(f"no-{number}"))
        for asked in (OPERATOR, key, wrong):
            await ask(served, "PUT", "/streams/live/edit", 429, {"prompt": "x"}, **asked)
        await ask(served, "GET", "/streams/live/settings", 200, None, **OPERATOR)
        for number in range(10):
            await ask(served, "GET", "/streams/live/settings", 401, None, **bearer(f"no-{number}"))
        await ask(served, "GET", "/streams/live/settings", 429, None, **OPERATOR)


async def test_setup_has_what_obs_asks_for_under_the_name_that_was_called(tmp_path: Path) -> None:
    async with serving(
        data_dir=str(tmp_path), allowed_origins=("http://relens.test:8080", "http://[::5]:80")
    ) as served:
        body = {"key": "publishers", "viewKey": "viewers.", "srt": {"port": 9999, "passphrase": "0123456789"}}
        await ask(served, "PUT", "/streams/live/settings", body=body)
        served.state.streams.rtmp_port = 1935  # as `relens serve` does once it listens
        told = await ask(served, "GET", "/streams/live/setup", Host="relens.test:8080")
        assert told == {
            "whipUrl": "http://relens.test:8080/whip/live",
            "whipToken": "publishers",
            "whepUrl": "http://relens.test:8080/whep/live?key=viewers.",
            "rtmpServer": "rtmp://relens.test:1935/live",
            "rtmpKey": "live?key=publishers",
            "rtmpUrl": "rtmp://relens.test:1935/live/live?key=publishers",
            "rtmpPlayUrl": "rtmp://relens.test:1935/live/live?key=viewers.",
            "srtUrl": "srt://relens.test:9999?mode=caller&latency=120000&passphrase=0123456789",
            "srtProblem": "",
            "watchUrl": "http://relens.test:8080/watch/live?key=viewers.",
            "dockUrl": "http://relens.test:8080/dock/live?key=publishers",
        }
        told = await ask(served, "GET", "/streams/live/setup", Host="[::5]:80")
        assert told["rtmpServer"] == "rtmp://[::5]:1935/live"
    async with serving(data_dir=str(tmp_path / "other"), operator_key="the-operators") as served:
        proxied = {**OPERATOR, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "tv.test"}
        told = await ask(served, "GET", "/streams/live/setup", **proxied)
        assert told["whipUrl"] == "https://tv.test/whip/live"
        assert (told["rtmpServer"], told["rtmpKey"], told["srtUrl"]) == ("", "", "")


def test_settings_keep_what_is_not_asked_for_out_and_the_key_in() -> None:
    kept = settings_of(SettingsAsked(prompt="x"), "the-old-key", [])
    assert kept == StreamSettings(key="the-old-key", prompt="x")


async def test_pages_of_allowed_origins_may_put_and_show_a_key(tmp_path: Path) -> None:
    foreign = {"Origin": "https://example.test"}
    async with serving(data_dir=str(tmp_path), allowed_origins=("https://example.test",)) as served:
        url = served.base + "/streams/live/edit"
        async with served.http.options(url, headers=foreign) as reply:
            assert reply.status == 204
            assert "PUT" in reply.headers["Access-Control-Allow-Methods"]
            assert "Authorization" in reply.headers["Access-Control-Allow-Headers"]
