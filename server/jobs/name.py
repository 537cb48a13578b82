"""A name for this process that the next takes over: what a killed server held is given back at once."""

from __future__ import annotations

import fcntl
import os
import re
import socket
from pathlib import Path

MOST = 64  # servers on one folder
_HOST_CHARS = 40


class WorkerName:
    """The first of a folder's numbered names that no living process has. The system frees it when the process
    ends, however it ends. Raises OSError where the folder cannot be written."""

    def __init__(self, folder: Path) -> None:
        host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())[:_HOST_CHARS]
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(MOST):
            file = os.open(folder / f"worker-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(file)
                continue
            self._file: int | None = file
            self.text = f"{host}/{os.fstat(file).st_ino}-{number}"  # another folder's names are others
            return
        raise OSError(f"{MOST} servers use {folder} already")

    def of(self, number: int) -> str:
        """Of this process's worker `number`."""
        return f"{self.text}/{number}"

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None
