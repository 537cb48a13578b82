"""Device arrays are cut, copied and shown to others as NumPy's are."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gpu.cuda.arrays import DeviceArray, c_strides
from gpu.cuda.driver import Device, Stream
from gpu.errors import DeviceError
from tests.gpu.cuda.fake import FakeDriver


@pytest.fixture
def device(bare_driver: FakeDriver) -> Iterator[Device]:
    opened = Device.open()
    yield opened
    opened.close()


def ramp(shape: tuple[int, ...], dtype: str = "uint8") -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def uploaded(device: Device, stream: Stream, source: np.ndarray) -> DeviceArray:
    array = device.array(source.shape, source.dtype)
    array.upload(source, stream)
    return array


@pytest.mark.parametrize(
    "index",
    [
        np.s_[1], np.s_[-1], np.s_[2:4], np.s_[::2], np.s_[:, 1:], np.s_[1:, ::3, 1], np.s_[:, :, 1],
        np.s_[3, 4, 1], np.s_[1:1], np.s_[:, 2:100], np.s_[-3:-1, -2], np.s_[()],
    ],
)  # fmt: skip
def test_cuts_are_those_of_numpy(device: Device, index: object) -> None:
    stream, source = device.stream(), ramp((5, 6, 2), "int16")
    array = uploaded(device, stream, source)
    cut, expected = array[index], source[index]  # type: ignore[index]
    assert cut.shape == expected.shape
    assert np.array_equal(cut.download(stream), expected)
    if expected.size:
        assert cut.contiguous == np.asarray(expected).flags.c_contiguous


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_cut_round_trips(device: Device, data: st.DataObject) -> None:
    shape = tuple(data.draw(st.lists(st.integers(1, 7), min_size=1, max_size=3)))
    index = tuple(
        data.draw(
            st.slices(side).filter(lambda s: s.step is None or s.step > 0) | st.integers(-side, side - 1)
        )
        for side in shape
    )
    stream, source = device.stream(), ramp(shape, data.draw(st.sampled_from(["uint8", "float32", "float16"])))
    array = uploaded(device, stream, source)
    assert np.array_equal(array[index].download(stream), source[index])
    fresh = np.full(source[index].shape, 77).astype(source.dtype)
    array[index].upload(fresh, stream)
    source[index] = fresh
    assert np.array_equal(array.download(stream), source), "and nothing beside it was touched"
    stream.close()


def test_cuts_that_are_not_possible(device: Device) -> None:
    array = device.array((4, 4), np.uint8)
    with pytest.raises(IndexError, match="index 4 is out of range"):
        array[4]
    with pytest.raises(IndexError, match="3 indices"):
        array[0, 0, 0]
    with pytest.raises(IndexError, match="positive steps"):
        array[::-1]
    with pytest.raises(TypeError, match="numbers and slices"):
        array[[1, 2]]  # type: ignore[index]
    with pytest.raises(ValueError, match="none negative"):
        DeviceArray(device, array.ptr, (4,), np.uint8, (-1,))


def test_the_array_interface_is_version_3(device: Device) -> None:
    array = device.array((4, 6), np.float16)
    assert array.__cuda_array_interface__ == {
        "shape": (4, 6), "typestr": "<f2", "data": (array.ptr, False), "strides": None,
        "version": 3, "stream": None,
    }  # fmt: skip
    cut = array[1:, ::2].__cuda_array_interface__
    assert (cut["shape"], cut["strides"], cut["data"]) == ((3, 3), (12, 4), (array.ptr + 12, False))
    empty = array[:0].__cuda_array_interface__
    assert (empty["shape"], empty["data"], empty["strides"]) == ((0, 6), (0, False), None)


def test_shape_and_size(device: Device) -> None:
    array = device.array((4, 6), np.uint16)
    assert (len(array), array.ndim, array.size, array.nbytes) == (4, 2, 24, 48)
    assert array.reshape(2, 12).strides == (24, 2)
    assert array.view(np.float16).dtype == np.float16
    assert "uint16[4, 6]" in repr(array)
    with pytest.raises(ValueError, match="contiguous"):
        array[:, 1:].reshape(20)
    with pytest.raises(ValueError, match="of that size"):
        array.reshape(5, 5)
    with pytest.raises(ValueError, match="widths differ"):
        array.view(np.uint8)
    with pytest.raises(TypeError, match="no length"):
        len(array[0, 0])
    assert c_strides((), 4) == ()
    for shape in ((3,), (3, 1, 5), (2, 3, 4, 5)):
        assert c_strides(shape, 4) == np.empty(shape, np.float32).strides


def test_uploads_must_fit(device: Device) -> None:
    stream, array = device.stream(), device.array((4, 6), np.uint8)
    with pytest.raises(ValueError, match=r"cannot upload uint8\[6, 4\]"):
        array.upload(np.zeros((6, 4), np.uint8), stream)
    with pytest.raises(ValueError, match="cannot upload int8"):
        array.upload(np.zeros((4, 6), np.int8), stream)
    overlapping = DeviceArray(device, array.ptr, (3, 4), np.uint8, (2, 1), array)
    with pytest.raises(ValueError, match="overlaps itself"):
        overlapping.download(stream)


def test_copies_of_padded_rows_count_the_picture_alone(bare_driver: FakeDriver, device: Device) -> None:
    stream = device.stream()
    plane = device.array((48, 128), np.uint8)[:, :100]
    plane.upload(np.ones((48, 100), np.uint8), stream)
    plane.download(stream)
    assert (bare_driver.count("h2d"), bare_driver.count("d2h")) == (4800, 4800)
    traffic = device.traffic()
    assert (traffic.host_to_device_bytes, traffic.device_to_host_bytes) == (4800, 4800)
    assert len(bare_driver.called("cuMemcpy2DAsync_v2")) == 2, "rows evenly spaced are one copy"


def test_cupy_is_shown_the_same_memory(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """CuPy itself needs a GPU: its two constructors are held to what relens passes."""
    fake = types.ModuleType("cupy")
    fake.cuda = types.SimpleNamespace(  # type: ignore[attr-defined]
        UnownedMemory=lambda *arguments: arguments, MemoryPointer=lambda *arguments: arguments
    )
    fake.ndarray = lambda *arguments, strides: (*arguments, strides)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "cupy", fake)
    array = device.array((4, 6), np.float32)[1:3, :5]
    shape, dtype, ((ptr, span, owner, index), offset), strides = array.cupy()
    assert (shape, dtype, strides) == ((2, 5), np.float32, (24, 4))
    assert (ptr, span, owner, index, offset) == (array.ptr, 24 + 16 + 4, array, 0, 0)


def test_without_cupy_the_remedy_is_told(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(DeviceError, match=r"pip install 'relens\[gpu\]'"):
        device.array((1,), np.uint8).cupy()
