"""The decoder beside the straight path: damage, odd sizes, other formats, hostile sizes."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
import pytest
from moving import encoded, picture, psnr

from gpu.codec import EncoderConfig, open_decoder, open_encoder
from gpu.codec.decoder import RECOVERY_TICKS
from gpu.errors import DeviceError, FrameError
from gpu.types import Codec, EncodedFrame, Frame
from tests.foreign import encode

CODECS: list[Codec] = ["h264", "vp8", "vp9", "hevc", "av1"]


def damaged(frame: EncodedFrame, data: bytes) -> EncodedFrame:
    return EncodedFrame(data, frame.pts, frame.is_keyframe, frame.codec, frame.arrived_ns)


def encode_foreign(pixel_format: str, width: int, height: int, **settings: Any) -> list[EncodedFrame]:
    """What other senders send: formats, sizes and colours of their choice."""
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = width, height, pixel_format
    context.time_base = Fraction(1, 90_000)
    context.options = {"tune": "zerolatency", "preset": "ultrafast", "crf": "10"}
    for name, value in settings.items():
        setattr(context, name, value)
    out = []
    for i in range(3):
        grey = av.VideoFrame.from_ndarray(np.full((height, width, 3), 60 * (i + 1), np.uint8), format="rgb24")
        frame = grey.reformat(format=pixel_format)
        frame.pts = i * 3000
        out += [EncodedFrame(bytes(p), p.pts, p.is_keyframe) for p in context.encode(frame)]
    return out


@pytest.mark.parametrize("codec", CODECS)
def test_nothing_is_shown_before_a_keyframe(codec: Codec) -> None:
    frames = encoded(35, codec)
    decoder = open_decoder(codec)
    shown = [back.pts for frame in frames[1:] for back in decoder.decode(frame)]
    assert shown == [frame.pts for frame in frames[30:]]
    assert not decoder.waiting_for_keyframe


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("seed", range(8))
def test_damage_raises_only_frame_errors_and_a_keyframe_repairs_it(codec: Codec, seed: int) -> None:
    rng = np.random.default_rng(seed)
    frames = encoded(90, codec)
    decoder = open_decoder(codec)
    after: list[Frame] = []
    for i, frame in enumerate(frames):
        data = bytearray(frame.data)
        if i < 60 and rng.random() < 0.3:
            kind = rng.integers(3)
            if kind == 0:
                for at in rng.integers(0, len(data), 12):
                    data[at] ^= int(rng.integers(1, 256))
            elif kind == 1:
                del data[int(rng.integers(0, len(data))) :]
            else:
                data = bytearray(rng.integers(0, 256, int(rng.integers(1, 400)), np.uint8).tobytes())
        try:
            back = decoder.decode(damaged(frame, bytes(data)))
        except FrameError:
            assert decoder.waiting_for_keyframe
            continue
        if i >= 60:
            after += back
    assert [frame.pts for frame in after] == [frame.pts for frame in frames[60:]]
    assert min(psnr(frame.y, picture(60 + i).y) for i, frame in enumerate(after)) > 30


def test_truncated_h264_is_counted_and_waits_for_the_keyframe() -> None:
    frames = encoded(35)
    decoder = open_decoder("h264")
    for frame in frames[:5]:
        decoder.decode(frame)
    with pytest.raises(FrameError, match="keyframe repairs"):
        decoder.decode(damaged(frames[5], frames[5].data[: len(frames[5].data) // 3]))
    assert decoder.waiting_for_keyframe
    assert [decoder.decode(frame) for frame in frames[6:30]] == [[]] * 24
    assert len(decoder.decode(frames[30])) == 1


def test_a_sender_that_sends_no_keyframe_is_shown_again_after_a_second() -> None:
    frames = encoded(29)
    decoder = open_decoder("h264")
    decoder.decode(frames[0])
    with pytest.raises(FrameError):
        decoder.decode(damaged(frames[1], b"\x00\x00\x00\x01\x41\xff\xff"))
    shown = []
    for i, frame in enumerate(frames[2:]):
        late = EncodedFrame(frame.data, frame.pts + (RECOVERY_TICKS if i > 5 else 0), False)
        try:
            shown += [(i, back) for back in decoder.decode(late)]
        except FrameError:
            continue
    assert shown
    assert shown[0][0] > 5


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x00\x01", b"\xff" * 5000])
@pytest.mark.parametrize("codec", CODECS)
def test_junk_is_a_frame_error_or_nothing(codec: Codec, data: bytes) -> None:
    decoder = open_decoder(codec)
    try:
        shown = decoder.decode(EncodedFrame(data, 0, True, codec))
    except FrameError:
        shown = []
    assert shown == []
    assert len(decoder.decode(encoded(1, codec)[0])) == 1


def test_odd_sizes_are_cropped_to_even() -> None:
    frames = encode_foreign("yuv444p", 101, 67)
    shown = [back for frame in frames for back in open_decoder("h264").decode(frame)][:1]
    assert [(f.width, f.height, f.u.shape) for f in shown] == [(100, 66, (33, 50))]
    assert all(
        plane.flags["C_CONTIGUOUS"] and plane.flags["OWNDATA"] for f in shown for plane in (f.y, f.u, f.v)
    )


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv444p", "yuvj420p", "nv12"])
def test_other_pixel_formats_become_planar_420(pixel_format: str) -> None:
    decoder = open_decoder("h264")
    shown = [back for frame in encode_foreign(pixel_format, 64, 48) for back in decoder.decode(frame)]
    assert [frame.u.shape for frame in shown] == [(24, 32)] * 3
    full = pixel_format == "yuvj420p"
    assert [frame.full_range for frame in shown] == [full] * 3
    expected = 60 if full else 16 + 60 * 219 / 255
    assert abs(float(shown[0].y.mean()) - expected) < 2
    assert abs(float(shown[0].u.mean()) - 128) < 2


def test_bt709_is_turned_into_bt601() -> None:
    """Pure green differs by 20 steps of luma between the two matrices."""
    green = np.zeros((48, 64, 3), np.uint8)
    green[..., 1] = 255
    context: Any = av.CodecContext.create("libx264", "w")
    context.width, context.height, context.pix_fmt = 64, 48, "yuv420p"
    context.time_base, context.colorspace, context.color_range = Fraction(1, 90_000), 1, 1
    context.options = {"tune": "zerolatency", "preset": "ultrafast", "crf": "5"}
    frame = av.VideoFrame.from_ndarray(green, format="rgb24").reformat(
        format="yuv420p", dst_colorspace=av.video.reformatter.Colorspace.ITU709
    )
    frame.pts = 0
    packets = context.encode(frame)
    shown = open_decoder("h264").decode(EncodedFrame(bytes(packets[0]), 0, True))[0]
    assert abs(float(shown.y.mean()) - 145) < 3  # BT.601: 16 + 219 * 0.587; BT.709 gives 173


def test_pictures_beyond_the_models_size_are_scaled_with_their_proportions() -> None:
    frames = encoded(2, "h264", 640, 480)
    decoder = open_decoder("h264", (1280, 240))
    shown = [back for frame in frames for back in decoder.decode(frame)]
    assert [(frame.width, frame.height) for frame in shown] == [(320, 240)] * 2
    assert shown[1].pts == frames[1].pts
    assert abs(float(shown[1].y.mean()) - float(picture(1, 640, 480).y.mean())) < 2


def test_a_scaler_kept_between_pictures_gives_what_a_fresh_one_gives() -> None:
    sizes = [(640, 480), (320, 240), (480, 640), (640, 480)]
    pictures = [frame for size in sizes for frame in encoded(1, "h264", *size)]
    kept = open_decoder("h264", (160, 120))
    for encoded_one, (width, height) in zip(pictures, sizes, strict=True):
        (one,) = kept.decode(encoded_one)
        (other,) = open_decoder("h264", (160, 120)).decode(encoded_one)
        assert (one.width, one.height) == ((120, 160) if height > width else (160, 120))
        assert all(np.array_equal(getattr(one, plane), getattr(other, plane)) for plane in "yuv")


def test_a_hostile_size_is_refused_before_memory_is_taken() -> None:
    too_large = encode_foreign("yuv420p", 4200, 2400)[0]
    with pytest.raises(FrameError):
        open_decoder("h264").decode(too_large)
    # 16383x16383 in a VP8 keyframe header (RFC 6386 §9.1)
    header = bytes([0x10, 0x02, 0x00, 0x9D, 0x01, 0x2A, 0xFF, 0x3F, 0xFF, 0x3F]) + bytes(200)
    with pytest.raises(FrameError):
        open_decoder("vp8").decode(EncodedFrame(header, 0, True, "vp8"))


def test_a_picture_held_upright_keeps_its_size() -> None:
    decoder = open_decoder("h264", (640, 480))
    shown = [back for frame in encoded(1, "h264", 480, 640) for back in decoder.decode(frame)]
    assert [(frame.width, frame.height) for frame in shown] == [(480, 640)]


@pytest.mark.parametrize("codec", CODECS[2:])
def test_codecs_that_are_only_decoded_are_shown_at_once_with_their_time(codec: Codec) -> None:
    frames = encoded(40, codec)
    decoder = open_decoder(codec)
    for i, frame in enumerate(frames):
        (back,) = decoder.decode(frame)
        assert (back.pts, back.arrived_ns, back.full_range) == (frame.pts, 1_000 + i, False)
        assert min(psnr(back.y, picture(i).y), psnr(back.u, picture(i).u), psnr(back.v, picture(i).v)) > 30


@pytest.mark.parametrize("codec", CODECS[2:])
def test_codecs_that_are_only_decoded_change_their_size_in_mid_stream(codec: Codec) -> None:
    sizes = [(320, 240)] * 5 + [(176, 144)] * 5 + [(322, 242)] * 5
    frames = encode(codec, [picture(i, *size) for i, size in enumerate(sizes)])
    decoder = open_decoder(codec)
    shown = [back for frame in frames for back in decoder.decode(frame)]
    assert [(back.width, back.height) for back in shown] == sizes
    assert min(psnr(back.y, picture(i, *sizes[i]).y) for i, back in enumerate(shown)) > 30


def test_a_stream_goes_over_to_another_codec_at_a_keyframe() -> None:
    decoder = open_decoder("vp8")
    shown = []
    for turn, codec in enumerate(CODECS):
        late, *begin = encoded(4, codec)[::-1]
        for i, frame in enumerate([*([late] if turn else []), *begin[::-1], late]):
            moved = EncodedFrame(frame.data, frame.pts + (turn * 4 + i) * 3000, frame.is_keyframe, codec)
            back = decoder.decode(moved)
            assert bool(back) == (bool(i) or not turn)  # nothing of the new one before its keyframe
            assert decoder.waiting_for_keyframe != bool(back)
            shown += back
    assert len(shown) == 4 * len(CODECS)
    assert {(frame.width, frame.height) for frame in shown} == {(320, 240)}


def test_of_the_layers_of_one_picture_the_last_is_shown() -> None:
    """Two sizes of one picture as WebRTC's scalable VP9 sends them: one superframe with its index."""
    small, large = (encode("vp9", [picture(0, *size)])[0].data for size in ((160, 120), (320, 240)))
    sizes = b"".join(len(layer).to_bytes(3, "little") for layer in (small, large))
    unit = small + large + b"\xd1" + sizes + b"\xd1"
    shown = open_decoder("vp9").decode(EncodedFrame(unit, 5, True, "vp9", 7))
    assert [(frame.width, frame.height, frame.pts, frame.arrived_ns) for frame in shown] == [(320, 240, 5, 7)]


@pytest.mark.parametrize("codec", CODECS[2:])
def test_a_hostile_size_is_refused_in_every_codec(codec: Codec) -> None:
    flat = np.full((2400, 4200), 100, np.uint8)
    chroma = np.full((1200, 2100), 128, np.uint8)
    too_large = encode(codec, [Frame(flat, chroma, chroma, 0)])[0]
    decoder = open_decoder(codec)
    with pytest.raises(FrameError):
        decoder.decode(too_large)
    assert decoder.waiting_for_keyframe
    assert len(decoder.decode(encoded(1, codec)[0])) == 1


@pytest.mark.parametrize("codec", CODECS[2:])
def test_what_is_only_decoded_has_no_encoder(codec: Codec) -> None:
    with pytest.raises(DeviceError, match="h264 or vp8"):
        open_encoder(EncoderConfig(codec))
