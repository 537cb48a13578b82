"""Whether a model's files are what they should be: sizes, readable headers, sums. Remembers what it finds."""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gpu.checkpoints.catalogue import LargeModel
from gpu.checkpoints.fault import size_text
from gpu.checkpoints.pickled import check_zip
from gpu.checkpoints.progress import Progress
from gpu.checkpoints.records import Record
from gpu.checkpoints.store import Found, Store
from gpu.checkpoints.sums import checked, matches
from gpu.checkpoints.tensors import check_header
from gpu.errors import ModelError

_ZIP = b"PK\x03\x04"  # torch.save's files since 2020


@dataclass(frozen=True, slots=True)
class Verdict:
    """On one file. `fault`: what is wrong with it; "" for nothing. `sum_known`: it was held against a sum."""

    found: Found
    fault: str
    sum_known: bool = False


def verify(store: Store, model: LargeModel, progress: Progress) -> list[Verdict]:
    """Read every file of a model that is there. In our own place what is wrong is written down, so that
    the store no longer counts the file as there and a download fetches it again; what is right too."""
    return [_verify(store, model, found, progress) for found in store.look(model)]


def structure_fault(path: Path, model: str) -> str:
    """What is wrong with a file's headers, in one sentence with its remedy; "" for nothing. Reads little."""
    try:
        if path.suffix == ".safetensors":
            check_header(path, model)
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix in (".pt", ".pth"):
            with path.open("rb") as file:
                head = file.read(4)
            if head == _ZIP:
                check_zip(path, model)
            elif not head.startswith(b"\x80"):  # nor a pickle
                return f"{path} is no file of PyTorch's: it begins with {head!r}"
    except ModelError as exc:
        return str(exc)
    except (ValueError, RecursionError):
        return f"{path} is not JSON"
    except OSError as exc:
        return f"{path} cannot be read ({exc.strerror or exc})"
    return ""


def _verify(store: Store, model: LargeModel, found: Found, progress: Progress) -> Verdict:
    path, file = found.path, found.file
    if found.have_bytes is None:
        return Verdict(found, f"{path} is missing")
    if found.half:
        whole = f" of {size_text(found.expected_bytes)}" if found.expected_bytes else ""
        return Verdict(found, f"{path} is only half there: {size_text(found.have_bytes)}{whole}")
    record = store.records.get(file) if path == store.own_place(file) else None
    sha256, etag = file.sha256, ""
    if record is not None:
        sha256, etag = sha256 or record.sha256 or None, record.etag
    fault = ""
    if found.expected_bytes is not None and found.have_bytes != found.expected_bytes:
        fault = f"{path} has {found.have_bytes} bytes instead of {found.expected_bytes}"
    elif not found.have_bytes:
        fault = f"{path} is empty"
    fault = fault or structure_fault(path, model.name)
    if not fault:
        try:
            sums = checked(path, file.path, found.have_bytes, progress)
        except OSError as exc:
            return Verdict(found, f"{path} cannot be read ({exc.strerror or exc})")
        if differs := matches(sums, sha256, etag):
            fault = f"{path} was changed or damaged: {differs}"
        elif path == store.own_place(file):
            kept = record or Record(size_bytes=found.have_bytes)
            _write_down(store, found, kept, sha256=sums.sha256, fault="", fault_mtime_ns=0)
    if fault and path == store.own_place(file):
        record = record or Record(size_bytes=found.expected_bytes or found.have_bytes)
        with contextlib.suppress(OSError):  # it went meanwhile
            moment = path.stat().st_mtime_ns
            _write_down(store, found, record, fault="is damaged", fault_mtime_ns=moment)
    return Verdict(found, fault, sum_known=bool(sha256 or len(etag) in (40, 64)))


def _write_down(store: Store, found: Found, record: Record, **changes: str | int) -> None:
    changed = msgspec.structs.replace(record, **changes)
    if changed != store.records.get(found.file):
        store.records.put(found.file, changed)
