"""Opus made AAC: the sound is where it was."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sounds import Clicks, aac_sound, heard, opus, pushed

from server.peer import EncodedAudio
from server.sound import AacFrame, OpusToAac

CLICKS = Clicks(seconds=1.6, at=(0.3, 0.8, 1.3))


@pytest.mark.parametrize("layout", ["mono", "stereo"])
async def test_the_sound_stays_at_its_times(layout: str) -> None:
    got: list[AacFrame] = []
    line = OpusToAac(got.append)
    assert line.config[:2] == b"\x11\x90"  # AAC-LC, 48 kHz, stereo (ISO/IEC 14496-3 §1.6.2.1)
    await pushed(line, line.push, opus(CLICKS, layout), got)
    line.close()
    assert set(np.diff([f.pts_48k for f in got])) == {1024}
    sound = aac_sound(line.config, ((f.data, f.pts_48k) for f in got))
    assert heard(sound) == pytest.approx([0.3, 0.8, 1.3], abs=0.002)
    assert line.failed == line.dropped == 0


async def test_a_hole_is_silence_and_a_jump_is_followed() -> None:
    got: list[AacFrame] = []
    line = OpusToAac(got.append)
    packets = opus(CLICKS)
    holed = packets[:10] + packets[11:20] + packets[30:]  # one lost, 200 ms of discontinuous transmission
    later = [replace(packet, pts=packet.pts + (1 << 34)) for packet in packets]
    await pushed(line, line.push, [*holed, EncodedAudio(b"", 0), *later], got)
    line.close()
    steps = np.diff([f.pts_48k for f in got])
    assert (steps != 1024).sum() == 1
    sound = aac_sound(line.config, ((f.data, f.pts_48k) for f in got))
    wanted = [0.3, 0.8, 1.3] + [at + (1 << 34) / 48_000 for at in (0.3, 0.8, 1.3)]
    assert heard(sound) == pytest.approx(wanted, abs=0.003)
    assert line.failed == 1
    assert line._line.filled == 960 * 11
    assert line._line.cut == 0


async def test_frames_carry_when_their_sound_arrived() -> None:
    got: list[AacFrame] = []
    line = OpusToAac(got.append)
    await pushed(line, line.push, [replace(p, arrived_ns=p.pts + 1000) for p in opus(CLICKS)], got)
    line.close()
    assert all(0 <= frame.arrived_ns - frame.pts_48k < 4000 for frame in got)
