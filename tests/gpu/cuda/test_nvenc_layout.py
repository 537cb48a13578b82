"""The NVENC bindings lie in memory as NVIDIA's header says, by the table made from it."""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Any

import pytest

from gpu.cuda import nvenc_api
from gpu.cuda.nvenc_structs import FUNCTIONS, STRUCTS, Guid
from tests.gpu.cuda import nvenc_layout

_HEADERS = [
    Path(folder) / "ffnvcodec" / "nvEncodeAPI.h" for folder in ("/usr/include", "/usr/local/include")
]  # Debian: libffmpeg-nvenc-dev


@pytest.fixture(scope="module")
def table() -> dict[str, Any]:
    return nvenc_layout.committed()


@pytest.mark.parametrize("name", STRUCTS)
def test_a_structure_lies_as_the_header_says(name: str, table: dict[str, Any]) -> None:
    kind, _ = STRUCTS[name]
    struct = table["structs"][name]
    assert ctypes.sizeof(kind) == struct["size"]
    named = [(field, bool(width)) for field, _, *width in kind._fields_ if not field.startswith("_")]  # type: ignore[misc]
    assert {field for field, bits in named if not bits} == set(struct["fields"])
    assert {field for field, bits in named if bits} == set(struct["bits"])
    for field, offset in struct["fields"].items():
        assert getattr(kind, field).offset == offset, field
    for field, (first, count) in struct["bits"].items():
        instance = kind()
        setattr(instance, field, (1 << count) - 1)
        assert int.from_bytes(bytes(instance), "little") == ((1 << count) - 1) << first, field


def test_every_number_is_the_headers(table: dict[str, Any]) -> None:
    assert nvenc_layout.numbers() == table["constants"]


def test_versions_are_the_headers(table: dict[str, Any]) -> None:
    for name, (kind, version) in STRUCTS.items():
        if version:
            assert nvenc_api.version_of(kind) == table["structs"][name]["version"], name


def test_guids_are_written_as_the_header_has_them() -> None:
    guid = Guid.of("6BC82762-4E63-4CA4-AA85-1E50F321F6BF")
    assert (guid.Data1, guid.Data2, guid.Data3) == (0x6BC82762, 0x4E63, 0x4CA4)
    assert bytes(guid.Data4).hex() == "aa851e50f321f6bf"
    assert str(guid) == "6BC82762-4E63-4CA4-AA85-1E50F321F6BF"


def test_the_function_list_holds_what_is_called() -> None:
    assert len(set(FUNCTIONS)) == len(FUNCTIONS)
    assert set(nvenc_api.SIGNATURES) <= set(FUNCTIONS)


def test_the_stubs_header_is_made_from_the_table() -> None:
    assert nvenc_layout.STUB.read_text() == nvenc_layout.stub(nvenc_layout.committed())


def test_the_table_is_the_headers_where_one_is_at_hand(table: dict[str, Any]) -> None:
    for header in _HEADERS:
        if header.is_file() and nvenc_layout.version_of(header) == nvenc_layout.wanted():
            assert nvenc_layout.ask(header) == table
            return
    pytest.skip(f"needs nvEncodeAPI.h of version {nvenc_layout.wanted()}; the table stands for it")
