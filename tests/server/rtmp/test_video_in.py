"""Video messages to encoded frames: of libav's own muxer, in every codec, out of order, of changing size."""

from __future__ import annotations

import functools

import pytest

from gpu.codec import open_decoder
from gpu.codec.base import DECODES
from gpu.errors import FrameError
from gpu.types import Codec, EncodedFrame, Frame
from server.errors import ProtocolError
from server.peer.payload.base import split_annex_b
from server.rtmp import messages
from server.rtmp.video_in import VideoIn
from tests import beside
from tests.gpu.moving import START_PTS, picture, psnr
from tests.server.rtmp.rtmp_client import avc_tags, flv_tags
from tests.server.streams.stream_parts import clip

X264 = {"preset": "veryfast"}
ENCODERS: dict[Codec, tuple[str, dict[str, str]]] = {
    "h264": ("libx264", X264),
    "hevc": ("libx265", {"preset": "ultrafast", "x265-params": "log-level=0:pools=none:frame-threads=1"}),
    "av1": ("libsvtav1", {"preset": "11", "svtav1-params": "pred-struct=1:lookahead=0:lp=1"}),
    "vp9": ("libvpx-vp9", {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "row-mt": "0"}),
}
SIZE = (160, 96)


@functools.cache
def pictures(count: int) -> tuple[Frame, ...]:
    made = (picture(i, *SIZE) for i in range(count))
    return tuple(Frame(frame.y, frame.u, frame.v, frame.pts - START_PTS) for frame in made)


@functools.cache
def muxed(codec: Codec, b_frames: int = 0) -> tuple[tuple[int, bytes], ...]:
    """Video messages of 40 pictures: (timestamp, payload)."""
    encoder, options = ENCODERS[codec]
    if codec == "av1":  # as in tests/foreign.py
        tags = beside.call(flv_tags, pictures(40), encoder, options, b_frames)
    else:
        tags = flv_tags(pictures(40), encoder, options, b_frames)
    return tuple((time_ms, payload) for kind, time_ms, payload in tags if kind == messages.VIDEO)


def taken(tags: tuple[tuple[int, bytes], ...]) -> list[EncodedFrame]:
    video = VideoIn(DECODES)
    return [frame for time_ms, payload in tags if (frame := video.take(time_ms, payload)) is not None]


def test_the_same_nal_units_come_out_that_went_in() -> None:
    frames = clip(frames=40)
    found = taken(tuple(avc_tags(frames)))
    assert [frame.is_keyframe for frame in found] == [frame.is_keyframe for frame in frames]
    assert [frame.pts for frame in found] == [frame.pts // 90 * 90 for frame in frames]
    for frame, before in zip(found, frames, strict=True):
        assert list(split_annex_b(frame.data)) == list(split_annex_b(before.data))


@pytest.mark.parametrize("codec", ["hevc", "av1", "vp9"])
def test_enhanced_rtmp_of_libav_is_decoded(codec: Codec) -> None:
    found = taken(muxed(codec))
    assert {frame.codec for frame in found} == {codec}
    assert found[0].is_keyframe
    decoder = open_decoder(codec)
    shown = [back for frame in found for back in decoder.decode(frame)]
    decoder.close()
    assert len(shown) >= 38
    for back, source in zip(shown, pictures(40), strict=False):
        assert psnr(back.y, source.y) > 28


@pytest.mark.parametrize(("codec", "b_frames"), [("h264", 2), ("h264", 3), ("hevc", 3)])
def test_pictures_out_of_order_keep_their_times(codec: Codec, b_frames: int) -> None:
    """As x264 makes them unless it is told not to: decoded in one order, shown in another."""
    found = taken(muxed(codec, b_frames))
    times = [frame.pts for frame in found]
    assert times != sorted(times), "no picture is out of order: this shows nothing"
    decoder = open_decoder(codec)
    shown = [back for frame in found for back in decoder.decode(frame)]
    decoder.close()
    assert [back.pts for back in shown] == sorted(times)[: len(shown)]
    assert len(shown) >= len(found) - b_frames  # what was not flushed
    begin = min(times)
    for back in shown:
        assert psnr(back.y, pictures(40)[round((back.pts - begin) / 3000)].y) > 28


def test_another_size_and_another_codec_in_mid_stream() -> None:
    tags = (
        *avc_tags(clip(frames=5)),
        *avc_tags(clip(frames=5, size=(128, 96)), 1000),
        *((time_ms + 2000, payload) for time_ms, payload in muxed("hevc")),
    )
    found = taken(tags)
    sizes: list[tuple[int, int]] = []
    decoder = open_decoder("h264")
    for frame in found:
        for back in decoder.decode(frame):
            if (back.width, back.height) not in sizes:
                sizes.append((back.width, back.height))
    decoder.close()
    assert sizes == [(96, 64), (128, 96), SIZE]
    assert [frame.codec for frame in found] == ["h264"] * 10 + ["hevc"] * (len(found) - 10)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"\x12\x00", "Sorenson H.263 video is not taken: set the encoder to H.264"),
        (b"\x14\x00", "VP6 video"),
        (b"\x1d\x00", "codec 13 video"),
        (b"\x90abcd", "b'abcd' video"),
        (b"\x96\x10hvc1\x00", "several video tracks"),
        (b"\x90vp08\x00\x00", "VP8 video is not taken here: set the encoder to H264 or HEVC"),
    ],
)
def test_what_is_not_taken_is_said(payload: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        VideoIn(("h264", "hevc")).take(0, payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"\x17", b"\x17\x00\x00", b"\x17\x00\x00\x00\x00", b"\x17\x00\x00\x00\x00\x02\x64\x00\x1f\xff",
        b"\x17\x00\x00\x00\x00\x01\x64\x00\x1f\xff\xe1\x00\xff\x67", b"\x17\x01\x00\x00\x00abcd",
        b"\x17\x00\x00\x00\x00\x01\x64\x00\x1f\xfe\xe1\x00\x01\x67\x01\x00\x01\x68",
        b"\x17\x00\x00\x00\x00\x01\x64\x00\x1f\xff\xe1\x00\x00\x01\x00\x01\x68",
        b"\x90hvc", b"\x90hvc1" + bytes(22) + b"\xff" + b"\x20\xff\xff" * 40,
        b"\x90av01\x81", b"\x90av01\x01\x00\x00\x00", b"\x90av01\x81\x00\x00\x00\x0a\xff", b"\x91hvc1\x00",
        b"\x97", b"\x97\xff\xff\xff", b"\x97\x00",
    ],
)  # fmt: skip
def test_a_broken_message_costs_itself_alone(payload: bytes) -> None:
    video = VideoIn(DECODES)
    frames = list(avc_tags(clip(frames=2)))
    assert video.take(*frames[0]) is None
    with pytest.raises(FrameError):
        video.take(0, payload)
    assert [video.take(*tag) is None for tag in frames] == [True, False, False]


@pytest.mark.parametrize(
    "payload", [b"", b"\x57\x00", b"\x17\x02\x00\x00\x00", b"\x94", b"\x92hvc1", b"\xd0\x01"]
)
def test_what_says_nothing_of_pictures_is_passed_over(payload: bytes) -> None:
    assert VideoIn(DECODES).take(0, payload) is None


def test_nal_units_that_do_not_add_up() -> None:
    video = VideoIn(DECODES)
    config, (_, key), *_ = avc_tags(clip(frames=2))
    video.take(*config)
    for broken in (key[:-1], key + b"\x00", key[:5] + b"\xff\xff\xff\xff" + key[9:], key[:5] + bytes(5000)):
        with pytest.raises(FrameError):
            video.take(0, broken)
    assert video.take(0, key[:5]) is None  # an empty picture is none
    frame = video.take(0, key)
    assert frame is not None
    assert frame.is_keyframe


def test_a_time_offset_in_nanoseconds_is_passed_over() -> None:
    """Enhanced RTMP's modifiers come before what they modify."""
    said = [(time_ms, payload) for time_ms, payload in muxed("hevc") if payload[0] & 15 in (0, 1, 3)]
    video = VideoIn(DECODES)
    for time_ms, payload in said[:2]:
        modified = bytes((payload[0] & 0xF0 | 7, 2, 1, 2, 3, payload[0] & 15)) + payload[1:]
        frame = video.take(time_ms, modified)
    assert frame is not None
    assert frame.is_keyframe
    assert frame.codec == "hevc"


def test_composition_times_may_be_negative() -> None:
    video = VideoIn(DECODES)
    config, (_, key), *_ = avc_tags(clip(frames=2))
    video.take(*config)
    frame = video.take(100, key[:2] + b"\xff\xff\xf6" + key[5:])
    assert frame is not None
    assert frame.pts == 90 * 90
