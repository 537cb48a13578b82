"""tus-js-client, as the page uses it, against a running server: broken off, gone on with, and asked again."""

from __future__ import annotations

import json
import subprocess
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.gpu.film.small_film import make_film
from tests.server.plain_server import REPOSITORY, plain_server

WEB = REPOSITORY / "web"


def _ask(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as reply:
        return json.load(reply)


@pytest.mark.timeout(120)
@pytest.mark.skipif(
    not (WEB / "node_modules" / "tus-js-client").is_dir(), reason="npm ci in web/ has not been run"
)
def test_the_pages_client_breaks_off_and_goes_on(tmp_path: Path) -> None:
    film = make_film(tmp_path / "film.mp4", 50, size=(320, 240))
    size = film.stat().st_size
    piece = size // 3 + 1
    with plain_server(tmp_path) as (base, log):
        ran = subprocess.run(
            [
                "bash", REPOSITORY / ".ci/with_node", "node", REPOSITORY / "tests/web/tus_client.mjs",
                WEB / "package.json", f"{base}/files", film, str(piece),
            ],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr + log.read_text()
        told = json.loads(ran.stdout.splitlines()[-1])
        assert told["broken"] == told["offset"] == piece
        assert told["expires"].endswith("GMT")
        assert told["chunks"] == [2 * piece, size]  # nothing twice
        assert told["same"]
        assert told["again"]
        deadline_s = time.monotonic() + 30
        while (video := _ask(f"{base}/videos/{told['video']}"))["state"] == "checking":
            assert time.monotonic() < deadline_s
            time.sleep(0.05)
        assert (video["state"], video["name"], video["bytes"]) == ("ready", "node.mp4", size)
        assert len(_ask(f"{base}/videos")["videos"]) == 1
