"""The libraries of the driver are looked up in one place, when asked for, and named when they are missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from gpu.cuda import libraries
from gpu.errors import DeviceError
from tests.gpu.cuda.fake import FakeDriver


def test_a_library_is_opened_once(bare_driver: FakeDriver) -> None:
    first = libraries.open_library("cuda")
    assert libraries.open_library("cuda") is first
    libraries.forget()
    assert libraries.open_library("cuda") is not first


def test_the_named_folder_goes_first(bare_driver: FakeDriver) -> None:
    assert Path(libraries.open_library("cuda")._name).parent == bare_driver.folder


def test_a_file_that_is_no_library_is_told_apart_from_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(libraries, "_paths", lambda name, folder: [str(tmp_path / "libx.so.1")])
    libraries.forget()
    with pytest.raises(DeviceError, match="is not on this machine: install NVIDIA's driver"):
        libraries.open_library("nvcuvid")
    (tmp_path / "libx.so.1").write_bytes(b"no library")
    with pytest.raises(DeviceError, match=r"cannot be opened \(.*libx\.so\.1"):
        libraries.open_library("nvcuvid")
    libraries.forget()


def test_names_on_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(libraries.sys, "platform", "win32")
    assert libraries._paths("nvidia-encode", "") == ["nvEncodeAPI64.dll"]
    monkeypatch.setattr(libraries.sys, "platform", "linux")
    assert libraries._paths("cuda", "/opt/driver") == [
        "/opt/driver/libcuda.so.1",
        "libcuda.so.1",
        "/usr/lib/wsl/lib/libcuda.so.1",
    ]
