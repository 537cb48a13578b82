"""The bitrate of an open encoder moves, up and down, without a keyframe; keyframes come when asked."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from moving import picture

from gpu.codec import EncoderConfig, libvpx, open_encoder
from gpu.codec.base import Encoder
from gpu.codec.encoder import LibavEncoder
from gpu.types import Codec, EncodedFrame

CODECS: list[Codec] = ["h264", "vp8"]


def run(
    encoder: Encoder, count: int, step: int = 3000, before: Callable[[int], None] = lambda _: None
) -> list[EncodedFrame]:
    out = []
    for i in range(count):
        before(i)
        out += encoder.encode(picture(i, step=step))
    encoder.close()
    return out


def rate_bps(frames: list[EncodedFrame], step: int = 3000) -> float:
    return sum(len(frame.data) for frame in frames) * 8 / len(frames) * 90_000 / step


@pytest.mark.parametrize("codec", CODECS)
def test_bitrate_follows_up_and_down_without_a_keyframe(codec: Codec) -> None:
    targets = [400_000, 1_000_000, 200_000, 700_000]
    encoder = open_encoder(EncoderConfig(codec, bitrate_bps=targets[0], max_bps=2_000_000))

    def steer(index: int) -> None:
        if index % 60 == 0:
            encoder.set_bitrate(targets[index // 60])

    out = run(encoder, 240, before=steer)
    assert [frame.is_keyframe for frame in out] == [True] + [False] * 239
    for i, target in enumerate(targets):
        settled = out[i * 60 + 15 : (i + 1) * 60]
        assert 0.7 < rate_bps(settled) / target < 1.25, (i, target)
        # No picture holds the link longer than a tenth of a second plus what the sockets buffer anyway.
        assert max(len(frame.data) for frame in settled) * 8 < target * 0.2


@pytest.mark.parametrize("codec", CODECS)
def test_a_slow_camera_gets_the_whole_bitrate(codec: Codec) -> None:
    out = run(open_encoder(EncoderConfig(codec, bitrate_bps=400_000)), 75, step=6000)
    assert 0.7 < rate_bps(out[30:], 6000) / 400_000 < 1.25


@pytest.mark.parametrize("codec", CODECS)
def test_bitrate_is_kept_within_floor_and_ceiling(codec: Codec) -> None:
    encoder = open_encoder(EncoderConfig(codec, min_bps=200_000, max_bps=2_000_000))
    encoder.set_bitrate(1)
    low = encoder.target_bps
    encoder.set_bitrate(10**12)
    assert (low, encoder.target_bps) == (200_000, 2_000_000)
    encoder.close()


@pytest.mark.parametrize("codec", CODECS)
def test_a_keyframe_comes_when_asked_and_can_be_decoded_alone(codec: Codec) -> None:
    encoder = open_encoder(EncoderConfig(codec))
    out = [encoder.encode(picture(i), i == 7)[0] for i in range(12)]
    encoder.close()
    assert [i for i, frame in enumerate(out) if frame.is_keyframe] == [0, 7]
    if codec == "h264":
        for i in (0, 7):
            kinds = [nal[0] & 31 for nal in out[i].data.split(b"\x00\x00\x01")[1:]]
            assert kinds[:2] == [7, 8], "parameter sets come with every keyframe"
            assert 5 in kinds
        assert not any(nal[0] & 31 == 5 for nal in out[1].data.split(b"\x00\x00\x01")[1:])


@pytest.mark.parametrize("codec", CODECS)
def test_a_clock_that_jumps_back_starts_anew_with_a_keyframe(codec: Codec) -> None:
    encoder = open_encoder(EncoderConfig(codec))
    out = [encoder.encode(picture(i))[0] for i in (5, 6, 2, 3)]
    encoder.close()
    assert [frame.is_keyframe for frame in out] == [True, False, True, False]
    assert [frame.pts for frame in out] == [picture(i).pts for i in (5, 6, 2, 3)]


def test_vp8_has_the_live_encoder_here() -> None:
    """The wheel pinned in pyproject carries the library whose layout gpu.codec.libvpx knows."""
    assert libvpx.usable()


def test_vp8_without_it_opens_anew_when_the_target_moves_far() -> None:
    encoder = LibavEncoder(EncoderConfig("vp8", bitrate_bps=1_000_000))

    def steer(index: int) -> None:
        if index == 10:
            encoder.set_bitrate(1_200_000)
        if index == 20:
            encoder.set_bitrate(400_000)

    out = run(encoder, 30, before=steer)
    assert [i for i, frame in enumerate(out) if frame.is_keyframe] == [0, 20]
