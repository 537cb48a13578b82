"""An MPEG-TS taken apart: keyframes whole, times of one clock, also over the wrap of 33 bits."""

from __future__ import annotations

import io
import shutil
import subprocess
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest

from server.push.wire import Say
from server.srt.listen import BETWEEN, command
from server.srt.packets import Packets, has_parameters


def transport(codec: str = "libx264", start: int = 0, seconds: int = 2, sound_is: str = "aac") -> io.BytesIO:
    """Pictures and sound; `start` in 90 kHz ticks."""
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts", options={"mpegts_copyts": "1"}) as container:
        video: Any = container.add_stream(codec, rate=25, width=96, height=64, pix_fmt="yuv420p")
        video.options = {"preset": "ultrafast", "tune": "zerolatency"}
        video.codec_context.gop_size = 25
        audio: Any = container.add_stream(sound_is, rate=48_000, layout="stereo")
        for number in range(25 * seconds):
            picture = av.VideoFrame.from_ndarray(np.full((96, 96), 10 + number, np.uint8), "yuv420p")
            picture.pts, picture.time_base = start + number * 3600, Fraction(1, 90_000)
            container.mux(video.encode(picture))
            for part in range(2):
                sound = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
                sound.sample_rate, sound.time_base = 48_000, Fraction(1, 48_000)
                sound.pts = start * 48 // 90 + (number * 2 + part) * 1024
                container.mux(audio.encode(sound))
    out.seek(0)
    return out


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_pictures_and_sound_come_apart(codec: str) -> None:
    packets = Packets(av.open(transport(codec), format="mpegts"))
    name = {"libx264": "h264", "libx265": "hevc"}[codec]
    assert packets.head() == {"video": name, "audio": "aac", "not_taken": ""}
    found = list(packets)
    videos = [each for each in found if each[0] == Say.VIDEO]
    assert len(videos) == 50
    assert [has_parameters(data, name) for _, _, data, keyframe in videos if keyframe] == [True, True]
    configs = [data.hex() for kind, _, data, _ in found if kind == Say.CONFIG]
    assert configs == ["1190"]
    sounds = [pts for kind, pts, _, _ in found if kind == Say.AUDIO]
    assert len(sounds) >= 90
    assert all(abs(b - a - 1024) <= 2 for a, b in pairwise(sounds))
    assert abs(videos[0][1] / 90_000 - sounds[0] / 48_000) < 0.1


@pytest.mark.parametrize(("encoder", "codec"), [("mp2", "mp2"), ("ac3", "ac3"), ("libmp3lame", "mp3")])
def test_sound_that_is_not_taken_is_said_and_left_out(encoder: str, codec: str) -> None:
    packets = Packets(av.open(transport(sound_is=encoder), format="mpegts"))
    assert packets.head() == {"video": "h264", "audio": "", "not_taken": codec}
    assert {kind for kind, _, _, _ in packets} == {Say.VIDEO}


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg")
@pytest.mark.parametrize(("encoder", "codec"), [("s302m", "SMPTE 302M"), ("mp2", "mp2")])
def test_what_ffmpeg_passes_on_without_a_name_has_one(encoder: str, codec: str) -> None:
    """As the child has it: MPEG-TS made NUT by FFmpeg's own command."""
    told = command("ffmpeg")
    pictures = ["-f", "lavfi", "-i", "color=black:96x64:25", "-f", "lavfi", "-i", "sine=r=48000", "-t", "1"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", encoder, "-strict", "-2", "-ac", "2"]
    quiet = ["-hide_banner", "-loglevel", "error"]
    sent = subprocess.check_output(["ffmpeg", *quiet, *pictures, *codecs, "-f", "mpegts", "-"])
    passed = subprocess.check_output(
        ["ffmpeg", *quiet, "-f", "mpegts", "-i", "-", *told[told.index("-map") :]], input=sent
    )
    packets = Packets(av.open(io.BytesIO(passed), format=BETWEEN), passed[:1024])
    assert packets.head() == {"video": "h264", "audio": "", "not_taken": codec}
    assert sum(kind == Say.VIDEO for kind, _, _, _ in packets) == 25


def test_aac_without_heads_is_left_out_once_and_what_comes_after_is_taken() -> None:
    packets = Packets(av.open(transport(), format="mpegts"))
    good = b"\xff\xf1\x4c\x80\x01\x3f\xfc" + bytes(2)  # a head of 48 kHz stereo, and two bytes
    found = [
        (kind, data)
        for part in (good, b"rubbish", b"again", good)
        for kind, _, data, _ in packets._sound(part, 0)
    ]
    assert [kind for kind, _ in found] == [
        Say.CONFIG, Say.AUDIO, Say.NO_SOUND, Say.CONFIG, Say.AUDIO,
    ]  # fmt: skip
    assert b"send MPEG-TS with AAC as ADTS" in found[2][1]


def test_times_go_on_over_the_wrap() -> None:
    packets = Packets(av.open(transport(start=(1 << 33) - 90_000), format="mpegts"))
    pts = [each[1] for each in packets if each[0] == Say.VIDEO]
    assert all(b - a == 3600 for a, b in pairwise(pts))


def test_sound_alone_is_refused() -> None:
    out = io.BytesIO()
    with av.open(out, "w", format="mpegts") as container:
        audio: Any = container.add_stream("aac", rate=48_000, layout="stereo")
        for number in range(40):
            sound = av.AudioFrame.from_ndarray(np.zeros((2, 1024), np.float32), "fltp", "stereo")
            sound.sample_rate, sound.pts = 48_000, number * 1024
            container.mux(audio.encode(sound))
    out.seek(0)
    with pytest.raises(ValueError, match=r"no H\.264 or HEVC"):
        Packets(av.open(out, format="mpegts"))
