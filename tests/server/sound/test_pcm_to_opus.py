"""PCM made Opus: in its time, without a click where it begins, and nothing of before behind a jump."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from sounds import heard, opus_sound, settled

from server.peer import EncodedAudio
from server.sound import PcmToOpus
from server.sound.opus_encoder import OPUS_SAMPLES, PRE_SKIP
from server.sound.pcm_to_opus import FADE_SAMPLES, faded_in

LOUD = np.full((OPUS_SAMPLES, 2), 12_000, np.int16)


@contextmanager
def encoding() -> Iterator[tuple[PcmToOpus, list[EncodedAudio]]]:
    got: list[EncodedAudio] = []
    made = PcmToOpus(got.append)
    try:
        yield made, got
    finally:
        made.close()


def click(pts: int) -> bytes:
    """20 ms; from its middle on a tone."""
    at = np.arange(OPUS_SAMPLES)
    tone = 20_000 * np.sin(2 * np.pi * 1000 * at / 48_000) * (at >= OPUS_SAMPLES // 2)
    return np.repeat(tone.astype(np.int16), 2).tobytes()


async def test_sound_is_heard_at_its_time() -> None:
    with encoding() as (made, got):
        for n in range(40):
            pts = 96_000 + n * OPUS_SAMPLES
            made.push(click(pts) if n == 20 else bytes(OPUS_SAMPLES * 4), pts, n + 1)
        await settled(lambda: len(got))
    assert [packet.pts for packet in got] == [96_000 - PRE_SKIP + n * OPUS_SAMPLES for n in range(40)]
    assert [packet.arrived_ns for packet in got] == list(range(1, 41))
    assert heard(opus_sound(got)) == pytest.approx([2.0 + 20.5 * 0.02], abs=0.002)
    assert made.dropped == 0


async def test_behind_a_jump_it_begins_anew_and_what_steps_back_is_left_out() -> None:
    with encoding() as (made, got):
        for pts in (0, 960, 48_000, 48_100, 48_960):
            made.push(LOUD.tobytes(), pts, 0)
        await settled(lambda: len(got))
    assert [packet.pts + PRE_SKIP for packet in got] == [0, 960, 48_000, 48_960]


def test_what_begins_is_faded_in() -> None:
    faded = faded_in(LOUD)
    assert faded[0].tolist() == [0, 0]
    assert np.all(np.diff(faded[:FADE_SAMPLES, 0].astype(int)) > 0)
    assert np.array_equal(faded[FADE_SAMPLES:], LOUD[FADE_SAMPLES:])
