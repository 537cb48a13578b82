"""What FFmpeg is told: everything in the script, nothing secret in the command."""

from __future__ import annotations

from server.srt.listen import command, script
from server.streams.types import SrtIn

SETTINGS = SrtIn(port=9000, passphrase="it's a 'secret'", latency_ms=200)


def test_the_passphrase_is_in_the_script_only() -> None:
    assert "secret" not in " ".join(command("/usr/bin/ffmpeg"))
    lines = script("127.0.0.1", SETTINGS).splitlines()
    assert "file 'srt://127.0.0.1:9000'" in lines
    assert "option passphrase 'it'\\''s a '\\''secret'\\'''" in lines
    assert "option latency '200000'" in lines
    assert "option format_whitelist 'mpegts'" in lines


def test_an_address_of_ipv6_is_in_brackets() -> None:
    assert "file 'srt://[::]:9000'" in script("::", SETTINGS)
