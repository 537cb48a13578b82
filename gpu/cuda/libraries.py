"""Where the NVIDIA driver's three libraries are looked up and opened; nothing else opens one.

Nothing is opened before it is asked for. A folder in `RELENS_NVIDIA_LIBRARIES` goes first: containers that
mount the driver elsewhere, and tests with libraries of their own.
"""

from __future__ import annotations

import ctypes
import os
import sys
import threading
from pathlib import Path
from typing import Literal

from gpu.errors import DeviceError

Name = Literal["cuda", "nvcuvid", "nvidia-encode"]

FOLDER_VARIABLE = "RELENS_NVIDIA_LIBRARIES"
_CAPABILITY = {"cuda": "compute", "nvcuvid": "video", "nvidia-encode": "video"}

_opened: dict[tuple[str, str], ctypes.CDLL] = {}
_lock = threading.Lock()


def open_library(name: Name) -> ctypes.CDLL:
    """One of the driver's libraries, opened once a process; calls into it release the interpreter's lock.

    Raises DeviceError with the remedy where it is missing or cannot be loaded.
    """
    folder = os.environ.get(FOLDER_VARIABLE, "")
    with _lock:
        found = _opened.get((folder, name))
        if found is None:
            found = _opened[folder, name] = _open(name, folder)
        return found


def forget() -> None:
    """Look libraries up anew at the next call (tests); what is open stays open for those who hold it."""
    with _lock:
        _opened.clear()


def _open(name: Name, folder: str) -> ctypes.CDLL:
    broken: list[str] = []
    for path in _paths(name, folder):
        try:
            return ctypes.CDLL(path)
        except OSError as error:
            if "No such file" not in str(error):
                broken.append(str(error))
    why = f"cannot be opened ({'; '.join(broken)})" if broken else "is not on this machine"
    raise DeviceError(
        f"the driver's library {_soname(name)} {why}: install NVIDIA's driver; start a container with --gpus "
        f"all and NVIDIA_DRIVER_CAPABILITIES=compute,video,utility (it comes with {_CAPABILITY[name]!r})"
    )


def _paths(name: Name, folder: str) -> list[str]:
    paths = [_soname(name)]
    if sys.platform == "linux":
        paths.append(f"/usr/lib/wsl/lib/{_soname(name)}")  # Windows' own driver, as WSL 2 shows it
    if folder:
        return [str(Path(folder) / _soname(name)), *paths]
    return paths


def _soname(name: Name) -> str:
    if sys.platform == "win32":
        return {"cuda": "nvcuda.dll", "nvcuvid": "nvcuvid.dll", "nvidia-encode": "nvEncodeAPI64.dll"}[name]
    return f"lib{name}.so.1"
