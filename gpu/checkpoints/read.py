"""Files of weights: reads tensors and nothing else. What a file is, its first bytes decide, not its ending.

Tensors are mapped from the file, not copied; nothing in a file is ever run. Knows no network's names.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from gpu.checkpoints.fault import first_few, tame, unusable
from gpu.checkpoints.pickled import read_legacy, read_zip
from gpu.checkpoints.tensors import read_safetensors

_ZIP = b"PK\x03\x04"
_LFS = b"version https://git-lfs"
_INDEX_ENDING = ".index.json"
_MAX_INDEX_BYTES = 64 << 20  # the largest known index, of 600 GB of weights, has 9 MB


def read(path: Path | str, model: str) -> dict[str, Any]:
    """What a checkpoint holds: names to torch tensors, or to further dicts of them.

    `path`: a file, an index of shards (`*.index.json`) or a folder that holds either. `model` is the name of
    what is expected there; only messages use it. Shards become one dict.
    Raises ModelError for whatever is no checkpoint: missing, empty, cut short, a web page, a file that asks
    to run code. Raises nothing else on any bytes."""
    path = Path(path)
    try:
        return _read(path, model)
    except OSError as exc:
        raise unusable(path, f"cannot be read ({exc.strerror or exc})", model) from exc


def _read(path: Path, model: str) -> dict[str, Any]:
    if path.is_dir():
        path = weights_in(path, model)
    if not path.exists():
        raise unusable(path, "is missing", model, f"Get it: relens models download {model}")
    if not path.is_file():  # opening a pipe would wait for its other end
        raise unusable(path, "is neither a file nor a folder", model)
    if path.name.endswith(_INDEX_ENDING):
        return _read_shards(path, model)
    with path.open("rb") as file:
        head = file.read(512)
    if not head:
        raise unusable(path, "is empty (0 bytes)", model)
    if head.startswith(_ZIP):
        return read_zip(path, model)
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 1 << 32:
        return read_safetensors(path, model)
    if head[:1] == b"\x80" and b"\x02" <= head[1:2] <= b"\x05":  # a pickle's protocol
        return read_legacy(path, model)
    raise unusable(path, _what_else(head), model)


def weights_in(folder: Path, model: str) -> Path:
    """The one file of weights in a folder: an index of shards if there is one, else the only file.

    Raises ModelError when there is none, or more than one to choose from."""
    for pattern in ("*.safetensors" + _INDEX_ENDING, "*.bin" + _INDEX_ENDING):
        if found := sorted(folder.glob(pattern)):
            break
    else:
        for endings in ((".safetensors",), (".pt", ".pth", ".bin", ".ckpt")):
            if found := sorted(file for file in folder.iterdir() if file.suffix in endings):
                break
    if not found:
        raise unusable(folder, "holds no weights (.safetensors, .pt, .pth, .bin)", model)
    if len(found) > 1:
        names = first_few([file.name for file in found])
        raise unusable(folder, f"holds {len(found)} files of weights ({names})", model, "Name one of them.")
    return found[0]


def _read_shards(index: Path, model: str) -> dict[str, Any]:
    """The tensors of every shard an index names, as one dict."""
    if index.stat().st_size > _MAX_INDEX_BYTES:
        raise unusable(index, f"is longer than any index of shards ({_MAX_INDEX_BYTES >> 20} MiB)", model)
    try:
        where = json.loads(index.read_bytes())["weight_map"]
        wanted = {str(name): str(file) for name, file in where.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as exc:
        raise unusable(index, "is no index of shards (no weight_map in it)", model) from exc
    names = sorted(set(wanted.values()))
    if outside := [name for name in names if Path(name).name != name or name in ("", ".", "..")]:
        raise unusable(index, f"names files outside its folder ({first_few(outside)})", model)
    if missing := [name for name in names if not (index.parent / name).is_file()]:
        raise unusable(index, f"names {len(missing)} files that are missing ({first_few(missing)})", model)
    tensors: dict[str, Any] = {}
    for shard in names:
        if shard.endswith(_INDEX_ENDING):
            raise unusable(index, f"names another index ({tame(shard)})", model)
        held = _read(index.parent / shard, model)
        if lacking := [name for name, file in wanted.items() if file == shard and name not in held]:
            raise unusable(
                index.parent / shard, f"lacks what its index promises: {first_few(lacking)}", model
            )
        tensors |= {name: held[name] for name, file in wanted.items() if file == shard}
    return tensors


def _what_else(head: bytes) -> str:
    """What a file that is no checkpoint seems to be."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        return "is a web page, not a checkpoint: a server answered with a page to log in or an error"
    if text.startswith(_LFS):
        return "is a pointer of Git LFS, not the file it points to"
    if text.startswith((b"{", b"[")):
        return "is JSON text, not a checkpoint"
    if not head.strip(b"\0"):
        return "begins with nothing but zeros: a download that was never finished"
    return f"is no checkpoint: it begins with {head[:8]!r}"
