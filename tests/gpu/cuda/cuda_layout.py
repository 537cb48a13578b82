"""What NVIDIA's cuda.h says of functions, structure and numbers that relens uses, asked of the C compiler.

    python -m tests.gpu.cuda.cuda_layout FOLDER           compare FOLDER/cuda.h with the table
    python -m tests.gpu.cuda.cuda_layout FOLDER --write   make the table (cuda_layout.json) anew

Names come from gpu/cuda/driver_api.py; every number comes from the header, which is NVIDIA's and not part of
this repository: it comes with the CUDA toolkit.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from gpu.cuda.driver_api import FUNCTIONS, Copy2D

TABLE = Path(__file__).with_suffix(".json")
CONSTANTS = (
    "CUDA_VERSION", "CU_MEMORYTYPE_HOST", "CU_MEMORYTYPE_DEVICE", "CU_STREAM_NON_BLOCKING",
    "CU_EVENT_DISABLE_TIMING", "CU_STREAM_CAPTURE_MODE_RELAXED", "CU_MEMHOSTALLOC_PORTABLE",
    "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR", "CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR",
)  # fmt: skip
# The header of CUDA 13 gives the newer of two symbols of one signature; the older is in every driver.
_ALIASES = {"cuEventElapsedTime": "cuEventElapsedTime_v2"}


def ask(folder: Path) -> dict[str, Any]:
    """The table of a header. Raises CalledProcessError, KeyError where the header lacks something."""
    include = f"-I{folder}"
    command = ["gcc", "-E", "-P", include, "-include", "cuda.h", "-x", "c", "/dev/null"]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    prototypes = dict(re.findall(r"CUresult\s+(\w+)\s*\(([^)]*)\)", text))
    errors = sorted(set(re.findall(r"\b(CUDA_ERROR_\w+|CUDA_SUCCESS)\s*=", text)))
    lines = ["#include <stddef.h>", "#include <stdio.h>", "#include <cuda.h>", "int main(void) {"]
    for name in FUNCTIONS:
        kinds = [_kind(argument) for argument in prototypes[_ALIASES.get(name, name)].split(",")]
        sizes = ", ".join(f"sizeof({kind})" for kind in kinds)
        form = " ".join("%zu" for _ in kinds)
        lines.append(f'    printf("function {name} {form}\\n", {sizes});')
    for field, *_ in Copy2D._fields_:
        lines.append(f'    printf("field {field} %zu\\n", offsetof(CUDA_MEMCPY2D, {field}));')
    lines.append('    printf("field sizeof %zu\\n", sizeof(CUDA_MEMCPY2D));')
    lines += [f'    printf("number {name} %d\\n", (int){name});' for name in (*CONSTANTS, *errors)]
    lines.append("}")
    table: dict[str, Any] = {"function": {}, "field": {}, "number": {}}
    with tempfile.TemporaryDirectory() as work:
        source, program = Path(work) / "ask.c", Path(work) / "ask"
        source.write_text("\n".join(lines), encoding="utf-8")
        subprocess.run(["gcc", include, str(source), "-o", str(program)], check=True, timeout=60)
        said = subprocess.run([str(program)], capture_output=True, text=True, check=True, timeout=60).stdout
    for line in said.splitlines():
        what, name, *values = line.split()
        table[what][name] = [int(value) for value in values] if what == "function" else int(values[0])
    return table


def _kind(argument: str) -> str:
    """A parameter's type without its name; an array is a pointer."""
    words = re.sub(r"\[\w*\]", "", argument).strip()
    return re.sub(r"\b\w+$", "", words).strip() or words


def committed() -> dict[str, Any]:
    """The table in the repository."""
    table: dict[str, Any] = json.loads(TABLE.read_text(encoding="utf-8"))
    return table


def main(words: list[str]) -> int:
    found = ask(Path(words[0]))
    if "--write" in words:
        TABLE.write_text(json.dumps(found, indent=0) + "\n", encoding="utf-8")
        return 0
    if found == committed():
        return 0
    print(f"{TABLE.name} is not what {words[0]}/cuda.h says", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
