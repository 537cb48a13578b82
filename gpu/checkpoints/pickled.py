"""PyTorch's own files (`.pt`, `.pth`, `.bin`): a zip of storages and a pickle; before 2020, pickles alone.

Always `weights_only=True`: a pickle may name torch's tensors and plain containers; nothing else is called.
"""

from __future__ import annotations

import re
import warnings
import zipfile
from pathlib import Path
from typing import Any

from gpu.checkpoints.cut import lost
from gpu.checkpoints.fault import first_few, size_text, tame, unusable
from gpu.checkpoints.needs import need
from gpu.errors import ModelError

_LOCAL_HEADER_BYTES = 30  # of an entry in a zip file (APPNOTE 4.3.7)
_MAX_PICKLE_BYTES = 64 << 20  # names and shapes alone: 14B parameters take 0.3 MB
_SAFE = "Get it as .safetensors, or from whoever made it without anything but tensors."
_REFUSED = re.compile(
    r"GLOBAL ([\w.]+)"
)  # in what weights_only's unpickler says of a callable it does not call


def read_zip(path: Path, model: str) -> dict[str, Any]:
    """The dict that `torch.save` wrote, its tensors mapped from the file. Raises ModelError."""
    check_zip(path, model)
    return _load(path, model, mmap=True)


def read_legacy(path: Path, model: str) -> dict[str, Any]:
    """The same of a file older than the zip format, which cannot be mapped: it is read whole."""
    return _load(path, model, mmap=False)


def check_zip(path: Path, model: str) -> None:
    """Every record lies uncompressed within the file: mapping then never touches a page that is not there.

    Needs no torch. Raises ModelError, OSError."""
    size = path.stat().st_size
    try:
        with zipfile.ZipFile(path) as archive:
            records = archive.infolist()
    except OSError:
        raise
    except Exception as exc:  # BadZipFile, and whatever hostile bytes make it raise
        why = f"is cut short or damaged: {size_text(size)} are there, and no list of contents at the end"
        if gone := lost(path):
            whole = f"{size_text(size)} of at least {size_text(gone[0])}"
            why = f"is cut short: {whole} are there. Lost: {first_few(gone[1])}"
        raise unusable(path, why, model) from exc
    names = {record.filename.rpartition("/")[2] for record in records}
    if "constants.pkl" in names:
        raise unusable(path, "is a TorchScript program, not weights", model)
    if "data.pkl" not in names:
        raise unusable(path, "is a zip archive, but not one of PyTorch's", model)
    for record in records:
        end = record.header_offset + _LOCAL_HEADER_BYTES + record.file_size
        if record.compress_type != zipfile.ZIP_STORED or record.compress_size != record.file_size:
            raise unusable(
                path, f"has a compressed record ({tame(record.filename)}): PyTorch writes none", model
            )
        if record.header_offset < 0 or end > size:
            raise unusable(
                path, f"is cut short: {tame(record.filename)} would end at byte {end} of {size}", model
            )
        if record.filename.endswith(".pkl") and record.file_size > _MAX_PICKLE_BYTES:
            why = f"describes its tensors in {size_text(record.file_size)}: far more than any network's names"
            raise unusable(path, why, model)
    if sum(record.file_size for record in records) > size:
        raise unusable(path, "has records that overlap", model)


def _load(path: Path, model: str, mmap: bool) -> dict[str, Any]:
    torch = need("torch")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # deprecations of how the file was written are nobody's business
            held = torch.load(path, map_location="cpu", weights_only=True, mmap=mmap)
    except OSError:
        raise
    except Exception as exc:  # hostile bytes make torch's unpickler raise anything
        raise _refusal(path, model, exc) from exc
    if not isinstance(held, dict):
        raise unusable(path, f"holds a {type(held).__name__}, not tensors by name", model)
    return held


def _refusal(path: Path, model: str, exc: Exception) -> ModelError:
    """torch's own words end with how to run the file's code after all: ours do not."""
    if found := _REFUSED.search(str(exc)):
        why = f"asks to run code when it is opened ({tame(found.group(1))}), which relens never does"
        return unusable(path, why, model, _SAFE)
    if "torch.distributed" in str(exc):
        return unusable(path, "holds one process's share of each tensor (DTensor)", model, _SAFE)
    reason = str(exc).rpartition("WeightsUnpickler error: ")[2].strip().partition("\n")[0]
    if not reason or "weights_only" in reason:
        reason = type(exc).__name__
    return unusable(path, f"is damaged, or no file of torch.save ({tame(reason)})", model)
