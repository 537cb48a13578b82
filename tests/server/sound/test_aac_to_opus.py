"""AAC made Opus: the sound is where it was, whatever the source's rate, channels and times."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest
from sounds import Clicks, aac, heard, opus_sound, pushed

from server.errors import ProtocolError
from server.peer import EncodedAudio
from server.sound import AacToOpus
from server.sound.aac_to_opus import MAX_AAC_BYTES

# SBR over AAC-LC: core 24 kHz stereo, out 48 kHz (ISO/IEC 14496-3 §1.6.2.1, audio object type 5)
HE_AAC = bytes.fromhex("2b118800")
CLICKS = Clicks(seconds=1.6, at=(0.3, 0.8, 1.3))


@pytest.mark.parametrize(
    ("rate", "layout"), [(48_000, "stereo"), (44_100, "mono"), (44_100, "5.1"), (22_050, "stereo")]
)
async def test_the_sound_stays_at_its_times(rate: int, layout: str) -> None:
    config, frames = aac(CLICKS, rate, layout)
    got: list[EncodedAudio] = []
    line = AacToOpus(config, got.append)
    timed = [(data, round((at + 10) * 1000) * 48) for data, at in frames]  # RTMP's times are milliseconds
    await pushed(line, lambda each: line.push(*each), timed, got)
    line.close()
    assert set(np.diff([p.pts for p in got])) == {960}
    assert heard(opus_sound(got)) == pytest.approx([10.3, 10.8, 11.3], abs=0.002)
    assert line.failed == line.dropped == 0


async def test_high_efficiency_is_decoded_at_its_full_rate() -> None:
    """Told to be HE-AAC, a core of 24 kHz comes out at 48 kHz, 962 samples late, as SBR's filters make it;
    the times of encoders count that in (FFmpeg's libfdk_aac gives the whole delay as priming)."""
    _, frames = aac(CLICKS, 24_000, "stereo")
    got: list[EncodedAudio] = []
    line = AacToOpus(HE_AAC, got.append)
    timed = [(data, round(at * 48_000) - 962) for data, at in frames]
    await pushed(line, lambda each: line.push(*each), timed, got)
    line.close()
    assert heard(opus_sound(got)) == pytest.approx([0.3, 0.8, 1.3], abs=0.002)


async def test_junk_amid_it_is_passed_over() -> None:
    config, frames = aac(CLICKS, 48_000, "stereo")
    got: list[EncodedAudio] = []
    line = AacToOpus(config, got.append)
    timed = [(data, round(at * 48_000)) for data, at in frames]
    random = Random(7)
    for number in (20, 21, 50):
        timed[number] = random.randbytes(300), timed[number][1]
    timed[30] = b"", timed[30][1]
    timed[31] = bytes(MAX_AAC_BYTES + 1), timed[31][1]
    await pushed(line, lambda each: line.push(*each), timed, got)
    line.close()
    assert line.failed >= 2
    assert set(np.diff([p.pts for p in got])) == {960}  # what is missing is silence
    assert heard(opus_sound(got))[-1] == pytest.approx(1.3, abs=0.005)


async def test_a_hole_and_a_jump_are_where_the_source_has_them() -> None:
    config, frames = aac(CLICKS, 48_000, "stereo")
    got: list[EncodedAudio] = []
    line = AacToOpus(config, got.append)
    timed = [(data, round(at * 48_000)) for data, at in frames]
    del timed[20:24]
    wrapped = [(data, pts - (1 << 32) * 48) for data, pts in timed]  # RTMP's milliseconds begin anew
    await pushed(line, lambda each: line.push(*each), timed + wrapped, got)
    line.close()
    steps = np.diff([p.pts for p in got])
    assert (steps[steps > 0] == 960).all()
    assert (steps < 0).sum() == 1
    later = [p for p in got if p.pts < -960]
    assert heard(opus_sound(later)) == pytest.approx(
        [at - (1 << 32) / 1000 for at in (0.3, 0.8, 1.3)], abs=0.003
    )


def test_a_config_that_is_none_is_refused() -> None:
    for config in (b"", b"\xff\xff\xff"):
        with pytest.raises(ProtocolError, match="AAC-LC"):
            AacToOpus(config, lambda _: None)
