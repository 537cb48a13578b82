"""The parser's callbacks: in order, never an exception into C, nothing kept alive by them."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest

from gpu.cuda import cuvid_structs as structs
from gpu.cuda.driver import CudaError, Device
from gpu.cuda.nvdec_parser import Parser
from gpu.errors import DeviceError
from tests.gpu.cuda.fake_nvdec import FakeDecoder, device, engine, glued, nv12, tiny

__all__ = ["device", "engine"]  # fixtures


class Sink:
    """Writes down what it is told, and raises when it comes to `bad`."""

    def __init__(self, bad: str = "") -> None:
        self.told: list[str] = []
        self._bad = bad

    def _note(self, what: str) -> None:
        self.told.append(what)
        if what == self._bad:
            raise KeyError(what)

    def on_sequence(self, found: structs.VideoFormat) -> int:
        self._note(f"sequence {found.coded_width}x{found.coded_height}")
        return 4

    def on_picture(self, picture: Any) -> None:
        self._note(f"picture {picture.contents.CurrPicIdx}")

    def on_display(self, shown: structs.DisplayInfo) -> None:
        self._note(f"display {shown.picture_index} at {shown.timestamp}")


def test_callbacks_come_in_order_before_feed_returns(device: Device, engine: FakeDecoder) -> None:
    sink = Sink()
    parser = Parser(device, "vp9", sink)
    parser.feed(tiny("vp9", nv12(0, 48, 32)).data, 90_000)
    assert sink.told == ["sequence 48x32", "picture 0", "display 0 at 90000"]
    parser.close()
    [made] = engine.called("cuvidCreateVideoParser")
    assert made == "cuvidCreateVideoParser vp9 delay 0 clock 90000 surfaces 1"
    assert engine.called("cuvidParseVideoData")[0].endswith("flags 0xa pts 90000")
    with pytest.raises(DeviceError, match="closed"):
        parser.feed(b"x", 0)


@pytest.mark.parametrize("bad", ["sequence 48x32", "picture 0", "display 0 at 7"])
def test_what_a_callback_raises_comes_out_and_ends_the_unit(device: Device, bad: str) -> None:
    sink = Sink(bad)
    parser = Parser(device, "vp9", sink)
    unit = tiny("vp9", nv12(0, 48, 32))
    with pytest.raises(KeyError, match=bad):
        parser.feed(glued(unit, unit).data, 7)
    assert sink.told[-1] == bad
    assert sink.told.count(bad) == 1
    parser.close()


def test_the_parsers_own_refusal_is_an_error(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Sink()
    parser = Parser(device, "vp9", sink)
    monkeypatch.setenv("FAKE_NVDEC_FAIL", "cuvidParseVideoData:1")
    with pytest.raises(CudaError, match="cuvidParseVideoData: CUDA_ERROR_INVALID_VALUE"):
        parser.feed(b"xyz", 0)
    parser.close()


def test_neither_sink_nor_parser_is_kept_alive(device: Device, engine: FakeDecoder) -> None:
    sink = Sink()
    parser = Parser(device, "vp8", sink)
    gone = weakref.ref(sink)
    del sink
    assert gone() is None
    with pytest.raises(CudaError):  # nobody is there to take the picture
        parser.feed(tiny("vp8", nv12(0, 32, 32)).data, 0)
    gc.disable()
    try:
        del parser
        assert engine.count("parsers") == 0  # without the collector's help
    finally:
        gc.enable()
