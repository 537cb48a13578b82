"""How long a viewer's wishes for keyframes have to wait."""

from __future__ import annotations

from itertools import pairwise

from server.streams.keyframe_wishes import CALM_S, LEAST_S, MOST_S, KeyframeWishes


def granted(wishes: KeyframeWishes, times: list[float]) -> list[float]:
    """When wishes made at `times` are granted, each as soon as it may be."""
    out: list[float] = []
    for at in times:
        now = max(at, out[-1] if out else at)
        now += wishes.wait_s(now)
        wishes.grant(now)
        out.append(now)
    return out


def test_who_goes_on_asking_waits_longer_each_time() -> None:
    at = granted(KeyframeWishes(), [0.0] * 7)
    assert [b - a for a, b in pairwise(at)] == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert (LEAST_S, MOST_S) == (0.5, 4.0)


def test_a_wish_now_and_then_is_granted_at_once() -> None:
    times = [0.0, 20.0, 40.0, 60.0]
    assert granted(KeyframeWishes(), times) == times


def test_after_a_calm_it_begins_anew() -> None:
    wishes = KeyframeWishes()
    last = granted(wishes, [0.0] * 5)[-1]
    assert granted(wishes, [last + CALM_S + 1] * 2) == [last + CALM_S + 1, last + CALM_S + 1 + LEAST_S]
