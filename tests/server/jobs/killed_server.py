"""`relens serve` in a process of its own, with a model that is slow and changes each picture: to be killed.

Run as a program: the folder of what is kept, seconds a picture."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

REPOSITORY = Path(__file__).parents[3]
READY_S = 60.0


class Process:
    """One run of the server; its log goes to `log`, behind what earlier runs said."""

    def __init__(self, folder: Path, log: Path, step_s: float, *settings: str) -> None:
        self._log = log
        self._file = log.open("ab")
        begin = self._file.tell()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.server.jobs.killed_server", str(folder), str(step_s), *settings],
            cwd=REPOSITORY, stdout=self._file, stderr=self._file,
        )  # fmt: skip
        deadline_s = time.monotonic() + READY_S
        while not (found := re.search(rb"is ready: (http://\S+)/", log.read_bytes()[begin:])):
            assert self.process.poll() is None, log.read_bytes()[begin:].decode()
            assert time.monotonic() < deadline_s
            time.sleep(0.02)
        self.base = found[1].decode()
        while self.ask("/readyz").get("waitsFor"):  # on a busy machine it serves before films are there
            assert time.monotonic() < deadline_s, log.read_bytes()[begin:].decode()
            time.sleep(0.02)

    def ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        data = msgspec.json.encode(body) if body is not None else None
        request = urllib.request.Request(
            self.base + path, data, {"Content-Type": "application/json"} if data else {}
        )
        with urllib.request.urlopen(request, timeout=20) as reply:
            raw = reply.read()
        return msgspec.json.decode(raw) if reply.headers.get_content_type() == "application/json" else raw

    def until(self, job: str, state: str, seconds: float = 60.0) -> dict[str, Any]:
        deadline_s = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = self.ask(f"/jobs/{job}")
            if found["status"] == state:
                return found
            assert found["status"] in ("QUEUED", "RUNNING"), found
            assert time.monotonic() < deadline_s, (found, self._log.read_text()[-2000:])
            time.sleep(0.05)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait(20)
        self._file.close()


def main(words: Sequence[str]) -> int:
    from dataclasses import replace

    from gpu.models import passthrough
    from server.__main__ import main as relens

    folder, step_s = words[0], float(words[1])

    def step(model: Any, state: Any, chunk: Sequence[Any]) -> list[Any]:
        time.sleep(step_s)
        return [replace(frame, y=255 - frame.y) for frame in chunk]

    passthrough.PassthroughModel.step = step  # type: ignore[method-assign]
    settings = ["--data-dir", folder, "--model", "passthrough", "--media", "cpu", "--port", "0"]
    return relens(["serve", *settings, *words[2:]])


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
