"""The stream benchmark's parts: times from numbers, CPU by thread, what is sent and in which order."""

from __future__ import annotations

import asyncio
import itertools
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.client import ClientReport
from bench.live_server import grown, read_metrics
from bench.named import cpu_by_name, cpu_of, read_stat
from bench.rtmp_camera import LOOP_FRAMES, CameraConfig, RtmpCamera, encode_loop, in_time
from bench.streams_latency import Round, latencies, summary
from bench.streams_viewers import Round as ViewersRound
from bench.streams_viewers import growth
from tests.server.rtmp.rtmp_client import rtmp_server
from tests.server.streams.stream_parts import KEY, until

ROOT = Path(__file__).resolve().parents[2]
MS = 1_000_000


def test_a_number_that_comes_again_means_the_newest_sent_before() -> None:
    sent = ClientReport(sent=[(7, 0, 100 * MS), (8, 0, 140 * MS), (7, 0, 900 * MS)])
    shown = ClientReport(shown=[(0, 7, 150 * MS), (0, 8, 200 * MS), (0, 7, 960 * MS)])
    assert latencies(sent, shown, (0, 1000 * MS)) == ([50.0, 60.0, 60.0], 0)


def test_counted_is_what_was_sent_in_the_window_once_and_what_could_not_be_read() -> None:
    sent = ClientReport(sent=[(1, 0, 10 * MS), (2, 0, 50 * MS), (3, 0, 90 * MS)])
    shown = ClientReport(
        shown=[(0, 1, 60 * MS), (0, 2, 95 * MS), (0, 2, 99 * MS), (0, -1, 70 * MS), (0, -1, 200 * MS)]
    )
    assert latencies(sent, shown, (40 * MS, 100 * MS)) == ([45.0], 1)
    assert latencies(sent, ClientReport(shown=[(0, 3, 80 * MS)]), (0, 100 * MS)) == ([], 1)


def test_the_models_time_is_taken_off() -> None:
    rounds = [Round([300.0, 310.0], sent=2, edit_ms=45.0), Round([320.0], sent=1, edit_ms=50.0)]
    told = summary(rounds)
    assert told["overModelMs"] == 310.0 - 45.0
    assert told["meets"] is False
    assert summary([Round([200.0], sent=1, edit_ms=0.0)])["meets"] is True
    assert summary([Round(edit_ms=1.0)])["meets"] is None


def test_metrics_are_read_with_their_labels() -> None:
    text = '# HELP a A\n# TYPE a counter\na_total 3.0\nb_sum{stage="edit"} 0.25\nc 1e-05\n'
    told = read_metrics(text)
    assert told == {"a_total": 3.0, 'b_sum{stage="edit"}': 0.25, "c": 1e-05}
    assert grown({}, told, "a_total") == 3.0
    assert grown(told, {}, "missing") == 0.0


def test_a_name_may_have_brackets_and_spaces() -> None:
    line = "42 (a (b) c) S 1 1 1 0 -1 4194304 127 0 0 0 300 50 0 0 20 0 1 0 4417 2990080 404"
    name, cpu_s = read_stat(line)
    assert name == "a (b) c"
    assert cpu_s == pytest.approx(350 / os.sysconf("SC_CLK_TCK"))


def test_threads_are_told_apart_by_name() -> None:
    code = (
        "import os, threading, time; from bench.named import *; name_threads()\n"
        "def burn():\n    until = time.thread_time() + 0.2\n    while time.thread_time() < until: pass\n"
        "    print(cpu_by_name(os.getpid()).get('relens-encode', 0), cpu_of(os.getpid()))\n"
        "thread = threading.Thread(target=burn, name='relens-encode'); thread.start(); thread.join()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=30, check=True
    )
    of_thread, of_all = map(float, done.stdout.split())
    assert 0.15 < of_thread <= of_all + 0.02
    with pytest.raises(OSError, match="No such file"):
        cpu_by_name(2**22 + 1)
    assert cpu_of(os.getpid()) > 0


def test_growth_is_of_each_round_for_itself() -> None:
    one = [ViewersRound(1, ms, 9, 0.1, 24, 1, 24, 1e6) for ms in (1.0, 2.0, 4.0)]
    many = [ViewersRound(10, ms, 9, 0.1, 24, 10, 24, 1e6) for ms in (1.1, 2.0, 8.0)]
    assert growth(one, many) == pytest.approx(1.1)


async def test_the_camera_publishes_a_loop_that_a_stream_takes() -> None:
    config = CameraConfig(width=320, height=192)
    loop = encode_loop(config)
    assert len(loop.video) == LOOP_FRAMES
    assert [number for number, payload in enumerate(loop.video) if payload[0] == 0x17] == [0, 64, 128, 192]
    first = list(itertools.islice(in_time(loop, config.fps), 1000))
    assert [due.time_s for due in first] == sorted(due.time_s for due in first)
    numbers = [due.number for due in first if due.number >= 0]
    assert numbers == [number % LOOP_FRAMES for number in range(len(numbers))]
    sounds_s = (len(first) - len(numbers)) * 1024 / 48_000
    assert math.isclose(len(numbers) / config.fps, sounds_s, abs_tol=0.1)

    async with rtmp_server() as (served, rtmp):
        url = f"rtmp://127.0.0.1:{rtmp.port}/live/cam?key={KEY}"
        camera = RtmpCamera(CameraConfig(url, 320, 192))
        await camera.publish()
        sending = asyncio.create_task(camera.run(loop))
        stream = served.streams.get("cam")
        assert stream is not None
        await until(lambda: stream.facts().fps_out > 0 and len(camera.report.sent) > 5)
        assert stream.state == "live"
        facts = stream.facts().publisher
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        camera.close()
    assert facts is not None
    assert (facts.codec, facts.audio) == ("h264", "aac")
