"""Opus made AAC: the sound is where it was."""

from __future__ import annotations

import numpy as np
import pytest
from sounds import Clicks, aac_sound, heard, opus, pushed

from server.sound import AacFrame, OpusToAac

CLICKS = Clicks(seconds=1.6, at=(0.3, 0.8, 1.3))


@pytest.mark.parametrize("layout", ["mono", "stereo"])
async def test_the_sound_stays_at_its_times(layout: str) -> None:
    got: list[AacFrame] = []
    line = OpusToAac(got.append)
    assert line.config[:2] == b"\x11\x90"  # AAC-LC, 48 kHz, stereo (ISO/IEC 14496-3 §1.6.2.1)
    await pushed(line.push, opus(CLICKS, layout), got)
    line.close()
    assert set(np.diff([f.pts_48k for f in got])) == {1024}
    sound = aac_sound(line.config, ((f.data, f.pts_48k) for f in got))
    assert heard(sound) == pytest.approx([0.3, 0.8, 1.3], abs=0.002)
    assert line.failed == line.dropped == 0
