"""What a `.pt` file that is cut short has lost: its pickle comes first, and is looked at without running it.

Only for messages: whatever is unexpected in it means that nothing is known.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

_HEADER_BYTES = 30  # of an entry in a zip file; its name's and extra field's lengths are the last two numbers
_SIZES = {"Float": 4, "BFloat16": 2, "Half": 2, "Double": 8, "Long": 8, "Int": 4, "Short": 2}
_LONGEST = 1 << 48  # values in one tensor
_MAX_BYTES = 16 << 20  # of a pickle: a network of 825 tensors has 0.1 MB
_MAX_OPCODES = 1_000_000  # the same network: 30,000


def lost(path: Path) -> tuple[int, list[str]] | None:
    """(bytes that the whole file has at least, names of tensors that are not whole, in the file's order), or
    None when its pickle does not tell. Raises OSError."""
    with path.open("rb") as file:
        header = file.read(_HEADER_BYTES)
        if len(header) < _HEADER_BYTES:
            return None
        name = file.read(int.from_bytes(header[26:28], "little"))
        if not name.endswith(b"data.pkl"):
            return None
        begin = file.seek(int.from_bytes(header[28:30], "little"), 1)
        pickle = io.BytesIO(file.read(_MAX_BYTES))
    try:
        storages = list(_storages(pickle))
    except Exception:  # pickletools on hostile bytes, or cut within the pickle
        return None
    end = begin + pickle.tell()
    size, names = path.stat().st_size, []
    for name_there, length in storages:  # torch.save writes storages in the order the pickle first names them
        end += length
        if end > size:
            names.append(name_there)
    return (end, names) if names else None


def _storages(file: IO[bytes]) -> Iterator[tuple[str, int]]:
    """(tensor's name, bytes of its storage) for each storage, as the pickle's opcodes name them.

    A tensor is its name, torch's function to rebuild it, and a persistent id: type, key, place and length."""
    memo: dict[Any, Any] = {}
    top: Any = None
    word, name, kind, number = "", "", "", 0
    keys: list[str] = []
    seen: set[str] = set()
    for opcode, argument, _ in islice(pickletools.genops(file), _MAX_OPCODES):
        match opcode.name:
            case "BINPUT" | "LONG_BINPUT":
                memo[argument] = top
                continue
            case "BINGET" | "LONG_BINGET":
                top = memo.get(argument)
            case "BINPERSID":
                if keys and keys[0] not in seen and 0 <= number < _LONGEST:
                    seen.add(keys[0])
                    yield name, number * _SIZES.get(kind, 1)
                top = None
            case "GLOBAL" | "BINUNICODE" | "SHORT_BINUNICODE" | "BININT" | "BININT1" | "BININT2" | "LONG1":
                top = (opcode.name, argument)
            case _:
                top = None
        match top:
            case ("GLOBAL", str(path)) if path.endswith(("_rebuild_tensor_v2", "_rebuild_parameter")):
                name = word
            case ("GLOBAL", str(path)) if path.endswith("Storage"):
                kind, keys = path.rpartition(" ")[2].removesuffix("Storage"), []
            case ("BINUNICODE" | "SHORT_BINUNICODE", str(text)):
                word = text
                keys.append(text)
            case (_, int(value)):
                number = value
