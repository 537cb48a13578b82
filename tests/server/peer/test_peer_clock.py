"""Picture and sound of random origins come onto one clock, and stay there without a jump."""

from __future__ import annotations

from itertools import pairwise

import pytest

from server.peer.peer_clock import Kind, PeerClock
from server.peer.types import SenderReport

VIDEO_0, AUDIO_0 = 3_000_000_000, 123_456_789  # random origins, of one instant
FRAME_S, PACKET_S = 1 / 30, 0.02


class Sender:
    """One that sends by its own clock; its pictures come `late_s` after their sound."""

    def __init__(self, late_s: float = 0.0, first_s: float = 0.0) -> None:
        self.now_s = first_s
        self.late_s = late_s
        self.video_0, self.audio_0 = VIDEO_0, AUDIO_0
        self.reports: dict[Kind, SenderReport] = {}
        self.clock = PeerClock(self.reports.get, lambda: self.now_s)
        self._frame = self._packet = 0
        self.video: list[tuple[float, int]] = []  # (media seconds, what it was mapped to)
        self.audio: list[tuple[float, int]] = []

    def run(self, seconds: float) -> None:
        until = self.now_s + seconds
        while self.now_s < until:
            frame_s, packet_s = self._frame * FRAME_S, self._packet * PACKET_S
            if packet_s <= frame_s + self.late_s:
                self.now_s = packet_s
                pts = self.audio_0 + round(packet_s * 48_000)
                self.audio.append((packet_s, self.clock.audio(pts)))
                self._packet += 1
            else:
                self.now_s = frame_s + self.late_s
                pts = self.video_0 + round(frame_s * 90_000)
                self.video.append((frame_s, self.clock.video(pts)))
                self._frame += 1

    def report(self, off_s: float = 0.0) -> None:
        """`off_s`: what the picture's is wrong by."""
        at = self.now_s + off_s
        self.reports["video"] = SenderReport(
            4e9 + self.now_s, (self.video_0 + round(at * 90_000)) & 0xFFFFFFFF
        )
        self.reports["audio"] = SenderReport(
            4e9 + self.now_s, (self.audio_0 + round(self.now_s * 48_000)) & 0xFFFFFFFF
        )

    def apart_s(self) -> float:
        """How much later than its sound a picture is taken for, at the end."""
        (frame_s, video), (packet_s, audio) = self.video[-1], self.audio[-1]
        return (video / 90_000 - frame_s) - (audio / 48_000 - packet_s)


def test_what_arrives_together_belongs_together_until_reports_come() -> None:
    sender = Sender()
    sender.run(2.0)
    assert abs(sender.apart_s()) < 0.02
    late = Sender(late_s=0.08)
    late.run(2.0)
    assert late.apart_s() == pytest.approx(0.08, abs=0.02)  # that is all that can be known


@pytest.mark.parametrize("late_s", [0.08, -0.08])
def test_reports_put_it_right_without_a_jump(late_s: float) -> None:
    sender = Sender(late_s)
    sender.run(1.0)
    sender.report()
    sender.run(4.0)
    assert abs(sender.apart_s()) < 0.005
    steps = [b - a for (_, a), (_, b) in pairwise(sender.audio[10:])]
    assert set(steps) == {960}
    glided = [b - a for (_, a), (_, b) in pairwise(sender.video[10:])]
    assert min(glided) > 3000 * 0.94
    assert max(glided) < 3000 * 1.06


def test_reports_that_are_a_frame_off_are_averaged() -> None:
    sender = Sender()
    sender.run(0.5)
    for number in range(20):
        sender.report(off_s=FRAME_S * (number % 2) - FRAME_S / 2)
        sender.run(1.0)
    assert abs(sender.apart_s()) < 0.01


def test_a_liar_is_not_believed() -> None:
    sender = Sender()
    sender.run(1.0)
    sender.report(off_s=30.0)
    sender.run(3.0)
    assert abs(sender.apart_s()) < 0.025


@pytest.mark.parametrize("which", ["video", "audio", "both"])
def test_one_that_counts_anew_is_put_where_it_was(which: str) -> None:
    sender = Sender()
    sender.run(1.0)
    sender.report()
    sender.run(1.0)
    if which != "audio":
        sender.video_0 += 90_000 * 5000
    if which != "video":
        sender.audio_0 -= 48_000 * 700
    sender.run(1.0)
    assert abs(sender.apart_s()) < 0.04
    sender.report()
    sender.run(3.0)
    assert abs(sender.apart_s()) < 0.005
    if which == "video":  # sound went on
        assert {b - a for (_, a), (_, b) in pairwise(sender.audio[10:])} == {960}


def test_a_network_that_stalls_is_no_new_count() -> None:
    sender = Sender()
    sender.run(1.0)
    sender.report()
    sender.run(2.0)
    before = sender.apart_s()
    stall_s = sender.now_s + 4.0  # and all that was sent meanwhile comes at once
    clock = sender.clock
    clock._now_s = lambda: max(sender.now_s, stall_s)
    sender.run(6.0)
    assert sender.apart_s() == pytest.approx(before, abs=0.005)
    assert {b - a for (_, a), (_, b) in pairwise(sender.audio[10:])} == {960}
    steps = [b - a for (_, a), (_, b) in pairwise(sender.video[10:])]
    assert max(steps) < 3000 * 1.06


def test_one_whose_count_stood_still_is_put_where_it_was() -> None:
    """A browser's camera is turned off for a while, its sound goes on."""
    sender = Sender()
    sender.run(1.0)
    sender.report()
    sender.run(1.0)
    sender.video_0 -= 90_000 * 5 // 10 * 10  # as if it had not counted for five seconds
    sender.video.clear()
    sender.run(6.0)
    sender.report()
    sender.run(3.0)
    assert abs(sender.apart_s()) < 0.005


def test_one_alone_stays_as_it_is() -> None:
    clock = PeerClock({}.get, lambda: 0.0)
    assert [clock.video(pts) for pts in (5, 3005, 6005)] == [5, 3005, 6005]
    clock = PeerClock({}.get, lambda: 0.0)
    assert [clock.audio(pts) for pts in (5, 965)] == [5, 965]
