"""The edit of a stream: receipts, undo, what is seen, and that it outlives publishers and servers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import pytest
import sqlalchemy as sa

from gpu.codec import open_decoder
from gpu.errors import ModelError
from gpu.types import Edit, EncodedFrame, Frame
from server.kept.errors import DatabaseUnavailable, KeptError
from server.kept.kept import Kept
from server.streams.edit_keeper import EditKeeper
from server.streams.store import StreamStore
from server.streams.stream import Change
from server.streams.streams import Streams
from server.streams.types import StreamSettings
from server.workers import Workers
from tests.server.streams.stream_parts import KEY, Caster, Watcher, server, until

DARK = "make it night"
LUMA = 125  # of the clip


@pytest.fixture(scope="module")
def nano() -> Iterator[Workers]:
    """The real model, loaded once."""
    executor = ThreadPoolExecutor(2)
    workers = Workers("nano", 1, executor)
    asyncio.run(workers.start())
    yield workers
    asyncio.run(workers.close())
    executor.shutdown()


def pictures(frames: list[EncodedFrame]) -> list[Frame]:
    decoder = open_decoder("h264")
    try:
        return [picture for frame in frames for picture in decoder.decode(frame)]
    finally:
        decoder.close()


def luma(picture: Frame) -> float:
    return float(picture.y.mean())


async def test_edits_are_numbered_and_answered_with_what_they_were_taken_for(nano: Workers) -> None:
    async with server(loaded=nano) as served:
        stream = await served.stream()
        heard: list[Change] = []
        stream.subscribe(heard.append)
        caster = await Caster(stream).publish()
        night = stream.edit(Edit(revision=77, prompt="make it night", strength=0.5))
        assert (night.revision, night.prompt, night.strength, night.understood) == (
            1,
            "make it night",
            0.5,
            True,
        )
        assert "night" in night.label
        odd = stream.edit(Edit(prompt="xyzzy plugh"))
        assert (odd.revision, odd.understood) == (2, False)
        assert stream.edit_facts().received == odd
        snow = stream.edit(Edit(prompt="make it snow"))
        undone = stream.edit(Edit(prompt="undo that"))
        assert (undone.revision, undone.prompt, undone.strength) == (4, "make it night", 0.5)
        assert await stream.applied(undone.revision, 15)
        assert stream.edit_facts().applied == 4
        assert stream.applied_pts > 0
        assert snow.revision == 3
        assert heard.count("edit") == 4
        assert "applied" in heard
        caster.stop()
        assert not await stream.applied(99, 0.05)


async def test_what_is_asked_while_nobody_publishes_is_in_the_first_picture(nano: Workers) -> None:
    async with server(loaded=nano) as served:
        plain, edited = await served.stream("plain"), await served.stream("edited")
        received = edited.edit(Edit(prompt=DARK))
        assert received.understood, "the model is loaded: it can say so before there is a picture"
        seen: dict[str, Frame] = {}
        for stream in (plain, edited):
            await Caster(stream, frames=30).publish()
            viewer = Watcher()
            await stream.add_viewer(viewer)
            await until(lambda viewer=viewer: viewer.frames)
            seen[stream.name] = pictures(viewer.frames)[0]
        assert await edited.applied(received.revision, 5)
        assert luma(seen["edited"]) < luma(seen["plain"]) - 20


async def test_what_was_asked_before_the_model_was_loaded_is_read_when_it_is() -> None:
    async with server() as served:
        stream = await served.stream(model="nano")
        unread = stream.edit(Edit(prompt="make it night"))
        assert (unread.understood, unread.confidence, unread.parts) == (True, 0.0, [])
        caster = await Caster(stream).publish()
        read = stream.edit_facts().received
        assert read is not None
        assert (read.revision, read.prompt) == (1, "make it night")
        assert read.confidence > 0
        assert read.parts
        assert await stream.applied(1, 15)
        caster.stop()


async def test_an_edit_that_the_model_of_today_cannot_read_keeps_nobody_from_publishing(
    nano: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with server(loaded=nano) as served:
        stream = await served.stream()
        stream.edit(Edit(prompt="make it night"))
        model = (await served.workers.get()).model

        def refuses(_prompt: str) -> None:
            raise ModelError("it has no words for it")

        with monkeypatch.context() as patch:
            patch.setattr(model, "read", refuses)
            await Caster(stream).publish()
        assert stream.state == "live"
        assert stream.refusal == "it has no words for it"
        assert await stream.applied(stream.edit(Edit(prompt="make it snow")).revision, 15)


async def test_settings_say_what_is_in_force_until_somebody_asks(nano: Workers) -> None:
    async with server(loaded=nano) as served:
        stream = await served.stream(prompt="make it night")
        assert stream._editing._in_force.prompt == "make it night"
        await served.stream(prompt="make it snow")
        assert stream._editing._in_force.prompt == "make it snow"
        stream.edit(Edit(prompt=""))
        await served.stream(prompt="make it night")
        assert stream._editing._in_force.prompt == ""


async def test_the_edit_stays_through_takeover_and_return(nano: Workers) -> None:
    async with server(linger_s=0.1, loaded=nano) as served:
        stream = await served.stream()
        stream.edit(Edit(prompt=DARK))
        for _ in range(2):
            caster = await Caster(stream, frames=30).publish()
            viewer = Watcher()
            await stream.add_viewer(viewer)
            await until(lambda viewer=viewer: len(viewer.frames) > 1)
            assert luma(pictures(viewer.frames)[0]) < LUMA - 20
            caster.stop()
            stream.unpublish(caster, "gone", "it left")
            await until(lambda: stream.state == "idle")


async def test_an_edit_that_the_model_refuses_after_all_leaves_the_one_before(
    nano: Workers,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with server(loaded=nano) as served:
        stream = await served.stream()
        model = (await served.workers.get()).model
        await Caster(stream).publish()
        first = stream.edit(Edit(prompt="make it night"))
        assert await stream.applied(first.revision, 15)

        def refuses(_state: object, _edit: Edit) -> None:
            raise ModelError("no room for it")

        with monkeypatch.context() as patch:
            patch.setattr(model, "set_edit", refuses)
            second = stream.edit(Edit(prompt="make it snow"))
            assert not await stream.applied(second.revision, 15)
        assert stream.refusal == "no room for it"
        assert stream._editing._in_force.prompt == "make it night"
        third = stream.edit(Edit(prompt="make it snow"))
        assert stream.refusal == ""
        assert await stream.applied(third.revision, 15)


async def test_a_restart_keeps_streams_keys_and_the_edit_in_force(nano: Workers, tmp_path: Path) -> None:
    kept = Kept.open(str(tmp_path))
    async with server(kept, start=True, loaded=nano) as served:
        key = served.streams.all()[0].settings.key
        other = await served.stream("other", view_key="seen")
        other.edit(Edit(prompt="make it snow", strength=0.25))
        other.edit(Edit(prompt="xyzzy plugh"))
        await served.stream("gone")
        assert await served.streams.delete("gone")
    await kept.stop()
    kept.close()

    kept = Kept.open(str(tmp_path))
    async with server(kept, start=True, loaded=nano) as served:
        live, other = served.streams.all()
        assert (live.name, live.settings.key) == ("live", key)
        assert (other.name, other.settings.key, other.settings.view_key) == ("other", KEY, "seen")
        caster = await Caster(other).publish()
        assert await other.applied(1, 15), "the edit in force is seen again"
        assert other.edit_facts().applied == 1
        undone = other.edit(Edit(prompt="undo that"))
        assert (undone.revision, undone.prompt) == (2, "")
        caster.stop()
    await kept.stop()
    kept.close()


async def test_what_a_stream_showed_is_written_down_as_a_session(nano: Workers, tmp_path: Path) -> None:
    kept = Kept.open(str(tmp_path))
    async with server(kept, linger_s=0.05, loaded=nano) as served:
        stream = await served.stream("on-air")
        stream.edit(Edit(prompt="make it snow", strength=0.25))
        caster = await Caster(stream).publish()
        assert await stream.applied(1, 15)
        stream.edit(Edit(prompt="make it night"))
        assert await stream.applied(2, 15)
        caster.stop()
        stream.unpublish(caster, "gone", "it left")
        await until(lambda: stream.state == "idle")
        await served.session_log.flush()
        sessions = await kept.run(
            kept.database.read,
            lambda connection: connection.execute(
                sa.text("SELECT id, model, reason, width FROM sessions")
            ).all(),
        )
        assert [(row.model, row.reason, row.width) for row in sessions] == [("nano", "stream-ended", 96)]
        assert re.fullmatch(r"stream-on-air-\d{13}-[0-9a-f]{8}", sessions[0].id), "nobody guesses it"
        edits = await kept.run(
            kept.database.read,
            lambda connection: connection.execute(
                sa.text("SELECT prompt, strength, at_ticks FROM session_edits ORDER BY number")
            ).all(),
        )
        assert [(row.prompt, row.strength) for row in edits] == [
            ("make it snow", 0.25),
            ("make it night", 1.0),
        ]
        assert edits[0].at_ticks == 0
        assert edits[1].at_ticks > 0
    await kept.stop()
    kept.close()


async def test_while_the_database_is_away_edits_go_on_and_settings_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.streams.edit_keeper.AGAIN_S", 0.05)
    kept = Kept.open(str(tmp_path))
    async with server(kept, start=True) as served:
        stream = served.streams.all()[0]
        before = stream.settings
        hide = sa.text("ALTER TABLE streams RENAME TO away")
        await kept.run(kept.database.write, lambda connection: connection.execute(hide))
        stream.edit(Edit(prompt=""))
        for change in (
            served.streams.put("live", StreamSettings(key="another-key")),
            served.streams.put("new", StreamSettings(key="another-key")),
            served.streams.delete("live"),
        ):
            with pytest.raises(KeptError):
                await change
        assert stream.settings == before
        assert [one.name for one in served.streams.all()] == ["live"]
        await Caster(stream).publish()
        assert await stream.applied(1, 15)
        show = sa.text("ALTER TABLE away RENAME TO streams")
        await kept.run(kept.database.write, lambda connection: connection.execute(show))
        store = served.streams._store
        assert store is not None
        keeper = served.streams._keeper
        assert keeper is not None
        assert await keeper.flush() or await keeper.flush(), "it was held, and is written"
        assert [one.edit for one in await kept.run(store.all)] == [Edit(revision=1)]
    await kept.stop()
    kept.close()


async def test_an_edit_that_no_database_takes_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept.open(str(tmp_path))
    store = StreamStore(kept.database)
    keeper = EditKeeper(kept, store)
    for name in ("bad", "live"):
        await kept.run(store.put, name, StreamSettings(key="another-key"))
    keeper.put("bad", Edit(prompt="snow", seed=cast(int, object())))  # no JSON
    keeper.put("live", Edit(prompt="ink"))
    assert await keeper.flush()
    assert [one.edit and one.edit.prompt for one in await kept.run(store.all)] == [None, "ink"]
    assert "the edit of stream bad cannot be written down" in caplog.text
    await keeper.close()
    await kept.stop()
    kept.close()


async def test_what_cannot_be_read_at_start_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Kept.open(str(tmp_path))
    await kept.run(StreamStore(kept.database).put, "mine", StreamSettings(key="another-key"))

    def away(_store: object) -> None:
        raise DatabaseUnavailable("it is away")

    with monkeypatch.context() as patch:
        patch.setattr("server.streams.store.StreamStore.all", away)
        async with server(kept, start=True) as served:
            assert [stream.name for stream in served.streams.all()] == ["live"]
            await served.stream("mine", prompt="overwritten?")
            served.streams.all()[1].edit(Edit(prompt=""))
    assert "what is kept of streams wait: it is away" in caplog.text
    async with server(kept, start=True) as served:
        streams: Streams = served.streams
        assert [(stream.name, stream.settings.prompt) for stream in streams.all()] == [("mine", "")]
        assert streams.all()[0].edit_facts().revision == 0
    await kept.stop()
    kept.close()
