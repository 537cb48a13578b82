"""The memory a hardware decoder is given, and what becomes of it."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from gpu.cuda import cuvid_structs as structs
from gpu.cuda.cuvid import caps_of
from gpu.cuda.driver import Device, DeviceLost
from gpu.cuda.nvdec import NvdecDecoder
from gpu.cuda.nvdec_sequence import Sequence
from gpu.cuda.nvdec_surfaces import Surfaces
from gpu.errors import DeviceError
from tests.gpu.cuda.fake_nvdec import INTER, FakeDecoder, device, engine, nv12, picture_of, tiny

__all__ = ["device", "engine"]  # fixtures

_SEQUENCE = Sequence("h264", 8, 1, 640, 480, 0, 0, 640, 480, 4, (0, 0), False, False)


def room(engine: FakeDecoder) -> str:
    """What the decoder made last may grow to."""
    return engine.called("cuvidCreateDecoder")[-1].split()[4]


def test_there_is_room_to_grow_within_what_the_gpu_can(device: Device, engine: FakeDecoder) -> None:
    caps = caps_of(device, "h264")
    assert caps is not None
    for most, expected in (
        ({}, "1280x736"),
        ({"max_width": 1024}, "1024x736"),
        ({"max_macroblocks": 1200}, "640x480"),  # nothing over what is needed now
    ):
        Surfaces(device, _SEQUENCE, dataclasses.replace(caps, **most), (640, 480)).close()
        assert room(engine) == expected


def test_av1_has_room_for_what_its_header_announces(device: Device, engine: FakeDecoder) -> None:
    decoder = NvdecDecoder(device, "av1")  # the fake announces twice the size
    for size, expected in (((1024, 512), "2048x1024"), ((32, 32), "1280x736"), ((3008, 1504), "3008x1504")):
        decoder.close()
        decoder = NvdecDecoder(device, "av1")
        assert len(decoder.decode(tiny("av1", nv12(0, *size)))) == 1
        assert room(engine) == expected
    decoder.close()


@pytest.mark.parametrize(
    "change",
    [
        {"codec": "hevc"}, {"bit_depth": 10}, {"surfaces": 5}, {"coded_width": 1296}, {"coded_height": 752},
    ],
)  # fmt: skip
def test_what_does_not_fit_is_not_adopted(
    device: Device, engine: FakeDecoder, change: dict[str, object]
) -> None:
    caps = caps_of(device, "h264")
    assert caps is not None
    surfaces = Surfaces(device, _SEQUENCE, caps, (640, 480))
    assert not surfaces.adopt(dataclasses.replace(_SEQUENCE, **change), (640, 480))  # type: ignore[arg-type]
    assert engine.called("cuvidReconfigureDecoder") == []
    surfaces.close()


def test_a_gpu_lost_while_a_size_changes_is_told(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    decoder = NvdecDecoder(device, "vp9")
    assert len(decoder.decode(tiny("vp9", nv12(0, 64, 48)))) == 1
    monkeypatch.setenv("FAKE_NVDEC_FAIL", "cuvidReconfigureDecoder:719")
    with pytest.raises(DeviceLost):
        decoder.decode(tiny("vp9", nv12(0, 32, 32), 3000, INTER))
    with pytest.raises(DeviceError, match="closed"):
        decoder.decode(tiny("vp9", nv12(0, 32, 32), 6000))


def test_an_error_while_mapped_unmaps(device: Device, engine: FakeDecoder) -> None:
    decoder = NvdecDecoder(device, "vp8")
    [frame] = decoder.decode(tiny("vp8", nv12(0, 32, 32)))
    surfaces, stream = decoder._surfaces, device.stream()
    assert surfaces is not None
    mapped: list[int] = []
    with pytest.raises(ZeroDivisionError), device.current(), surfaces.mapped(0, True, stream):
        mapped.append(1 // (engine.count("mapped") - 1))
    assert mapped == []
    assert engine.count("mapped") == 0
    assert np.array_equal(picture_of(frame), nv12(0, 32, 32))
    stream.close()
    del frame
    decoder.close()


def test_what_is_closed_is_not_asked(device: Device, engine: FakeDecoder) -> None:
    caps = caps_of(device, "h264")
    assert caps is not None
    surfaces = Surfaces(device, _SEQUENCE, caps, (640, 480))
    surfaces.close()
    surfaces.close()
    with pytest.raises(DeviceError, match="closed"):
        surfaces.damaged(0)
    assert len(engine.called("cuvidDestroyDecoder")) == 1
    assert surfaces.output == structs.NV12
