"""The address that a server is called by, read off a request: host, port, proxy, and what is none of them."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import make_mocked_request

from server.stream_setup import base_of


@pytest.mark.parametrize(
    ("headers", "base", "host"),
    [
        ({"Host": "relens.test"}, "http://relens.test", "relens.test"),
        ({"Host": "192.0.2.1:8080"}, "http://192.0.2.1:8080", "192.0.2.1"),
        ({"Host": "[2001:db8::1]:8080"}, "http://[2001:db8::1]:8080", "[2001:db8::1]"),
        ({"Host": "a:80", "X-Forwarded-Proto": "https, http"}, "https://a:80", "a"),
        ({"Host": "a:80", "X-Forwarded-Proto": "gopher"}, "http://a:80", "a"),
        ({"Host": "a", "X-Forwarded-Host": "tv.test, b"}, "http://tv.test", "tv.test"),
        ({"Host": "[::"}, "http://localhost", "localhost"),
        ({"Host": "a:port"}, "http://localhost", "localhost"),
    ],
)  # fmt: skip
def test_the_name_is_the_one_that_was_called(headers: dict[str, str], base: str, host: str) -> None:
    assert base_of(make_mocked_request("GET", "/streams/live/setup", headers=headers)) == (base, host)
