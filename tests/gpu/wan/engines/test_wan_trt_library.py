"""Which of the two libraries is here, for which GPUs, and what is said of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gpu.errors import DeviceError, ModelError
from gpu.wan.engines import trt_library
from gpu.wan.engines.trt_library import (
    LIBRARIES,
    TrtLibrary,
    check_architectures,
    installed,
    library_for,
    load,
    logger_of,
)


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch):  # type: ignore[no-untyped-def]
    """Let just these libraries be installed."""

    def say(*names: str) -> None:
        monkeypatch.setattr(trt_library, "installed", lambda name: name in names)

    return say


@pytest.mark.parametrize(
    ("here", "architecture", "which"),
    [
        (LIBRARIES, "sm90", "tensorrt"),
        (LIBRARIES, "sm89", "tensorrt-rtx"),
        (("tensorrt",), "sm89", "tensorrt"),
        (("tensorrt-rtx",), "sm100", "tensorrt"),
        ((), "sm120", "tensorrt"),
    ],
)
def test_the_library_for_a_gpu(only, here, architecture, which) -> None:  # type: ignore[no-untyped-def]
    only(*here)
    assert library_for(architecture) == which


def test_architectures() -> None:
    check_architectures("tensorrt-rtx", ("sm89", "sm120"))
    check_architectures("tensorrt-rtx", ())
    check_architectures("tensorrt", ())
    with pytest.raises(ModelError, match="no engine for sm90, sm100"):
        check_architectures("tensorrt-rtx", ("sm89", "sm90", "sm100"))
    with pytest.raises(ModelError, match="name none"):
        check_architectures("tensorrt", ("sm90",))


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("raise OSError('libnvinfer.so.11: cannot open')", "does not load .libnvinfer.so.11"),
        ("__version__ = '10.16.0'", r"10\.16\.0 is too old, 11\.0 is needed"),
    ],
)
def test_a_library_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    (tmp_path / "tensorrt.py").write_text(code)
    _only_path(tmp_path, monkeypatch)
    with pytest.raises(DeviceError, match=said):
        load.__wrapped__("tensorrt")


def _only_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)


def test_a_library_that_can(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tensorrt.py").write_text("__version__ = '11.4.0.106'")
    _only_path(tmp_path, monkeypatch)
    library = load.__wrapped__("tensorrt")
    assert (library.words, library.is_rtx) == ("TensorRT 11.4.0", False)
    assert installed("tensorrt")
    sys.modules.pop("tensorrt", None)


def test_one_that_is_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(trt_library.MODULES, "tensorrt", ("no_such_module",))
    assert not installed("tensorrt")
    with pytest.raises(DeviceError, match="TensorRT is not installed: pip install"):
        load.__wrapped__("tensorrt")


def test_the_last_errors_are_kept_for_a_message(caplog: pytest.LogCaptureFixture) -> None:
    class ILogger:
        INTERNAL_ERROR, ERROR, WARNING, INFO = range(4)

    library = TrtLibrary("tensorrt", type("trt", (), {"ILogger": ILogger}), "11.4.0.106")
    logger = logger_of(library)
    assert logger is logger_of(library), "a process has one"
    logger.log(ILogger.INFO, "nothing much")
    logger.log(ILogger.WARNING, "odd")
    for count in range(20):
        logger.log(ILogger.ERROR, f"error {count} \n")
    assert logger.taken() == "; ".join(f"error {count}" for count in range(12, 20))
    assert logger.taken() == ""
    assert "error 3" in caplog.text
    assert "odd" not in caplog.text
