"""Encode and decode by the real libraries: the same pictures, times and ranges come back."""

from __future__ import annotations

import numpy as np
import pytest
from moving import picture, psnr

from gpu.codec import EncoderConfig, open_decoder, open_encoder
from gpu.codec.range import to_limited
from gpu.types import Codec, Frame

CODECS: list[Codec] = ["h264", "vp8"]


def through(codec: Codec, frames: list[Frame], profile: str = "baseline") -> list[Frame]:
    encoder = open_encoder(EncoderConfig(codec, profile=profile))  # type: ignore[arg-type]
    decoder = open_decoder(codec)
    try:
        return [back for frame in frames for out in encoder.encode(frame) for back in decoder.decode(out)]
    finally:
        encoder.close()
        decoder.close()


@pytest.mark.parametrize("codec", CODECS)
def test_every_picture_comes_back_at_once_with_its_time(codec: Codec) -> None:
    frames = [picture(i) for i in range(45)]
    back = through(codec, frames)
    assert [(f.pts, f.arrived_ns) for f in back] == [(f.pts, f.arrived_ns) for f in frames]
    for source, result in zip(frames, back, strict=True):
        assert psnr(source.y, result.y) > 30
        assert psnr(source.u, result.u) > 35
        assert psnr(source.v, result.v) > 35


@pytest.mark.parametrize("profile", ["baseline", "main", "high"])
def test_h264_profiles(profile: str) -> None:
    encoder = open_encoder(EncoderConfig(profile=profile))  # type: ignore[arg-type]
    first = encoder.encode(picture(0))[0].data
    encoder.close()
    start = first.index(b"\x00\x00\x01\x67") + 4  # SPS: profile_idc is its first byte (H.264 §7.3.2.1.1)
    assert first[start] == {"baseline": 66, "main": 77, "high": 100}[profile]


@pytest.mark.parametrize("codec", CODECS)
def test_the_size_changes_in_mid_stream(codec: Codec) -> None:
    frames = [
        picture(i, *((320, 240) if i < 10 else (176, 144) if i < 20 else (322, 242))) for i in range(30)
    ]
    back = through(codec, frames)
    assert [(f.width, f.height) for f in back] == [(f.width, f.height) for f in frames]
    assert min(psnr(s.y, r.y) for s, r in zip(frames, back, strict=True)) > 30


def test_h264_carries_full_range() -> None:
    frames = [picture(i, full_range=True) for i in range(5)]
    back = through("h264", frames)
    assert all(f.full_range for f in back)
    assert psnr(frames[-1].y, back[-1].y) > 30


def test_vp8_cannot_say_full_range_and_gets_limited_samples() -> None:
    frames = [picture(i, full_range=True) for i in range(5)]
    back = through("vp8", frames)
    assert not any(f.full_range for f in back)
    assert psnr(to_limited(frames[-1]).y, back[-1].y) > 30


def test_limited_range_ends_are_those_of_bt601() -> None:
    ends = np.array([[0, 255], [128, 128]], np.uint8)
    frame = to_limited(Frame(ends, ends[:1, :1], ends[:1, 1:], 0, 0, True))
    assert (frame.y[0].tolist(), frame.u[0, 0], frame.v[0, 0]) == ([16, 235], 16, 240)


@pytest.mark.parametrize("codec", CODECS)
def test_same_frames_same_bytes(codec: Codec) -> None:
    def run() -> list[bytes]:
        encoder = open_encoder(EncoderConfig(codec))
        out = []
        for i in range(40):
            if i == 20:
                encoder.set_bitrate(400_000)
            out += [encoded.data for encoded in encoder.encode(picture(i), i == 30)]
        encoder.close()
        return out

    assert run() == run()
