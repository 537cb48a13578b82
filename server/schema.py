"""Owns the JSON Schema of the data channel, generated from server.protocol. Knows nothing of HTTP.

`python -m server.schema` writes server/protocol.schema.json, `--check` says whether the file is current;
the page's TypeScript types are generated from that file.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import msgspec

from server import protocol

SCHEMA_PATH = Path(__file__).with_name("protocol.schema.json")


def protocol_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) with `ClientMessage`, `ServerMessage` and every message under `$defs`."""
    unions = {"ClientMessage": protocol.ClientMessage, "ServerMessage": protocol.ServerMessage}
    schemas, components = msgspec.json.schema_components(unions.values(), ref_template="#/$defs/{name}")
    defs = {**components, **dict(zip(unions, schemas, strict=True))}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "relens data channel `edits`",
        "$defs": defs,
    }


def rendered() -> str:
    """The file's text: stable order, so that a diff shows what changed in the protocol."""
    return json.dumps(protocol_schema(), indent=2, sort_keys=True) + "\n"


def main(argv: list[str]) -> int:
    """Write the schema, or with `--check` return 1 when the file is not what the structs say."""
    if "--check" not in argv:
        SCHEMA_PATH.write_text(rendered(), encoding="utf-8")
        return 0
    if SCHEMA_PATH.exists() and SCHEMA_PATH.read_text(encoding="utf-8") == rendered():
        return 0
    print(f"{SCHEMA_PATH.name} is stale: run python -m server.schema and commit it", file=sys.stderr)
    return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
