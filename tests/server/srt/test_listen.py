"""What FFmpeg is told: everything in the script, nothing secret in the command."""

from __future__ import annotations

import msgspec
import pytest

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
    assert "option timeout '15000000'" in lines
    assert "option timeout '1500000'" in script("127.0.0.1", SETTINGS, 1.5)


def test_an_address_of_ipv6_is_in_brackets() -> None:
    assert "file 'srt://[::]:9000'" in script("::", SETTINGS)


@pytest.mark.parametrize(
    "passphrase", ["with&ampersand", "with%percent", "mit-Umlaut-ä", "plus+plus+plus", "short"]
)
def test_a_passphrase_that_no_encoder_could_say_in_its_url_is_refused(passphrase: str) -> None:
    """FFmpeg does not decode the passphrase of a URL (seen: %26 stays %26), but for the blank's +."""
    with pytest.raises(msgspec.ValidationError, match="passphrase"):
        msgspec.convert({"port": 9000, "passphrase": passphrase}, SrtIn)


def test_one_that_can_be_said_is_taken() -> None:
    assert msgspec.convert({"port": 9000, "passphrase": "ten letters-._~"}, SrtIn).passphrase
