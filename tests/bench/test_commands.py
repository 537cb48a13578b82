"""`python -m bench`, run as a person runs it: tables, then one line of JSON that parses."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


def bench(*args: str, timeout_s: float = 90) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "bench", *args], cwd=ROOT, capture_output=True, text=True, timeout=timeout_s
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_help_names_every_measurement():
    said = bench("--help")
    assert all(name in said for name in ("latency", "loss", "edit", "stages", "sessions", "loop", "soak"))


def test_stages_prints_a_table_and_one_json_line():
    *lines, last = bench(
        "stages", "--models", "passthrough", "--sizes", "320x240", "--frames", "20"
    ).splitlines()
    told = json.loads(last)
    assert told["bench"] == "stages"
    stages = told["models"]["passthrough"]["sizes"]["320x240"]
    assert stages["encode"]["n"] == stages["decode"]["n"] == 20
    assert any(line.startswith("passthrough 320x240") for line in lines)


@pytest.mark.slow
def test_echo_comes_back_whole_through_the_relay():
    *_, last = bench("latency", "--cases", "echo", "--rounds", "1", "--seconds", "2").splitlines()
    echo = json.loads(last)["cases"]["echo"]
    assert echo["glassMs"]["n"] > 0
    assert echo["serverMs"]["n"] > 0
    assert echo["unread"] == 0
    assert echo["glassMs"]["p50"] > echo["serverMs"]["p50"] > 0


@pytest.mark.slow
def test_a_server_stream_is_measured_and_keeps_its_timestamps():
    *_, last = bench("latency", "--cases", "passthrough", "--rounds", "1", "--seconds", "2").splitlines()
    case = json.loads(last)["cases"]["passthrough"]
    assert case["meets"]["timestamps"]
    assert case["serverMs"]["n"] > 0
    assert case["unread"] == 0
