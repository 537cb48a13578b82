"""A server that starts while its database is away takes up what is kept of streams once that is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from gpu.types import Edit
from server import keeping
from server.kept.database import Database
from server.kept.errors import KeptError
from server.kept.kept import Kept
from server.streams.store import StreamStore
from server.streams.types import SrtIn, StreamSettings, Target
from tests.server.kept.conftest import cluster
from tests.server.kept.postgres import Cluster
from tests.server.streams.stream_parts import Caster, Watcher, server, until
from tests.server.visitor import serving

__all__ = ["cluster"]

TARGET = Target(name="there", url="rtmp://127.0.0.1:9/app/key-of-it", enabled=False)
KEPT = StreamSettings(key="kept-key-of-live", view_key="seen", targets=(TARGET,))


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "MOST_S", 0.05)


def keep(folder: Path, *names: str, edit: Edit | None = None, url: str = "") -> None:
    """A server of before kept them."""
    kept = Kept.open(str(folder), url)
    for name in names:
        StreamStore(kept.database).put(name, KEPT)
        if edit is not None:
            StreamStore(kept.database).put_edit(name, edit)
    kept.close()


def kept_now(folder: Path, url: str = "") -> dict[str, tuple[str, str]]:
    """(key, edit in force) of each stream."""
    kept = Kept.open(str(folder), url)
    found = StreamStore(kept.database).all()
    kept.close()
    return {one.name: (one.settings.key, one.edit.prompt if one.edit else "") for one in found}


def take_away(folder: Path) -> Callable[[], None]:
    """SQLite's file is not where it was, and what is there is none -> what brings it back."""
    aside = folder / "aside"
    aside.mkdir()
    for file in folder.glob("relens.sqlite*"):
        file.rename(aside / file.name)
    (folder / "relens.sqlite").write_bytes(b"not a database" * 1000)

    def bring_back() -> None:
        for file in folder.glob("relens.sqlite*"):
            file.unlink()
        for file in aside.iterdir():
            file.rename(folder / file.name)

    return bring_back


async def test_a_running_server_takes_up_what_is_kept_and_ends_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "server.keeping")
    keep(tmp_path, "live", "mine", edit=Edit(revision=7, prompt=""))
    bring_back = take_away(tmp_path)
    async with serving(data_dir=str(tmp_path)) as served:
        streams = served.state.streams
        assert served.state.kept is None
        (live,) = streams.all()
        assert live.settings.key != KEPT.key
        caster, viewer = await Caster(live).publish(), Watcher()
        await live.add_viewer(viewer)
        await until(lambda: viewer.frames)
        made, _ = await streams.put("made", StreamSettings(key="made-meanwhile"))
        made.edit(Edit(prompt=""))
        bring_back()
        await until(lambda: live.settings == KEPT)
        assert [stream.name for stream in streams.all()] == ["live", "made", "mine"]
        assert streams.get("live") is live
        assert live.edit_facts().revision == 1, "the edit of before is asked for anew"
        shown = len(viewer.frames)
        await until(lambda: len(viewer.frames) > shown + 5, what="it goes on")
        assert (live.state, caster.ends, viewer.ends) == ("live", [], [])
        async with served.http.get(f"{served.base}/streams/live/settings") as reply:
            assert (await reply.json())["key"] == KEPT.key
        live.edit(Edit(prompt=""))
        await streams.put("after", StreamSettings(key="made-after"))
        await streams.delete("mine")
    assert "what was waited for is there" in caplog.text
    now = kept_now(tmp_path)
    assert {name: key for name, (key, _) in now.items()} == {
        "live": KEPT.key, "made": "made-meanwhile", "after": "made-after",
    }  # fmt: skip


async def test_postgresql_that_is_restarted_is_waited_for(
    cluster: Cluster,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(Database.__init__.__kwdefaults__, "give_up_s", 0.2)
    url = cluster.make_database("late")
    keep(tmp_path, "live", url=url)
    cluster.stop()
    try:
        with pytest.raises(KeptError):
            Kept.open(str(tmp_path), url)
        async with server(start=True, open_kept=lambda: Kept.open(str(tmp_path), url)) as served:
            (live,) = served.streams.all()
            caster = await Caster(live).publish()
            await asyncio.to_thread(cluster.start)
            await until(lambda: live.settings == KEPT)
            assert (live.state, caster.ends) == ("live", [])
            await served.streams.put("new", StreamSettings(key="made-after"))
        assert set(kept_now(tmp_path, url)) == {"live", "new"}
    finally:
        cluster.stop()
        cluster.start()


async def test_tables_that_cannot_be_read_are_read_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keep(tmp_path, "live")
    kept = Kept.open(str(tmp_path))
    rename = "ALTER TABLE {} RENAME TO {}"
    hide, show = rename.format("streams", "hidden"), rename.format("hidden", "streams")
    kept.database.write(lambda connection: connection.execute(sa.text(hide)))
    async with server(kept, start=True) as served:
        (live,) = served.streams.all()
        meanwhile = StreamSettings(key="set-meanwhile", srt=SrtIn(port=9, passphrase="0123456789"))
        await served.streams.put("live", meanwhile)
        kept.database.write(lambda connection: connection.execute(sa.text(show)))
        await until(lambda: live.settings == KEPT)
        assert "live: what was set while the database was away is left out" in caplog.text
    assert await kept.run(lambda: 1) == 1, "what others opened is theirs to close"
    await kept.stop()
    kept.close()


async def test_an_edit_of_meanwhile_is_newer_than_the_one_of_before(tmp_path: Path) -> None:
    keep(tmp_path, "live", "other", edit=Edit(revision=7, prompt="of before"))
    bring_back = take_away(tmp_path)
    async with server(start=True, open_kept=lambda: Kept.open(str(tmp_path))) as served:
        (live,) = served.streams.all()
        live.edit(Edit(prompt=""))
        bring_back()
        await until(lambda: live.settings == KEPT)
        assert live.edit_facts().revision == 1
    assert {name: prompt for name, (_, prompt) in kept_now(tmp_path).items()} == {
        "live": "", "other": "of before",
    }  # fmt: skip


@pytest.mark.parametrize("used", [False, True])
async def test_the_stream_that_was_there_for_want_of_another_goes_unless_it_is_used(
    tmp_path: Path, used: bool
) -> None:
    keep(tmp_path, "mine")
    bring_back = take_away(tmp_path)
    async with server(start=True, open_kept=lambda: Kept.open(str(tmp_path))) as served:
        (live,) = served.streams.all()
        caster = Caster(live)
        if used:
            await caster.publish()
        bring_back()
        await until(lambda: served.streams.get("mine"))
        assert (served.streams.get("live") is live) == used
        assert caster.ends == []
    assert set(kept_now(tmp_path)) == ({"live", "mine"} if used else {"mine"})


async def test_an_empty_database_keeps_what_there_is(tmp_path: Path) -> None:
    tries: list[int] = []

    def open_kept() -> Kept:
        tries.append(1)
        if len(tries) < 3:
            raise KeptError("it is away")
        return Kept.open(str(tmp_path))

    async with server(start=True, open_kept=open_kept) as served:
        (live,) = served.streams.all()
        key = live.settings.key
        await until(lambda: served.streams._store)
        assert live.settings.key == key
    assert kept_now(tmp_path)["live"][0] == key
