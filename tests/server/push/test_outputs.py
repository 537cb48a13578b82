"""What a child that pushes makes of a platform's words."""

from __future__ import annotations

import re

import pytest

from server.push.outputs import Refused, Unreachable, rtmp_words, srt_words


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


@pytest.mark.parametrize(
    ("error", "said", "kind", "word"),
    [
        (EOFError(), ["Server error: bad key", "All tee outputs failed."], Refused, "bad key"),
        (
            OSError(5, "I/O"),
            ["Peer certificate failed verification"],
            Refused,
            "not valid .*: no key was sent",
        ),
        (ConnectionRefusedError(), ["Cannot open connection tls://h:1"], Unreachable, "nobody listens"),
        (OSError(5, "I/O"), ["Cannot open connection tls://h:1"], Unreachable, "cannot be reached"),
        (BrokenPipeError(), [], Unreachable, "closed"),
        (OSError(5, "I/O"), [], Unreachable, "broke off .I/O."),
    ],
)
def test_words_of_rtmp(error: OSError, said: list[str], kind: type[Exception], word: str) -> None:
    made = rtmp_words(error, said)
    assert isinstance(made, kind)
    assert re.search(word, str(made))
