"""`relens serve` in a process of its own for tests that speak to it from outside."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
READY_S = 60.0


@contextmanager
def plain_server(folder: Path, *flags: str) -> Iterator[tuple[str, Path]]:
    """(its base URL, its log). `folder`: its scratch."""
    log = folder / "server.log"
    environ = {name: value for name, value in os.environ.items() if not name.startswith("RELENS_")}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [
                sys.executable, "-m", "server", "serve", "--model", "passthrough", "--media", "cpu",
                "--data-dir", str(folder / "data"), "--port", "0", *flags,
            ],
            cwd=REPOSITORY, stdout=file, stderr=file, env=environ,
        )  # fmt: skip
    try:
        deadline_s = time.monotonic() + READY_S
        while not (found := re.search(r"(http://\S+?)/\s", log.read_text())):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        yield found[1].replace("localhost", "127.0.0.1"), log
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(20)
            raise
