"""Numbers are of the last second, and their memory is bounded."""

from __future__ import annotations

from gpu.stats import Meter, PipelineStats

MS = 1_000_000


def read(meter: Meter, now_ns: int) -> PipelineStats:
    return meter.stats(now_ns, 0, 0, False, 0)


def test_percentiles_and_rates_of_the_last_second() -> None:
    meter = Meter()
    for i in range(100):
        now = 5_000 * MS + i * 10 * MS
        meter.time("edit", now, i * MS)
        meter.rate("out", now, 1000)
    now = 5_000 * MS + 1_000 * MS
    stats = read(meter, now)
    assert 49 < stats.stages["edit"].p50_ms < 52
    assert 94 < stats.stages["edit"].p95_ms < 97
    assert stats.fps_out == 99  # the one of a full second ago is over
    assert stats.bitrate_out_bps == 99 * 8000
    later = read(meter, now + 2_000 * MS)
    assert (later.fps_out, later.stages["edit"].p95_ms) == (0, 0)


def test_counts_add_up() -> None:
    meter = Meter()
    meter.count("dropped")
    meter.count("dropped", 4)
    assert read(meter, 0).dropped == 5
    assert set(read(meter, 0).stages) == {"decode", "wait", "edit", "encode", "total"}
