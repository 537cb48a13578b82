"""Damage, refusals and a lost GPU: documented errors only, a keyframe repairs, nothing is left behind."""

from __future__ import annotations

import gc
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streams import wait_until

from gpu.codec.decoder import RECOVERY_TICKS
from gpu.cuda.driver import CudaError, Device, DeviceLost, DeviceTimeout
from gpu.cuda.nvdec import NvdecDecoder
from gpu.cuda.nvdec_surfaces import Surfaces
from gpu.errors import DeviceError, FrameError
from gpu.types import Codec, EncodedFrame
from tests.gpu.cuda.fake import FakeDriver
from tests.gpu.cuda.fake_nvdec import INTER, FakeDecoder, Pcm, device, engine, nv12, pcm, picture_of, tiny

__all__ = ["device", "engine", "pcm"]  # fixtures

ALL: list[Codec] = ["h264", "hevc", "vp8", "vp9", "av1"]


def stream(pcm: Pcm, codec: Codec, count: int, keys: int = 10) -> list[EncodedFrame]:
    """A keyframe every `keys` pictures of 32x32."""
    pictures = [nv12(i, 32, 32) for i in range(count)]
    if codec == "h264":
        return [pcm.unit(picture, i % keys, pts=i * 3000) for i, picture in enumerate(pictures)]
    return [tiny(codec, picture, i * 3000, INTER if i % keys else 1) for i, picture in enumerate(pictures)]


def with_data(unit: EncodedFrame, data: bytes) -> EncodedFrame:
    return EncodedFrame(data, unit.pts, unit.is_keyframe, unit.codec, unit.arrived_ns)


def decode_all(decoder: NvdecDecoder, units: list[EncodedFrame]) -> None:
    for unit in units:
        decoder.decode(unit)


def shows(decoder: NvdecDecoder, unit: EncodedFrame) -> bool:
    return len(decoder.decode(unit)) == 1


@pytest.mark.parametrize("codec", ALL)
def test_nothing_is_shown_before_a_keyframe(
    device: Device, pcm: Pcm, codec: Codec, engine: FakeDecoder
) -> None:
    units = stream(pcm, codec, 15)
    decoder = NvdecDecoder(device, codec)
    shown = [frame.pts for unit in units[1:] for frame in decoder.decode(unit)]
    assert shown == [unit.pts for unit in units[10:]]
    assert len(engine.called("cuvidParseVideoData")) == 5
    decoder.close()


@pytest.mark.parametrize("codec", ALL)
@pytest.mark.parametrize("seed", range(4))
def test_damage_raises_only_frame_errors_and_a_keyframe_repairs_it(
    device: Device, pcm: Pcm, codec: Codec, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    units = stream(pcm, codec, 60)
    decoder = NvdecDecoder(device, codec)
    after, failed = [], 0
    for i, unit in enumerate(units):
        data = bytearray(unit.data)
        if i < 40 and rng.random() < 0.4:
            kind = rng.integers(3)
            if kind == 0:
                for at in rng.integers(0, min(80, len(data)), 6):
                    data[at] ^= int(rng.integers(1, 256))
            elif kind == 1:
                del data[int(rng.integers(0, len(data))) :]
            else:
                data = bytearray(rng.integers(0, 256, int(rng.integers(1, 400)), np.uint8).tobytes())
        try:
            back = decoder.decode(with_data(unit, bytes(data)))
        except CudaError:
            raise
        except (FrameError, DeviceError):  # the latter: a damaged header may ask for what no GPU does
            assert decoder.waiting_for_keyframe
            failed += 1
            continue
        if i >= 40:
            after.append([(frame.pts, picture_of(frame)) for frame in back])
    assert failed
    assert [pts for [(pts, _)] in after] == [unit.pts for unit in units[40:]]
    assert all(np.array_equal(picture, nv12(40 + i, 32, 32)) for i, [(_, picture)] in enumerate(after))
    decoder.close()


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x00\x00\x01", b"\xff" * 5000, b"\x00\x00\x00\x01\x65\xff"])
@pytest.mark.parametrize("codec", ALL)
def test_junk_is_a_frame_error(device: Device, pcm: Pcm, codec: Codec, data: bytes) -> None:
    decoder = NvdecDecoder(device, codec)
    with pytest.raises(FrameError, match="a keyframe repairs it"):
        decoder.decode(EncodedFrame(data, 0, True, codec))
    assert decoder.waiting_for_keyframe
    assert shows(decoder, stream(pcm, codec, 1)[0])
    assert not decoder.waiting_for_keyframe
    decoder.close()


@pytest.mark.parametrize("status", ["8", "9"])
def test_what_the_engine_calls_damaged_is_not_shown(
    device: Device, pcm: Pcm, status: str, monkeypatch: pytest.MonkeyPatch, engine: FakeDecoder
) -> None:
    """8: an error, 9: an error that the engine concealed."""
    units = stream(pcm, "h264", 12)
    decoder = NvdecDecoder(device, "h264")
    assert shows(decoder, units[0])
    monkeypatch.setenv("FAKE_NVDEC_STATUS", status)
    with pytest.raises(FrameError, match="samples are damaged"):
        decoder.decode(units[1])
    monkeypatch.delenv("FAKE_NVDEC_STATUS")
    assert [decoder.decode(unit) for unit in units[2:10]] == [[]] * 8
    assert shows(decoder, units[10])
    assert len(engine.called("cuvidCreateDecoder")) == 1  # kept: only the picture was bad
    decoder.close()


def test_a_gpu_that_tells_no_status_is_asked_once(
    device: Device, pcm: Pcm, monkeypatch: pytest.MonkeyPatch, engine: FakeDecoder
) -> None:
    monkeypatch.setenv("FAKE_NVDEC_STATUS", "unsupported")
    decoder = NvdecDecoder(device, "h264")
    assert all(shows(decoder, unit) for unit in stream(pcm, "h264", 5))
    assert len(engine.called("cuvidGetDecodeStatus")) == 1
    decoder.close()


@pytest.mark.parametrize("codec", ["h264", "hevc"])
def test_a_lost_reference_is_noticed(device: Device, pcm: Pcm, codec: Codec) -> None:
    units = stream(pcm, codec, 12)
    decoder = NvdecDecoder(device, codec)
    assert shows(decoder, units[0])
    assert shows(decoder, units[1])
    lost = units[3] if codec == "h264" else tiny("hevc", nv12(3, 32, 32), 9000, INTER, missing=1)
    with pytest.raises(FrameError, match="predicted from a picture that did not come"):
        decoder.decode(lost)
    assert decoder.waiting_for_keyframe
    assert decoder.decode(units[4]) == []
    assert shows(decoder, units[10])
    decoder.close()


def test_a_sender_that_sends_no_keyframe_is_shown_again_after_a_second(device: Device, pcm: Pcm) -> None:
    units = stream(pcm, "h264", 20, keys=20)
    decoder = NvdecDecoder(device, "h264")
    assert shows(decoder, units[0])
    with pytest.raises(FrameError):
        decoder.decode(with_data(units[1], b"\x00\x00\x00\x01\x41\xff\xff"))
    shown = []
    for i, unit in enumerate(units[2:]):
        late = EncodedFrame(unit.data, unit.pts + (RECOVERY_TICKS if i > 5 else 0), False)
        shown += [i for _ in decoder.decode(late)]
    assert shown == list(range(6, 18))
    decoder.close()


@pytest.mark.parametrize("call", ["cuvidDecodePicture", "cuvidMapVideoFrame64", "cuvidParseVideoData"])
@pytest.mark.parametrize("code", [1, 205, 999])
def test_a_picture_that_the_driver_refuses_costs_a_keyframe(
    device: Device, pcm: Pcm, call: str, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    units = stream(pcm, "h264", 30)
    decoder = NvdecDecoder(device, "h264")
    assert shows(decoder, units[0])
    monkeypatch.setenv("FAKE_NVDEC_FAIL", f"{call}:{code}")
    with pytest.raises(FrameError, match="a keyframe repairs it"):
        decoder.decode(units[1])
    with pytest.raises(FrameError, match="a keyframe repairs it"):
        decoder.decode(units[10])
    monkeypatch.delenv("FAKE_NVDEC_FAIL")
    [frame] = decoder.decode(units[20])
    assert np.array_equal(picture_of(frame), nv12(20, 32, 32))
    del frame
    decoder.close()


def test_a_driver_that_refuses_every_keyframe_is_given_up(
    device: Device, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = NvdecDecoder(device, "h264")
    monkeypatch.setenv("FAKE_NVDEC_FAIL", "cuvidDecodePicture:999")
    units = stream(pcm, "h264", 3, keys=1)
    for unit in units[:2]:
        with pytest.raises(FrameError):
            decoder.decode(unit)
    with pytest.raises(DeviceError, match=r"refused 3 keyframes in a row.*let libav decode"):
        decoder.decode(units[2])
    decoder.close()


def test_a_decoder_that_cannot_be_made_is_a_device_error(
    device: Device, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = NvdecDecoder(device, "h264")
    [unit] = stream(pcm, "h264", 1)
    monkeypatch.setenv("FAKE_NVDEC_FAIL", "cuvidCreateDecoder:2")
    with pytest.raises(CudaError, match=r"CUDA_ERROR_OUT_OF_MEMORY.*fewer streams"):
        decoder.decode(unit)
    monkeypatch.setenv("FAKE_NVDEC_FAIL", "cuvidCreateVideoParser:2")
    with pytest.raises(CudaError):
        decoder.decode(unit)
    monkeypatch.delenv("FAKE_NVDEC_FAIL")
    monkeypatch.setenv("FAKE_CUDA_MEMORY", str(3 << 20))  # one or two surfaces
    with pytest.raises(CudaError, match="CUDA_ERROR_OUT_OF_MEMORY"):
        decoder.decode(unit)
    monkeypatch.delenv("FAKE_CUDA_MEMORY")
    assert shows(decoder, unit)  # memory is there again
    decoder.close()


def test_codecs_that_the_gpu_lacks_are_named(
    device: Device, pcm: Pcm, monkeypatch: pytest.MonkeyPatch, fake_gpu: FakeDriver
) -> None:
    monkeypatch.setenv("FAKE_NVDEC_CODECS", "h264,hevc")
    with pytest.raises(DeviceError, match=r"Fake GPU does not decode AV1 \(it decodes H.264, HEVC\).*libav"):
        NvdecDecoder(device, "av1")
    monkeypatch.setenv("FAKE_NVDEC_CODECS", "")
    with pytest.raises(DeviceError, match="it decodes nothing"):
        NvdecDecoder(device, "h264")


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ({"chroma": 3}, "8 bits, 4:4:4"),
        ({"chroma": 0}, "8 bits, 4:0:0"),
        ({"bits": 12}, "12 bits, 4:2:0"),
        ({"coded": (32, 8192)}, "not 32x8192: send another size"),
    ],
)
def test_what_the_gpu_cannot_decode_says_what_can(device: Device, settings: dict[str, Any], why: str) -> None:
    decoder = NvdecDecoder(device, "hevc")
    with pytest.raises(DeviceError, match=why) as caught:
        decoder.decode(tiny("hevc", nv12(1, 32, 32), **settings))
    assert "libav decode it on the CPU" in str(caught.value)
    assert shows(decoder, tiny("hevc", nv12(1, 32, 32)))
    decoder.close()


@pytest.mark.parametrize("coded", [(16384, 16384), (65535, 65535), (4112, 2304)])
def test_a_hostile_size_is_refused_before_memory_is_taken(
    device: Device, coded: tuple[int, int], fake_gpu: FakeDriver
) -> None:
    decoder = NvdecDecoder(device, "vp9")
    before = fake_gpu.count("device_bytes")
    with pytest.raises(FrameError, match="too large"):
        decoder.decode(tiny("vp9", nv12(1, 32, 32), coded=coded))
    assert fake_gpu.count("device_bytes") == before
    with pytest.raises(FrameError, match="cannot be shown"):
        decoder.decode(tiny("vp9", nv12(1, 32, 32), size=(32, 60), coded=(32, 32)))
    assert shows(decoder, tiny("vp9", nv12(1, 32, 32)))
    decoder.close()


def test_sizes_change_in_mid_stream(device: Device, pcm: Pcm, engine: FakeDecoder) -> None:
    """Within what memory was taken for the decoder is kept, beyond that another takes its place."""
    decoder = NvdecDecoder(device, "h264")
    sizes = [(64, 48), (128, 96), (32, 32), (32, 800), (1300, 32), (64, 48)]
    shown = []
    for i, (width, height) in enumerate(sizes):
        for number in range(3):
            shown += decoder.decode(
                pcm.unit(nv12(i + number, width, height), number, pts=(3 * i + number) * 3000)
            )
    assert [(frame.width, frame.height) for frame in shown] == [size for size in sizes for _ in range(3)]
    for i, frame in enumerate(shown):  # the first too: its buffer outlives pool and decoder
        assert np.array_equal(picture_of(frame), nv12(i // 3 + i % 3, *sizes[i // 3]))
    calls = engine.called("cuvidCreateDecoder", "cuvidReconfigureDecoder", "cuvidDestroyDecoder")
    assert [call.split()[0][5:] for call in calls] == [
        "CreateDecoder", "ReconfigureDecoder", "ReconfigureDecoder", "DestroyDecoder", "CreateDecoder",
        "DestroyDecoder", "CreateDecoder", "ReconfigureDecoder",
    ]  # fmt: skip
    shown.clear()
    del frame
    decoder.close()


def test_a_decoder_that_cannot_be_reconfigured_is_replaced(
    device: Device, pcm: Pcm, engine: FakeDecoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = NvdecDecoder(device, "h264")
    assert shows(decoder, pcm.unit(nv12(1, 64, 48), 0))
    monkeypatch.setenv("FAKE_NVDEC_FAIL", "cuvidReconfigureDecoder:1")
    assert shows(decoder, pcm.unit(nv12(1, 48, 48), 0, pts=3000))
    assert len(engine.called("cuvidCreateDecoder")) == 2
    decoder.close()


def test_colours_change_in_mid_stream(device: Device, pcm: Pcm) -> None:
    decoder = NvdecDecoder(device, "h264")
    found = []
    for i, (full_range, matrix) in enumerate([(False, 6), (True, 6), (True, 1)]):
        unit = pcm.unit(nv12(1, 32, 32), 0, pts=i * 3000, full_range=full_range, matrix=matrix)
        found += [(frame.full_range, frame.bt709) for frame in decoder.decode(unit)]
    assert found == [(False, False), (True, False), (True, True)]
    decoder.close()


@pytest.mark.parametrize("after", [*range(0, 40, 3), 60])
def test_a_gpu_lost_in_mid_stream_closes_the_decoder_and_nothing_else(
    fake_gpu: FakeDriver, pcm: Pcm, after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu = Device.open()
    units = stream(pcm, "h264", 30, keys=30)
    decoder = NvdecDecoder(gpu, "h264")
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", str(after))
    with pytest.raises(DeviceLost):
        decode_all(decoder, units)
    with pytest.raises(DeviceError, match="closed"):
        decoder.decode(units[0])
    decoder.close()
    gpu.close()


def test_an_exception_inside_a_callback_comes_out_of_decode(
    device: Device, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoder = NvdecDecoder(device, "h264")
    units = stream(pcm, "h264", 2, keys=1)

    def interrupted(self: Surfaces, picture: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Surfaces, "decode", interrupted)
        with pytest.raises(KeyboardInterrupt):
            decoder.decode(units[0])
    assert shows(decoder, units[1])
    decoder.close()


def test_closing_twice_or_after_the_device_or_never(
    fake_gpu: FakeDriver, pcm: Pcm, engine: FakeDecoder
) -> None:
    gpu = Device.open()
    [unit] = stream(pcm, "h264", 1)
    twice, late, never, unused = (NvdecDecoder(gpu, "h264") for _ in range(4))
    kept = [frame for decoder in (twice, late, never) for frame in decoder.decode(unit)]
    twice.close()
    twice.close()
    assert np.array_equal(picture_of(kept[0]), nv12(0, 32, 32))
    del never
    gc.collect()
    assert engine.count("decoders") == 1
    gpu.close()
    assert engine.count("decoders") == engine.count("parsers") == 0
    with pytest.raises(DeviceError, match="closed"):
        late.decode(unit)
    late.close()
    unused.close()
    kept.clear()


def test_two_streams_at_once_do_not_meet(device: Device, pcm: Pcm) -> None:
    """Interleaved unit by unit on two threads, each with sizes and faults of its own."""
    from concurrent.futures import ThreadPoolExecutor

    def run(which: int) -> list[bool]:
        size = (32, 32) if which else (64, 48)
        decoder = NvdecDecoder(device, "h264")
        good = []
        for i in range(40):
            unit = pcm.unit(nv12(i, *size), i % 10, pts=i * 3000)
            if which and i % 10 == 5:
                with pytest.raises(FrameError):
                    decoder.decode(with_data(unit, b"\xff" * 40))
                continue
            frames = decoder.decode(unit)
            good += [np.array_equal(picture_of(frame), nv12(i, *size)) for frame in frames]
        decoder.close()
        return good

    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(run, (0, 1))
    assert first == [True] * 40
    assert second == [True] * 20


def test_an_engine_that_hangs_is_not_waited_for_without_end(
    fake_gpu: FakeDriver, gpu_folder: Path, pcm: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeDecoder(gpu_folder)
    gpu = Device.open()
    units = stream(pcm, "h264", 4)
    decoder, other = NvdecDecoder(gpu, "h264", timeout_s=2.0), NvdecDecoder(gpu, "h264")
    assert shows(decoder, units[0])
    assert shows(other, units[0])
    monkeypatch.setenv("FAKE_NVDEC_STUCK", "1")
    with pytest.raises(DeviceTimeout, match=r"relens-nvdec was not done after 2 s.*dmesg"):
        decoder.decode(units[1])
    monkeypatch.delenv("FAKE_NVDEC_STUCK")
    with pytest.raises(DeviceError, match="closed"):
        decoder.decode(units[2])
    decoder.close()
    assert shows(other, units[1])
    other.close()
    wait_until(lambda: not any(thread.name == "relens-nvdec" for thread in threading.enumerate()))
    monkeypatch.setenv("FAKE_CUDA_LOST_AFTER", "0")  # what hung is not given back: the fixture need not look
    with pytest.raises(DeviceLost):
        gpu.memory()
    gpu.close()
