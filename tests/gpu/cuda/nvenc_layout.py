"""What NVIDIA's header says of the structures and numbers relens uses, asked of the C compiler.

    python -m tests.gpu.cuda.nvenc_layout HEADER           compare HEADER (nvEncodeAPI.h) with the table
    python -m tests.gpu.cuda.nvenc_layout HEADER --write   make the table (nvenc_layout.json) anew
    python -m tests.gpu.cuda.nvenc_layout --stub           make stubs/nvenc_layout.h from the table

Names come from gpu/cuda/nvenc_structs.py and nvenc_constants.py; every number comes from the header, which is
NVIDIA's (MIT) and not part of this repository: Debian has one of some version as libffmpeg-nvenc-dev.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gpu.cuda import nvenc_constants
from gpu.cuda.nvenc_structs import STRUCTS

TABLE = Path(__file__).with_suffix(".json")
STUB = Path(__file__).parent / "stubs" / "nvenc_layout.h"


def numbers() -> dict[str, int | str]:
    """Name and value of every constant relens uses."""
    return {name: value for name, value in vars(nvenc_constants).items() if name.startswith("NV")}


def version_of(header: Path) -> tuple[int, int]:
    """The API version a header is of."""
    text = header.read_text(errors="replace")
    major, minor = (
        int(found[1]) if (found := re.search(rf"define NVENCAPI_{part}_VERSION\s+(\d+)", text)) else -1
        for part in ("MAJOR", "MINOR")
    )
    return major, minor


def wanted() -> tuple[int, int]:
    """The API version relens speaks."""
    return nvenc_constants.NVENCAPI_MAJOR_VERSION, nvenc_constants.NVENCAPI_MINOR_VERSION


def ask(header: Path) -> dict[str, Any]:
    """The table of a header. Raises CalledProcessError where the header lacks something."""
    lines = [
        "#include <stdio.h>",
        "#include <stddef.h>",
        "#include <string.h>",
        f'#include "{header.resolve()}"',
        "static void bits(const char *name, const unsigned char *raw, size_t size) {",
        "    long first = -1, count = 0;",
        "    for (size_t i = 0; i < size * 8; i++)",
        "        if (raw[i / 8] >> (i % 8) & 1) { if (first < 0) first = (long)i; count++; }",
        '    printf("bits %s %ld %ld\\n", name, first, count);',
        "}",
        "static void guid(const char *name, GUID g) {",
        '    printf("guid %s %08X-%04X-%04X-", name, g.Data1, g.Data2, g.Data3);',
        '    printf("%02X%02X-", g.Data4[0], g.Data4[1]);',
        '    for (int i = 2; i < 8; i++) printf("%02X", g.Data4[i]);',
        '    printf("\\n");',
        "}",
        "int main(void) {",
    ]
    for name, (kind, version) in STRUCTS.items():
        lines.append(f'    printf("struct {name} %zu\\n", sizeof({name}));')
        if version:
            lines.append(f'    printf("version {name} %u\\n", (unsigned){name}_VER);')
        for field, _, *width in kind._fields_:  # type: ignore[misc]
            if field.startswith("_"):
                continue
            if width:
                lines.append(f"    {{ {name} x; memset(&x, 0, sizeof x); x.{field} = ~0;")
                lines.append(f'      bits("{name}.{field}", (unsigned char *)&x, sizeof x); }}')
            else:
                lines.append(f'    printf("field {name}.{field} %zu\\n", offsetof({name}, {field}));')
    for name, value in numbers().items():
        if isinstance(value, str):
            lines.append(f'    guid("{name}", {name});')
        else:
            lines.append(f'    printf("number {name} %lld\\n", (long long){name});')
    lines += ["    return 0;", "}"]
    with tempfile.TemporaryDirectory() as folder:
        source, program = Path(folder) / "layout.c", Path(folder) / "layout"
        source.write_text("\n".join(lines))
        subprocess.run(["gcc", "-w", str(source), "-o", str(program)], check=True, timeout=60)
        printed = subprocess.run([program], check=True, timeout=60, capture_output=True, text=True).stdout
    return _table(printed)


def _table(printed: str) -> dict[str, Any]:
    structs: dict[str, Any] = {}
    constants: dict[str, int | str] = {}
    for line in printed.splitlines():
        kind, name, *values = line.split()
        if kind == "struct":
            structs[name] = {"size": int(values[0]), "fields": {}, "bits": {}}
        elif kind == "version":
            structs[name]["version"] = int(values[0])
        elif kind == "field":
            owner, field = name.split(".")
            structs[owner]["fields"][field] = int(values[0])
        elif kind == "bits":
            owner, field = name.split(".")
            structs[owner]["bits"][field] = [int(value) for value in values]
        else:
            constants[name] = values[0] if kind == "guid" else int(values[0])
    return {"structs": structs, "constants": constants}


def _written(table: dict[str, Any]) -> str:
    """JSON, one structure or number a line, so that a change shows in a diff."""
    parts = (
        f'"{part}": {{\n' + ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in each.items()) + "\n}"
        for part, each in table.items()
    )
    return "{\n" + ",\n".join(parts) + "\n}\n"


def stub(table: dict[str, Any]) -> str:
    """The table as C, for the fake library: where each field is, without NVIDIA's header."""
    out = ["/* Made by nvenc_layout.py --stub from nvenc_layout.json. */"]
    for name, struct in table["structs"].items():
        out.append(f"#define SIZE_{name} {struct['size']}")
        if "version" in struct:
            out.append(f"#define {name}_VER {struct['version']:#x}u")
        out += [f"#define AT_{name}__{field} {offset}" for field, offset in struct["fields"].items()]
        out += [f"#define BIT_{name}__{field} {first}" for field, (first, _) in struct["bits"].items()]
    for name, value in table["constants"].items():
        if isinstance(value, str):
            a, b, c, d, e = value.split("-")
            tail = ", ".join(f"0x{(d + e)[i : i + 2]}" for i in range(0, 16, 2))
            out.append(f"#define {name} {{0x{a}, 0x{b}, 0x{c}, {{{tail}}}}}")
        else:
            out.append(f"#define {name} {value}")
    return "\n".join(out) + "\n"


def committed() -> dict[str, Any]:
    """The table in the repository."""
    table: dict[str, Any] = json.loads(TABLE.read_text())
    return table


def main(arguments: list[str]) -> int:
    if arguments == ["--stub"]:
        STUB.write_text(stub(committed()))
        return 0
    if not arguments or set(arguments[1:]) - {"--write"}:
        print(__doc__)
        return 2
    header = Path(arguments[0])
    if version_of(header) != wanted():
        print(f"{header} is of API {version_of(header)}, the table of {wanted()}")
        return 2
    found = ask(header)
    if "--write" in arguments:
        TABLE.write_text(_written(found))
        return 0
    same = found == committed()
    print("equal to the committed table" if same else "differs from the committed table")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
