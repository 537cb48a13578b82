"""The address that a server is called by, made the ones that are copied."""

from __future__ import annotations

import pytest

from server.stream_setup import base_of, setup_of
from server.streams.types import SrtIn, StreamSettings


@pytest.mark.parametrize(
    ("called", "base", "host"),
    [
        (("http", "relens.test"), "http://relens.test", "relens.test"),
        (("https", "192.0.2.1:8080"), "https://192.0.2.1:8080", "192.0.2.1"),
        (("http", "[2001:db8::1]:8080"), "http://[2001:db8::1]:8080", "[2001:db8::1]"),
        (("http", "[::"), "http://localhost", "localhost"),
        (("http", "a:port"), "http://localhost", "localhost"),
        (("http", ""), "http://localhost", "localhost"),
    ],
)
def test_the_name_is_the_one_that_was_called(called: tuple[str, str], base: str, host: str) -> None:
    assert base_of(*called) == (base, host)


def test_every_address_has_it() -> None:
    settings = StreamSettings(key="its-own-key", srt=SrtIn(port=9000, passphrase="ten letters"))
    made = setup_of(("https", "tv.test:8443"), "live", settings, 1935, "")
    assert made.whip_url == "https://tv.test:8443/whip/live"
    assert made.rtmp_url == "rtmp://tv.test:1935/live/live?key=its-own-key"
    assert made.srt_url.startswith("srt://tv.test:9000?")
