"""What a child that pushes makes of a platform's words, and of its certificate."""

from __future__ import annotations

import socket
import ssl
import threading
from pathlib import Path

import pytest

from server.push.outputs import Refused, Unreachable, check_certificate, srt_words
from tests.server.push.certificates import self_signed


@pytest.mark.parametrize(
    ("said", "kind", "word"),
    [
        ("... REJECT reported from HS processing: Incorrect passphrase - ...", Refused, "passphrase"),
        ("connection rejected due to: peer rejected", Refused, "stream id"),
        ("Connection to srt://h:1 failed: Connection timed out", Unreachable, "nobody answers"),
        ("", Unreachable, "failed, or ended"),
    ],
)
def test_words_of_srt(said: str, kind: type[Exception], word: str) -> None:
    made = srt_words(said)
    assert isinstance(made, kind)
    assert word in str(made)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    found = ssl.get_default_verify_paths()
    if not (found.cafile or found.capath):
        pytest.skip("no authority is known on this machine")
    context = self_signed(tmp_path)

    def serve(listening: socket.socket) -> None:
        taken, _ = listening.accept()
        try:
            context.wrap_socket(taken, server_side=True).close()
        except OSError:
            taken.close()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        with pytest.raises(Refused, match="no key was sent"):
            check_certificate("127.0.0.1", listening.getsockname()[1])
        thread.join(10)


def test_a_port_that_nobody_listens_on_is_unreachable() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(Unreachable, match="cannot be reached"):
            check_certificate("127.0.0.1", unused.getsockname()[1])
