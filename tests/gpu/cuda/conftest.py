"""Fake driver libraries for every test of the GPU path: none of them needs a GPU."""

from __future__ import annotations

import gc
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpu.cuda import libraries
from tests.gpu.cuda.build import SOURCES, build_stub, once
from tests.gpu.cuda.fake import FakeDriver


@pytest.fixture(scope="session")
def driver_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the fake libcuda alone."""
    return once("driver", lambda: build_stub("libcuda.so.1", tmp_path_factory.mktemp("driver")).parent)


@pytest.fixture(scope="session")
def gpu_folder(driver_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with all three libraries."""

    def build() -> Path:
        folder = tmp_path_factory.mktemp("gpu")
        for soname in SOURCES:
            if soname == "libcuda.so.1":  # the same file: one library, whichever fixture opens it
                (folder / soname).symlink_to(driver_folder / soname)
            else:
                build_stub(soname, folder)
        return folder

    return once("gpu", build)


@pytest.fixture(scope="session")
def kernel_library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """gpu/cuda/kernels.cu, compiled for the CPU."""
    from tests.gpu.cuda.shim import build_kernels

    if shutil.which("g++") is None and os.environ.get("CI"):
        pytest.fail("CI needs g++ to run the CUDA kernels on the CPU")
    return once("kernels", lambda: build_kernels(tmp_path_factory.mktemp("kernels")))


def _driver(
    folder: Path, monkeypatch: pytest.MonkeyPatch, kernels: Path | None = None
) -> Iterator[FakeDriver]:
    for name in list(os.environ):
        if name.startswith(("FAKE_CUDA_", "FAKE_NVDEC_", "FAKE_NVENC_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv(libraries.FOLDER_VARIABLE, str(folder))
    if kernels is not None:
        monkeypatch.setenv("FAKE_CUDA_KERNELS", str(kernels))
    libraries.forget()
    fake = FakeDriver(folder)
    yield fake
    if fake.leaks():
        gc.collect()
    if not fake.lost:  # what a lost GPU holds cannot be given back
        assert fake.leaks() == {}
    assert fake.count("hangs") == 0, "a call that waits without end was made"
    fake.reset()
    libraries.forget()


@pytest.fixture
def bare_driver(driver_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDriver]:
    """The fake libcuda with no kernels but its own `fake_add`. What a test leaves alive is a failure."""
    yield from _driver(driver_folder, monkeypatch)


@pytest.fixture
def fake_driver(
    driver_folder: Path, kernel_library: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FakeDriver]:
    """The fake libcuda, one GPU, the project's kernels run on the CPU."""
    yield from _driver(driver_folder, monkeypatch, kernel_library)


@pytest.fixture
def fake_gpu(gpu_folder: Path, kernel_library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDriver]:
    """All three fake libraries, one GPU, the project's kernels run on the CPU."""
    yield from _driver(gpu_folder, monkeypatch, kernel_library)


@pytest.fixture
def bare_gpu(gpu_folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeDriver]:
    """All three fake libraries, without the project's kernels."""
    yield from _driver(gpu_folder, monkeypatch)
