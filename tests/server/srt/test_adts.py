"""AAC out of MPEG-TS: frames and config, and what is none is said to be none."""

from __future__ import annotations

import io
from typing import Any

import av
import numpy as np
import pytest

from server.errors import ProtocolError
from server.sound.aac_to_opus import AacToOpus
from server.srt.adts import frames


def adts(rate: int = 48_000, layout: str = "stereo") -> bytes:
    """A second of silence in ADTS, by libav."""
    out = io.BytesIO()
    with av.open(out, "w", format="adts") as container:
        stream: Any = container.add_stream("aac", rate=rate, layout=layout)
        for number in range(rate // 1024):
            channels = 2 if layout == "stereo" else 1
            frame = av.AudioFrame.from_ndarray(np.zeros((channels, 1024), np.float32), "fltp", layout)
            frame.sample_rate, frame.pts = rate, number * 1024
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


@pytest.mark.parametrize(
    ("rate", "layout", "config"),
    [
        (48_000, "stereo", "1190"),
        (44_100, "mono", "1208"),
        (96_000, "stereo", "1010"),
        (8000, "mono", "1588"),
    ],
)
async def test_frames_and_config(rate: int, layout: str, config: str) -> None:
    found = list(frames(adts(rate, layout)))
    assert {each.hex() for each, _ in found} == {config}
    assert len(found) in (rate // 1024, rate // 1024 + 1)
    AacToOpus(found[0][0], lambda packet: None).close()  # a decoder takes it


@pytest.mark.parametrize("data", [b"\xff", b"OggS" * 4, adts()[:60], b"\xff\xf1\xfc\x80\x00\x1f\xfc" * 2])
def test_what_is_no_adts_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError, match="send"):
        list(frames(data))
