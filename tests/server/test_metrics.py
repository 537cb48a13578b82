"""What Prometheus is told, of a server with a session and without."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families
from visitor import serving, until

from gpu.stats import PipelineStats, StageTime
from server.metrics import Metrics


def values(text: str) -> dict[str, float]:
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(sample.labels.values())
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


async def test_a_session_is_seen_while_it_runs_and_counted_when_it_ended() -> None:
    async with serving() as served:

        async def scrape() -> dict[str, float]:
            async with served.http.get(served.base + "/metrics") as reply:
                assert reply.headers["Content-Type"].startswith("text/plain")
                return values(await reply.text())

        assert (await scrape())["relens_sessions{open}"] == 0
        visitor = await served.visitor().connect()
        await until(lambda: visitor.heard("stats"))
        visitor.say(type="nothing")
        await visitor.hears("error", code="bad-message")
        now = await scrape()
        assert now["relens_sessions{open}"] == 1
        assert now["relens_frames_in_total"] > 0
        assert now["relens_frames_out_total"] == now["relens_added_latency_seconds_count"] > 0
        assert now["relens_messages_rejected_total{bad-message}"] == 1
        assert now["relens_bitrate_bps{in}"] > 0
        assert 0 <= now["relens_loop_delay_seconds{0.5}"] <= now["relens_loop_delay_seconds{0.99}"]
        await served.http.delete(visitor.location)
        after = await scrape()
        assert after["relens_sessions{open}"] == 0
        assert after["relens_sessions_ended_total{deleted}"] == 1


def test_two_servers_in_one_process_do_not_share_numbers() -> None:
    first, second = Metrics(), Metrics()
    first.frames_in.inc()
    assert values(second.render().decode())["relens_frames_in_total"] == 0


def test_stages_are_counted_only_where_something_was_measured() -> None:
    metrics = Metrics()
    stages = {"decode": StageTime(), "edit": StageTime(5, 9), "encode": StageTime(5, 9)}
    metrics.observe(PipelineStats(fps_out=24, stages=stages))
    seen = values(metrics.render().decode())
    assert seen["relens_stage_median_seconds_count{edit}"] == 1
    assert "relens_stage_median_seconds_count{decode}" not in seen


def test_streams_are_counted_by_state_and_protocol() -> None:
    metrics = Metrics()
    metrics.streams_now(["live", "idle", "idle"], ["rtmp"], ["whep", "whep", "push"])
    seen = values(metrics.render().decode())
    assert seen["relens_streams{idle}"] == 2
    assert seen["relens_streams{waiting}"] == 0
    assert seen["relens_stream_publishers{rtmp}"] == 1
    assert seen["relens_stream_publishers{whip}"] == 0
    assert seen["relens_stream_viewers{whep}"] == 2
    metrics.streams_now([], [], [])
    assert values(metrics.render().decode())["relens_streams{idle}"] == 0
