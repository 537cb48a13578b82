"""xet's stream: hf_xet itself against a server that never answers; by its names, what needs a real one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("huggingface_hub")
hf_xet = pytest.importorskip("hf_xet")

from huggingface_hub.utils import _xet  # noqa: E402

from gpu.checkpoints.xet import AHEAD, XetSilent, xet_bytes  # noqa: E402

HASH = "ab" * 32
ROOT = Path(__file__).resolve().parents[3]


class BlackHole:
    """Accepts, reads, says nothing. `asked`: what it was sent."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked: list[bytes] = []
        self.was_asked = threading.Event()
        self._held: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, name="black-hole")
        self._thread.start()

    def _accept(self) -> None:
        while True:
            try:
                held, _ = self._listener.accept()
            except OSError:
                return
            held.settimeout(10)
            self._held.append(held)
            self.asked.append(held.recv(4096))
            self.was_asked.set()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for held in self._held:
            held.close()
        self._thread.join(10)


@pytest.fixture
def black_hole() -> Iterator[BlackHole]:
    hole = BlackHole()
    yield hole
    hole.close()


def linked(monkeypatch: pytest.MonkeyPatch, url: str) -> _xet.XetFileData:
    """Without asking the hub for a token."""
    link = _xet.XetConnectionInfo(
        access_token="t", expiration_unix_epoch=int(time.time()) + 3600, endpoint=url
    )
    monkeypatch.setattr(_xet, "refresh_xet_connection_info", lambda **_: link)
    return _xet.XetFileData(HASH, f"{url}/token")


def test_a_silent_server_is_given_up_and_was_asked_for_the_rest_alone(
    black_hole: BlackHole, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = xet_bytes(linked(monkeypatch, black_hole.url), 1_000_000, 400, silence_s=1.0)
    with pytest.raises(XetSilent):
        next(chunks)
    assert black_hole.asked[0].startswith(f"GET /v2/reconstructions/{HASH}".encode())
    assert b"range: bytes=400-999999" in black_hole.asked[0]
    assert not [thread for thread in threading.enumerate() if thread.name == "relens-download-xet"]


def test_ctrl_c_ends_the_wait(black_hole: BlackHole) -> None:
    """hf_xet alone would wait on."""
    script = f"""
import time
from huggingface_hub.utils import _xet
link = _xet.XetConnectionInfo(
    access_token="t", expiration_unix_epoch=int(time.time()) + 3600, endpoint={black_hole.url!r})
_xet.refresh_xet_connection_info = lambda **_: link
from gpu.checkpoints.xet import xet_bytes
try:
    next(xet_bytes(_xet.XetFileData({HASH!r}, {black_hole.url!r}), 1000, 0, silence_s=60.0))
except KeyboardInterrupt:
    print("stopped", flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, env=os.environ, stdout=subprocess.PIPE, text=True
    )
    try:
        assert black_hole.was_asked.wait(40)
        time.sleep(0.2)  # for it to wait
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
        assert out == "stopped\n"
        assert process.returncode == 0
        assert time.monotonic() - began < 20
    finally:
        process.kill()


class Session:
    """In the place of hf_xet's, for what its server would have to be there for."""

    def __init__(self, chunks: Any) -> None:
        self._chunks, self.aborted = chunks, threading.Event()
        self.given: dict[str, Any] = {}

    def new_download_stream_group(self, **given: Any) -> Session:
        self.given.update(given)
        return self

    def download_stream(self, info: Any, start: int | None = None) -> Generator[bytes, None, None]:
        self.given.update(hash=info.hash, size=info.file_size, start=start)
        yield from self._chunks

    def abort(self) -> None:
        self.aborted.set()


def test_chunks_come_in_order_and_few_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def chunks() -> Generator[bytes, None, None]:
        for number in range(100):
            made.append(number)
            yield bytes([number])

    session = Session(chunks())
    data = linked(monkeypatch, "http://nowhere")
    monkeypatch.setattr(_xet, "get_xet_session", lambda: session)
    received = xet_bytes(data, 100, 0, silence_s=5.0)
    assert next(received) == b"\x00"
    time.sleep(0.3)
    assert len(made) <= AHEAD + 3
    assert b"".join(received) == bytes(range(1, 100))
    assert session.aborted.is_set()
    assert (session.given["hash"], session.given["size"], session.given["start"]) == (HASH, 100, 0)
    for name in session.given.keys() - {"hash", "size", "start"}:
        assert name in hf_xet.XetSession.new_download_stream_group.__text_signature__


def test_closing_ends_the_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    session = Session(bytes(10) for _ in range(10_000))
    data = linked(monkeypatch, "http://nowhere")
    monkeypatch.setattr(_xet, "get_xet_session", lambda: session)
    received = xet_bytes(data, 100_000, 0, silence_s=5.0)
    next(received)
    received.close()
    assert session.aborted.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "relens-download-xet"]


def test_an_error_of_the_stream_is_the_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    def chunks() -> Generator[bytes, None, None]:
        yield b"abc"
        raise RuntimeError("CAS is down")

    data = linked(monkeypatch, "http://nowhere")
    monkeypatch.setattr(_xet, "get_xet_session", lambda: Session(chunks()))
    received = xet_bytes(data, 100, 0, silence_s=5.0)
    assert next(received) == b"abc"
    with pytest.raises(RuntimeError, match="CAS is down"):
        next(received)
