"""The binding to libcuda takes what NVIDIA's header says, by the table made from it."""

from __future__ import annotations

import ctypes
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from gpu.cuda import driver, driver_api, driver_errors, stream
from tests.gpu.cuda import cuda_layout

_HEADERS = [Path("/usr/local/cuda/include"), Path("/usr/include")]
LOST = (
    "DEINITIALIZED", "DEVICE_UNAVAILABLE", "ECC_UNCORRECTABLE", "NVLINK_UNCORRECTABLE", "CONTAINED",
    "ILLEGAL_ADDRESS", "LAUNCH_TIMEOUT", "CONTEXT_IS_DESTROYED", "ASSERT", "HARDWARE_STACK_ERROR",
    "ILLEGAL_INSTRUCTION", "MISALIGNED_ADDRESS", "INVALID_ADDRESS_SPACE", "INVALID_PC", "LAUNCH_FAILED",
    "TENSOR_MEMORY_LEAK", "MPS_CLIENT_TERMINATED", "UNKNOWN",
)  # fmt: skip


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    return cuda_layout.committed()


@pytest.mark.parametrize("name", driver_api.FUNCTIONS)
def test_arguments_are_the_headers(name: str, table: dict[str, Any]) -> None:
    sizes = [ctypes.sizeof(kind) for kind in driver_api.FUNCTIONS[name]]
    assert sizes == table["function"][name]


def test_the_copy_lies_as_the_header_says(table: dict[str, Any]) -> None:
    fields = {name: getattr(driver_api.Copy2D, name).offset for name, *_ in driver_api.Copy2D._fields_}
    assert {**fields, "sizeof": ctypes.sizeof(driver_api.Copy2D)} == table["field"]


def test_numbers_are_the_headers(table: dict[str, Any]) -> None:
    numbers = table["number"]
    assert (
        numbers["CU_MEMORYTYPE_HOST"],
        numbers["CU_MEMORYTYPE_DEVICE"],
    ) == (driver_api.HOST, driver_api.DEVICE)
    assert (
        numbers["CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR"],
        numbers["CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR"],
    ) == (driver._MAJOR, driver._MINOR)
    assert numbers["CU_STREAM_NON_BLOCKING"] == stream._NON_BLOCKING
    assert numbers["CU_EVENT_DISABLE_TIMING"] == stream._DISABLE_TIMING
    assert numbers["CU_STREAM_CAPTURE_MODE_RELAXED"] == stream._RELAXED
    assert numbers["CU_MEMHOSTALLOC_PORTABLE"] == 1
    assert numbers["CUDA_ERROR_NOT_READY"] == driver_errors.NOT_READY
    assert numbers["CUDA_ERROR_NO_DEVICE"] == driver_errors.NO_DEVICE


def test_codes_after_which_a_gpu_is_lost(table: dict[str, Any]) -> None:
    assert {table["number"][f"CUDA_ERROR_{name}"] for name in LOST} == driver_errors.LOST_CODES
    assert set(driver_errors._REMEDIES) <= set(table["number"].values())


def test_the_fakes_names_are_the_headers(table: dict[str, Any]) -> None:
    text = (Path(__file__).parent / "stubs" / "cuda_order.h").read_text(encoding="utf-8")
    named = {name: int(code) for code, name in re.findall(r'\{(\d+), "(CUDA_\w+)"\}', text)}
    assert len(named) > 20
    assert named == {name: table["number"][name] for name in named}


def test_the_table_is_what_a_header_here_says() -> None:
    """Only where a toolkit of the table's own version is installed."""
    folders = [folder for folder in _HEADERS if (folder / "cuda.h").is_file()]
    if not folders or shutil.which("gcc") is None:
        pytest.skip("no CUDA toolkit here")
    found = cuda_layout.ask(folders[0])
    if found["number"]["CUDA_VERSION"] != cuda_layout.committed()["number"]["CUDA_VERSION"]:
        pytest.skip("a toolkit of another version")
    assert found == cuda_layout.committed()
