"""AAC made Opus: the sound is where it was, whatever the source's rate, channels and times."""

from __future__ import annotations

import numpy as np
import pytest
from sounds import Clicks, aac, heard, opus_sound, pushed

from server.errors import ProtocolError
from server.peer import EncodedAudio
from server.sound import AacToOpus

CLICKS = Clicks(seconds=1.6, at=(0.3, 0.8, 1.3))


@pytest.mark.parametrize(
    ("rate", "layout"), [(48_000, "stereo"), (44_100, "mono"), (44_100, "5.1"), (22_050, "stereo")]
)
async def test_the_sound_stays_at_its_times(rate: int, layout: str) -> None:
    config, frames = aac(CLICKS, rate, layout)
    got: list[EncodedAudio] = []
    line = AacToOpus(config, got.append)
    timed = [(data, round((at + 10) * 1000) * 48) for data, at in frames]  # RTMP's times are milliseconds
    await pushed(lambda each: line.push(*each), timed, got)
    line.close()
    assert set(np.diff([p.pts for p in got])) == {960}
    assert heard(opus_sound(got)) == pytest.approx([10.3, 10.8, 11.3], abs=0.002)
    assert line.failed == line.dropped == 0


def test_a_config_that_is_none_is_refused() -> None:
    for config in (b"", b"\xff\xff\xff"):
        with pytest.raises(ProtocolError, match="AAC-LC"):
            AacToOpus(config, lambda _: None)
