"""Streams and sessions of one running server: the same places, the same going down, the same numbers."""

from __future__ import annotations

from tests.server.streams.stream_parts import Caster, Watcher
from tests.server.visitor import serving, until


async def test_a_stream_takes_one_of_the_places_and_gives_it_back() -> None:
    async with serving(model="passthrough", max_sessions=1, linger_s=0.1) as served:
        stream = served.state.streams.all()[0]
        caster = await Caster(stream).publish()
        refused = await served.visitor().offer()
        assert refused.status == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert (await refused.json())["type"] == "urn:relens:capacity"
        caster.stop()
        stream.unpublish(caster, "gone", "it left")
        await until(lambda: stream.state == "idle")
        visitor = await served.visitor().connect()
        assert len(served.state.places) == 1
        await served.http.delete(visitor.location)
        await until(lambda: len(served.state.places) == 0)


async def test_a_server_that_goes_down_ends_streams_with_the_last_session() -> None:
    async with serving(model="passthrough", drain_s=0.1) as served:
        streams = served.state.streams
        stream = streams.all()[0]
        caster, viewer = await Caster(stream).publish(), Watcher()
        await stream.add_viewer(viewer)
        await until(lambda: viewer.frames)
        await served.state.sessions.drain()
        assert (caster.ends, viewer.ends) == ([], [])
        text = await (await served.http.get(f"{served.base}/metrics")).text()
        assert 'relens_stream_viewers{kind="whep"} 1.0' in text
    assert caster.ends[0][0] == viewer.ends[0][0] == "going-away"
    assert len(served.state.places) == 0
