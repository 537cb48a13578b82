"""Percentiles, gaps, tables and the JSON line; and that a stream's figures follow from what was noted."""

from __future__ import annotations

import json
import math

import pytest

from bench.client import ClientReport
from bench.figures import json_line, longest_gap_ms, percentile, spread, table
from bench.held import growth
from bench.sdp import host_address, ice_credentials, video_payload_type, with_candidate, without_candidates
from bench.stream import figures
from tests.relay import FramePackets

MS = 1_000_000


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 50), (0.95, 95), (0.99, 99), (1.0, 100), (0.001, 1), (0.0, 1)]
)
def test_percentile_is_the_nearest_rank(share, expected):
    assert percentile(list(range(100, 0, -1)), share) == expected


def test_percentile_of_nothing_is_nan_and_of_one_is_it():
    assert math.isnan(percentile([], 0.5))
    assert percentile([7.5], 0.99) == 7.5
    assert spread([])["n"] == 0


def test_longest_gap_counts_both_ends():
    assert longest_gap_ms([100 * MS, 150 * MS], 0, 200 * MS) == 100
    assert longest_gap_ms([], 0, 80 * MS) == 80
    assert longest_gap_ms([10 * MS, 300 * MS], 0, 200 * MS) == 190  # the second is outside


def test_table_lines_up():
    lines = table(["case", "ms"], [["echo", 1.25], ["nano", None], ["x", math.nan]]).splitlines()
    assert lines[0].split() == ["case", "ms"]
    assert [line.split()[-1] for line in lines[2:]] == ["1.2", "-", "-"]
    assert lines[2].endswith("1.2")
    assert len({len(line) for line in lines[1:]}) == 1


def test_json_line_is_one_line_of_json_without_nan():
    line = json_line({"a": math.nan, "b": [1.5, math.inf], "c": {"d": (1, "x\ny")}})
    assert "\n" not in line
    assert json.loads(line) == {"a": None, "b": [1.5, None], "c": {"d": [1, "x\ny"]}}


def test_growth_compares_what_both_have():
    assert growth({"rssMb": 10.0, "threads": 3}, {"rssMb": 12.5, "threads": 3, "tasks": 4}) == {
        "rssMb": 2.5,
        "threads": 0,
    }


def noted(offset: int = 0, lost: tuple[int, ...] = (), unread: tuple[int, ...] = ()):
    """40 frames, 40 ms apart, 100 ms from glass to glass, 30 of them in the server; RTP starts at 5000."""
    report, up, down = ClientReport(), {}, {}
    for n in range(40):
        pts, at = n * 3600, n * 40 * MS
        report.sent.append((n, pts, at))
        up[5000 + pts] = FramePackets(at + 5 * MS, at + 10 * MS, 2, 1000)
        if n not in lost:
            down[(5000 + pts + offset) & 0xFFFFFFFF] = FramePackets(at + 35 * MS, at + 40 * MS, 2, 500)
            report.shown.append((pts, -1 if n in unread else n, at + 100 * MS))
    return report, up, down


@pytest.mark.parametrize("offset", [0, 123_456, 2**32 - 90_000])
def test_figures_of_a_clean_stream(offset):
    out = figures(*noted(offset), (0, 1600 * MS))
    assert set(out.server_ms) == {30.0}
    assert set(out.glass_ms) == {100.0}
    assert out.timestamp_offset == offset
    assert out.fps_sent == pytest.approx(25, abs=1)
    assert out.freezes_over_400 == 0


def test_a_hole_is_a_freeze_both_at_the_client_and_at_the_server():
    out = figures(*noted(lost=tuple(range(10, 22))), (0, 1600 * MS))
    assert out.freeze_ms == 13 * 40
    assert out.out_freeze_ms == 13 * 40
    assert out.freezes_over_400 == 1
    assert len(out.glass_ms) == len(out.server_ms) == 28


def test_frames_whose_number_did_not_survive_are_told_by_timestamp():
    out = figures(*noted(unread=tuple(range(5, 40))), (0, 1600 * MS))
    assert out.unread > 30
    assert len(out.glass_ms) == 40
    assert set(out.glass_ms) == {100.0}


def test_applied_is_counted_from_the_moment_it_was_typed():
    report, up, down = noted()
    report.typed = [(1, 100 * MS), (2, 500 * MS), (3, 900 * MS)]
    report.messages = [
        (101 * MS, {"type": "received", "revision": 1, "understood": True}),
        (160 * MS, {"type": "applied", "revision": 1}),
        (501 * MS, {"type": "received", "revision": 2, "understood": False}),
        (901 * MS, {"type": "received", "revision": 3, "understood": True}),
    ]
    out = figures(report, up, down, (0, 1600 * MS))
    assert out.applied_ms == [60.0]
    assert out.applied_missing == 1  # the third: understood and never applied; the second promised nothing


SDP = "\r\n".join(
    [
        "v=0",
        "m=video 9 UDP/TLS/RTP/SAVPF 102 103",
        "a=ice-ufrag:abcd",
        "a=ice-pwd:secretsecretsecretsecret",
        "a=candidate:1 1 udp 2130706431 fd00::2 4000 typ host",
        "a=candidate:2 1 udp 2130706431 192.0.2.7 4001 typ host",
        "a=end-of-candidates",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
        "",
    ]
)


def test_candidates_are_bent_to_the_relay():
    assert host_address(SDP) == ("192.0.2.7", 4001)
    assert host_address(with_candidate(SDP, ("127.0.0.1", 9))) == ("127.0.0.1", 9)
    assert "candidate" not in without_candidates(SDP)
    assert with_candidate(SDP, ("127.0.0.1", 9)).count("a=candidate:") == 1
    assert video_payload_type(SDP) == 102
    assert ice_credentials(SDP) == ("abcd", "secretsecretsecretsecret")


def test_sdp_without_what_is_needed_says_so():
    with pytest.raises(ValueError, match="candidate"):
        host_address("v=0\r\n")
    with pytest.raises(ValueError, match="video"):
        video_payload_type("v=0\r\n")
