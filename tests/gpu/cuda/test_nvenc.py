"""How NVENC is set up and steered, against a fake of the driver's library that writes real H.264."""

from __future__ import annotations

import av
import pytest

from gpu.codec import EncoderConfig
from gpu.cuda import nvenc_constants as nv
from gpu.cuda.driver import Device, Stream
from gpu.cuda.frame import FramePool
from gpu.types import Codec, EncodedFrame
from tests.gpu.cuda.fake_nvenc import (
    STEP,
    FakeNvenc,
    Make,
    decoded,
    device,
    make,
    nv12,
    nvenc,
    on_device,
    planar,
    same,
    stream,
)

__all__ = ["device", "make", "nvenc", "stream"]  # fixtures

CODECS: list[Codec] = ["h264", "hevc", "av1"]


@pytest.mark.parametrize("codec", CODECS)
def test_bitrate_moves_in_the_open_session_without_a_keyframe(
    nvenc: FakeNvenc, make: Make, device: Device, codec: Codec
) -> None:
    encoder = make(EncoderConfig(codec, bitrate_bps=1_000_000, max_bps=2_000_000))
    targets = [1_000_000, 1_010_000, 500_000, 2_000_000]  # the second is not worth a call
    out: list[EncodedFrame] = []
    for i in range(40):
        encoder.set_bitrate(targets[i // 10])
        out += encoder.encode(planar(nv12(i), i * STEP))
    assert [one.is_keyframe for one in out] == [True] + [False] * 39
    assert [line.split()[3] for line in nvenc.log("initialize", "reconfigure")] == [
        "1000000", "500000", "2000000",
    ]  # fmt: skip
    assert (nvenc.count("opened"), nvenc.count("reconfigured"), nvenc.count("resets")) == (1, 2, 0)
    _, config = nvenc.last()
    control = config.rcParams
    assert (control.averageBitRate, control.maxBitRate) == (2_000_000, 2_000_000)
    assert control.vbvBufferSize == 2_000_000 // 30
    encoder.close()


def test_bitrate_is_kept_within_floor_and_ceiling(nvenc: FakeNvenc, make: Make, device: Device) -> None:
    encoder = make(EncoderConfig(min_bps=200_000, max_bps=2_000_000))
    encoder.set_bitrate(1)
    low = encoder.target_bps
    encoder.set_bitrate(10**12)
    assert (low, encoder.target_bps) == (200_000, 2_000_000)
    encoder.close()


@pytest.mark.parametrize("step", [1500, 6000])
def test_the_frame_rate_is_the_cameras(nvenc: FakeNvenc, make: Make, device: Device, step: int) -> None:
    encoder = make(EncoderConfig())
    for i in range(80):
        encoder.encode(planar(nv12(0), i * step))
    params, config = nvenc.last()
    fps = params.frameRateNum / params.frameRateDen
    assert fps == pytest.approx(90_000 / step, rel=0.06)
    assert config.rcParams.vbvBufferSize == pytest.approx(config.rcParams.averageBitRate / fps, rel=0.01)
    assert nvenc.count("keyframes") == 1
    encoder.close()


def test_no_setting_of_the_preset_that_delays_is_left(nvenc: FakeNvenc, make: Make, device: Device) -> None:
    encoder = make(EncoderConfig())
    encoder.encode(planar(nv12(0)))
    params, config = nvenc.last()
    control, h264 = config.rcParams, config.encodeCodecConfig.h264Config
    assert str(params.presetGUID) == nv.NV_ENC_PRESET_P4_GUID
    assert params.tuningInfo == nv.NV_ENC_TUNING_INFO_ULTRA_LOW_LATENCY
    assert (params.enablePTD, params.enableEncodeAsync) == (1, 0)
    assert (config.frameIntervalP, config.gopLength, h264.idrPeriod) == (1, 0xFFFFFFFF, 0xFFFFFFFF)
    assert (control.enableLookahead, control.lookaheadDepth, control.zeroReorderDelay) == (0, 0, 1)
    assert control.rateControlMode == nv.NV_ENC_PARAMS_RC_CBR
    assert control.multiPass == 1, "what the preset says of quality stays"
    assert h264.h264VUIParameters.bitstreamRestrictionFlag == 1
    assert h264.enableIntraRefresh == 0
    encoder.close()


@pytest.mark.parametrize("codec", CODECS)
def test_every_keyframe_is_to_have_its_headers_whoever_asked_for_it(
    nvenc: FakeNvenc, make: Make, codec: Codec
) -> None:
    make(EncoderConfig(codec)).encode(planar(nv12(0)))
    chosen = nvenc.last()[1].encodeCodecConfig
    if codec == "av1":
        config = chosen.av1Config
        assert (config.repeatSeqHdr, config.disableSeqHdr, config.outputAnnexBFormat) == (1, 0, 0)
    else:
        config = chosen.h264Config if codec == "h264" else chosen.hevcConfig
        assert (config.repeatSPSPPS, config.disableSPSPPS, config.outputAUD) == (1, 0, 0)
    assert config.idrPeriod == 0xFFFFFFFF


@pytest.mark.parametrize("codec", CODECS)
def test_a_keyframe_comes_when_asked_with_what_a_newcomer_needs(
    nvenc: FakeNvenc, make: Make, device: Device, codec: Codec
) -> None:
    encoder = make(EncoderConfig(codec))
    out = [encoder.encode(planar(nv12(i), i * STEP), i == 3)[0] for i in range(6)]
    assert [i for i, one in enumerate(out) if one.is_keyframe] == [0, 3]
    kinds = [_kinds(one) for one in out]
    wanted = {"h264": [7, 8, 5], "hevc": [32, 33, 34, 19], "av1": [1, 6]}[codec]
    assert kinds[0] == kinds[3] == wanted
    assert kinds[1] == wanted[-1:] if codec == "av1" else [1]
    assert nvenc.count("opened") == 1
    encoder.close()


def _kinds(one: EncodedFrame) -> list[int]:
    if one.codec == "av1":
        found, at = [], 0
        while at < len(one.data):
            found.append(one.data[at] >> 3 & 15)
            assert one.data[at] & 2, "every OBU has its size"
            size, shift, at = 0, 0, at + 1
            while True:
                size |= (one.data[at] & 127) << shift
                shift, at = shift + 7, at + 1
                if not one.data[at - 1] & 128:
                    break
            at += size
        return found
    heads = [nal[0] for nal in one.data.split(b"\x00\x00\x01")[1:]]
    return [head & 31 if one.codec == "h264" else head >> 1 & 63 for head in heads]


def test_range_and_matrix_are_told_and_open_a_new_session(
    nvenc: FakeNvenc, make: Make, device: Device, stream: Stream
) -> None:
    pool = FramePool(device, 64, 48)
    encoder = make(EncoderConfig())
    for i, (full_range, bt709) in enumerate([(False, False), (True, False), (True, True), (False, True)]):
        frame = on_device(pool, stream, nv12(i), i * STEP, full_range, bt709)
        [one] = encoder.encode(frame)
        assert one.is_keyframe
        context = av.CodecContext.create("h264", "r")
        [picture] = [*context.decode(av.Packet(one.data)), *context.decode(None)]
        assert int(picture.color_range) == 1 + full_range
        assert int(picture.colorspace) == (1 if bt709 else 6)
    assert (nvenc.count("opened"), nvenc.count("sessions")) == (4, 1)
    encoder.close()
    del frame
    pool.close()


@pytest.mark.parametrize(("codec", "where"), [("hevc", "hevcVUIParameters"), ("av1", None)])
def test_hevc_and_av1_tell_range_and_matrix(
    nvenc: FakeNvenc, make: Make, device: Device, stream: Stream, codec: Codec, where: str | None
) -> None:
    pool = FramePool(device, 64, 48)
    encoder = make(EncoderConfig(codec))
    encoder.encode(on_device(pool, stream, nv12(0), 0, True, True))
    chosen = nvenc.last()[1].encodeCodecConfig
    if where:
        vui = getattr(chosen.hevcConfig, where)
        assert (vui.videoFullRangeFlag, vui.colourMatrix, vui.videoSignalTypePresentFlag) == (1, 1, 1)
    else:
        assert (chosen.av1Config.colorRange, chosen.av1Config.matrixCoefficients) == (1, 1)
    encoder.close()
    pool.close()


def test_a_new_size_opens_a_new_session_after_closing_the_old(
    nvenc: FakeNvenc, make: Make, device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_NVENC_SESSIONS", "1")
    encoder = make(EncoderConfig())
    sizes = [(64, 48), (64, 48), (96, 80), (32, 32)]
    out = [encoder.encode(planar(nv12(i, *size), i * STEP))[0] for i, size in enumerate(sizes)]
    assert [one.is_keyframe for one in out] == [True, False, True, True]
    for back, (i, size) in zip(decoded(out), enumerate(sizes), strict=True):
        assert same(back, nv12(i, *size))
    encoder.close()


def test_a_clock_that_jumps_back_brings_a_keyframe(nvenc: FakeNvenc, make: Make, device: Device) -> None:
    encoder = make(EncoderConfig())
    out = [encoder.encode(planar(nv12(i), i * STEP))[0] for i in (5, 6, 2, 3)]
    assert [one.is_keyframe for one in out] == [True, False, True, False]
    assert nvenc.count("opened") == 1
    encoder.close()


def test_intra_refresh_is_there_for_those_who_want_it(nvenc: FakeNvenc, make: Make, device: Device) -> None:
    for codec in CODECS:
        encoder = make(EncoderConfig(codec), refresh_frames=60)
        encoder.encode(planar(nv12(0)))
        chosen = nvenc.last()[1].encodeCodecConfig
        part = {"h264": chosen.h264Config, "hevc": chosen.hevcConfig, "av1": chosen.av1Config}[codec]
        assert (part.enableIntraRefresh, part.intraRefreshPeriod, part.intraRefreshCnt) == (1, 60, 59)
        encoder.close()


def test_what_comes_out_does_not_depend_on_who_asks_twice(
    nvenc: FakeNvenc, make: Make, device: Device
) -> None:
    streams = []
    for _ in range(2):
        encoder = make(EncoderConfig())
        streams.append([encoder.encode(planar(nv12(i), i * STEP))[0] for i in range(4)])
        encoder.close()
    assert streams[0] == streams[1]
