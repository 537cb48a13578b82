"""Sessions over real WebRTC: a stock client, the pass-through model, every way to end."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
from pathlib import Path

import msgspec
import pytest
from aiortc import RTCSessionDescription
from visitor import SDP, serving, until

from gpu.types import Part, Reading
from server.session import Session
from server.session_parts import SessionState


async def test_edit_is_received_at_once_and_applied_with_a_frame() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        await until(lambda: visitor.pictures > 5, what="pictures come back")
        visitor.edit(1)
        received = await visitor.hears("received", revision=1)
        applied = await visitor.hears("applied", revision=1)
        assert received["understood"]
        assert visitor.messages.index(received) < visitor.messages.index(applied)
        assert 0 <= applied["pts"] < 2**32
        (session,) = served.state.sessions.all()
        assert session.state is SessionState.OPEN


async def test_what_is_not_understood_is_received_and_never_applied() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        await until(lambda: visitor.pictures > 2)
        visitor.edit(1, "make it a dinosaur")
        assert not (await visitor.hears("received", revision=1))["understood"]
        visitor.edit(2)
        await visitor.hears("applied", revision=2)
        assert not visitor.heard("applied", revision=1)


async def test_first_edit_of_the_query_has_its_receipts_once_the_channel_opens() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect("?prompt=&strength=0.5")
        await visitor.hears("received", revision=0)
        await visitor.hears("applied", revision=0)
        visitor.edit(0)
        await visitor.hears("error", code="stale-revision", revision=0)


async def test_stats_come_each_second_and_are_of_this_stream() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        await until(lambda: len([s for s in visitor.heard("stats") if s["fpsOut"] > 5]) > 0)
        stats = next(s for s in visitor.heard("stats") if s["fpsOut"] > 5)
        assert (stats["width"], stats["height"]) == (320, 240)
        assert stats["model"] == "passthrough"
        assert stats["codec"] in ("h264", "vp8")
        assert 0 < stats["latency"]["p50Ms"] <= stats["latency"]["p95Ms"]
        assert stats["encode"]["p50Ms"] > 0


async def test_bad_stale_huge_and_too_many_messages_leave_the_session_alive() -> None:
    async with serving(messages_per_s=20.0, message_burst=30) as served:
        visitor = await served.visitor().connect()
        visitor.edit(5)
        visitor.edit(5)
        await visitor.hears("error", code="stale-revision", revision=5)
        visitor.say(type="edit", revision=6, prompt="", colour="red")
        error = await visitor.hears("error", code="bad-message")
        assert "colour" in error["message"]
        for i in range(2_000):
            visitor.edit(10 + i)
            if i % 100 == 0:
                await asyncio.sleep(0)
        await visitor.hears("error", code="rate-limited")
        before = visitor.pictures
        await until(lambda: visitor.pictures > before + 10, 30, "pictures go on through the flood")
        for t in range(60):  # what is left of the flood may take a ping's token
            if visitor.heard("pong"):
                break
            await asyncio.sleep(0.25)
            visitor.say(type="ping", t=t)
        assert visitor.heard("pong")
        assert len(visitor.heard("error", code="rate-limited")) < 20
        assert len(visitor.heard("received")) < 300


async def test_a_prompt_of_one_megabyte_leaves_the_session_alive() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        visitor.pc.sctp._remote_max_message_size = None  # a client that does not care what it was told
        visitor.edit(1, "x" * 1_000_000)
        visitor.edit(2, "y" * 2_001)
        await visitor.hears("error", code="bad-message")
        visitor.edit(3)
        await visitor.hears("received", revision=3)
        await visitor.hears("applied", revision=3)
        assert not visitor.heard("received", revision=1)


async def test_messagepack_is_answered_in_messagepack() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        visitor.channel.send(msgspec.msgpack.encode({"type": "edit", "revision": 4, "prompt": ""}))
        await until(lambda: {"received", "applied"} <= {m["type"] for m in visitor.binary})
        visitor.say(type="ping", t=1)
        await visitor.hears("pong", t=1)


async def test_pause_stops_the_pictures_and_resume_brings_them_back() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        await until(lambda: visitor.pictures > 3)
        visitor.say(type="pause")
        (session,) = served.state.sessions.all()
        await until(lambda: session.facts().paused)
        await asyncio.sleep(0.5)
        before = visitor.pictures
        await asyncio.sleep(0.5)
        assert visitor.pictures == before
        visitor.say(type="resume")
        await until(lambda: visitor.pictures > before + 3, what="pictures after resume")


async def test_audio_passes_through_and_is_held_while_paused() -> None:
    async with serving() as served:
        visitor = await served.visitor(audio=True).connect()
        await until(lambda: visitor.pictures > 5 and visitor.sounds > 20, what="picture and sound")
        (session,) = served.state.sessions.all()
        assert 0 < session._audio.delay_s < 1
        assert session._audio.dropped == 0
        visitor.say(type="pause")
        await until(lambda: session.facts().paused)
        assert not session._audio._packets


async def test_visitor_whose_network_is_gone_is_given_up() -> None:
    async with serving(lost_s=0.8) as served:
        program = (
            "import asyncio, aiohttp, sys; from visitor import Visitor\n"
            "async def main():\n"
            " async with aiohttp.ClientSession() as http:\n"
            "  await Visitor(sys.argv[1], http).connect(); print('there', flush=True)\n"
            "  await asyncio.sleep(60)\n"
            "asyncio.run(main())"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            program,
            served.base,
            stdout=asyncio.subprocess.PIPE,
            cwd=Path(__file__).parent,
        )
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 40) == b"there\n"
        assert len(served.state.sessions) == 1
        process.kill()
        await process.wait()
        await until(lambda: len(served.state.sessions) == 0, what="the silent visitor is given up")
        async with served.http.get(served.base + "/metrics") as reply:
            assert 'relens_sessions_ended_total{reason="peer-lost"} 1.0' in await reply.text()


async def test_delete_leaves_nothing() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        await until(lambda: visitor.pictures > 2)
        (session,) = served.state.sessions.all()
        reply = await served.http.delete(visitor.location)
        assert reply.status == 200
        assert len(served.state.sessions) == 0
        assert session.state is SessionState.CLOSED
        assert served.state.workers.loaded("passthrough").pipelines == 0  # type: ignore[union-attr]
        assert (await served.http.delete(visitor.location)).status == 404


async def test_closed_tab_ends_the_session() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        await visitor.leave()
        await until(lambda: len(served.state.sessions) == 0, what="the session ends by itself")


async def test_session_without_media_ends_as_idle_and_says_so() -> None:
    async with serving(idle_s=0.5) as served:
        visitor = await served.visitor().connect()
        await until(lambda: visitor.pictures > 2)
        visitor.pc.getSenders()[0].replaceTrack(None)
        error = await visitor.hears("error", code="idle")
        assert "connect again" in error["message"]
        await until(lambda: len(served.state.sessions) == 0)


async def test_session_ends_after_its_maximum_time() -> None:
    async with serving(max_session_s=1.0) as served:
        visitor = await served.visitor().connect()
        await visitor.hears("error", code="max-time")
        await until(lambda: len(served.state.sessions) == 0)


async def test_visitor_who_never_connects_is_forgotten() -> None:
    async with serving(connect_timeout_s=0.5) as served:
        assert (await served.visitor().offer()).status == 201
        assert len(served.state.sessions) == 1
        await until(lambda: len(served.state.sessions) == 0)


async def test_reoffer_keeps_the_session_and_renews_its_tag() -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()
        await until(lambda: visitor.pictures > 2)
        offer = visitor.pc.localDescription.sdp
        reply = await served.http.post(visitor.location, data=offer, headers=SDP)
        assert reply.status == 200, await reply.text()
        assert RTCSessionDescription(await reply.text(), "answer").sdp.startswith("v=0")
        assert reply.headers["ETag"]
        before = visitor.pictures
        await until(lambda: visitor.pictures > before + 3, what="pictures after the new offer")


async def test_drain_tells_everybody_lets_nobody_in_and_ends_who_is_left() -> None:
    async with serving(drain_s=0.6) as served:
        visitor = await served.visitor().connect()
        await until(lambda: visitor.pictures > 2)
        drain = asyncio.ensure_future(served.state.sessions.drain())
        await visitor.hears("error", code="going-away")
        reply = await served.visitor().offer()
        assert reply.status == 503
        assert (await reply.json())["type"] == "urn:relens:going-away"
        assert (await served.http.get(served.base + "/readyz")).status == 503
        await asyncio.wait_for(drain, 15)
        assert len(served.state.sessions) == 0


async def test_failing_stream_ends_only_its_session() -> None:
    async with serving() as served:
        first, second = await served.visitor().connect(), await served.visitor().connect()
        await until(lambda: first.pictures > 2 and second.pictures > 2)
        from gpu.errors import DeviceError

        served.state.sessions.all()[0].on_error(DeviceError("the device went away: connect again"))
        await first.hears("error", code="stream-failed")
        await until(lambda: len(served.state.sessions) == 1)
        before = second.pictures
        await until(lambda: second.pictures > before + 5)
        assert len(served.state.sessions) == 1


async def test_session_that_can_not_be_watched_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    async with serving() as served:
        visitor = await served.visitor().connect()

        def broken() -> None:
            raise RuntimeError("a defect")

        monkeypatch.setattr(served.state.sessions.all()[0], "measure", broken)
        await visitor.hears("error", code="internal")
        await until(lambda: len(served.state.sessions) == 0)


async def test_model_that_opens_too_slowly_is_refused_and_leaves_no_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with serving(open_timeout_s=0.2) as served:
        worker = await served.state.workers.get()
        opening, go_on = worker.open, threading.Event()
        opened = []

        def slow(*args: object) -> object:
            go_on.wait(10)
            opened.append(opening(*args))  # type: ignore[arg-type]
            return opened[-1]

        monkeypatch.setattr(worker, "open", slow)
        reply = await served.visitor().offer()
        assert reply.status == 500
        assert "did not open a stream" in (await reply.json())["detail"]
        assert len(served.state.sessions) == 0
        go_on.set()
        await until(lambda: opened and opened[0].closed, what="the late stream is closed")


async def test_no_task_and_no_thread_is_left_after_sessions() -> None:
    async with serving() as served:
        await (await served.visitor().connect()).leave()
        await until(lambda: len(served.state.sessions) == 0)
        await asyncio.sleep(0.3)

        def tasks() -> int:
            return len([t for t in asyncio.all_tasks() if not t.done()])

        # Executors keep their few threads: ours, and the loop's, where the client encodes.
        kept = ("relens-open", "relens-kept", "relens-blobs", "asyncio_")
        before, there = tasks(), set(threading.enumerate())

        def more() -> list[str]:
            return [t.name for t in threading.enumerate() if t not in there and not t.name.startswith(kept)]

        for _ in range(3):
            visitor = await served.visitor().connect()
            await until(lambda visitor=visitor: visitor.pictures > 0)
            await served.http.delete(visitor.location)
            await visitor.leave()
        with contextlib.suppress(AssertionError):
            await until(lambda: tasks() <= before and not more(), 10)
        assert not more()
        assert tasks() <= before


async def test_readings_reach_the_receipt(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = (Part("night", 0.8), Part("recolour", 0.5, "background", ("red", "blue")))
    reading = Reading(parts, 0.9, ("rain",), True, "night", ("fog (person)",))
    async with serving() as served:
        worker = await served.state.workers.get()
        monkeypatch.setattr(worker.model, "read", lambda prompt: reading)
        visitor = await served.visitor().connect()
        visitor.edit(1, "night")
        received = await visitor.hears("received", revision=1)
        assert received["parts"] == [
            {"name": "night", "amount": 0.8, "region": "everywhere", "colours": []},
            {"name": "recolour", "amount": 0.5, "region": "background", "colours": ["red", "blue"]},
        ]
        assert (received["label"], received["confidence"]) == ("night", 0.9)
        assert received["nearest"] == ["rain"]
        assert received["leftOut"] == ["fog (person)"]
        await visitor.hears("applied", revision=1)


async def test_undo_that_goes_back_to_the_edit_before(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(prompt: str) -> Reading:
        return Reading((), 1.0, label=prompt or "original", steps_back=prompt == "undo that")

    async with serving() as served:
        worker = await served.state.workers.get()
        monkeypatch.setattr(worker.model, "read", read)
        visitor = await served.visitor().connect()
        for revision, prompt in enumerate(("night", "rain", "undo that"), 1):
            visitor.edit(revision, prompt)
            received = await visitor.hears("received", revision=revision)
            await visitor.hears("applied", revision=revision)
        assert (received["prompt"], received["label"]) == ("night", "night")


def test_session_has_no_state_between_open_and_closed() -> None:
    assert [state.value for state in SessionState] == ["connecting", "open", "closing", "closed"]
    assert Session.__doc__
