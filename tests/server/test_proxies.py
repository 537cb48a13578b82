"""Whom a request comes from: which proxies are believed, and in what."""

from __future__ import annotations

from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from server.errors import ConfigError
from server.proxies import Proxies


def ask(remote: str, *named: str, **headers: str) -> Any:
    given = CIMultiDict([("X-Forwarded-For", each) for each in named])
    given.update({name.replace("_", "-"): value for name, value in headers.items()})
    return make_mocked_request("GET", "/", given).clone(remote=remote)


@pytest.mark.parametrize(
    ("remote", "named", "address"),
    [
        ("127.0.0.1", ["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
        ("::1", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:127.0.0.1", ["203.0.113.9"], "203.0.113.9"),
        ("127.0.0.1", ["127.0.0.1"], "127.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("203.0.113.9", ["1.1.1.1"], "203.0.113.9"),  # anybody can say so
        ("10.0.0.5", ["1.1.1.1"], "10.0.0.5"),
        ("", ["1.1.1.1"], ""),
    ],
)
def test_a_proxy_on_this_machine_alone_is_believed(remote: str, named: list[str], address: str) -> None:
    assert Proxies().address_of(ask(remote, *named)) == address


@pytest.mark.parametrize(
    ("remote", "named", "address"),
    [
        ("10.0.0.5", ["203.0.113.9"], "203.0.113.9"),
        ("10.0.0.5", ["1.1.1.1, 203.0.113.9, 10.0.0.6"], "203.0.113.9"),  # two proxies, one behind the other
        ("10.0.0.5", ["1.1.1.1, 203.0.113.9", "10.0.0.6"], "203.0.113.9"),
        ("10.0.0.5", ["10.0.0.7, 10.0.0.6"], "10.0.0.7"),
        ("10.0.1.5", ["203.0.113.9"], "10.0.1.5"),
        ("127.0.0.1", ["203.0.113.9"], "127.0.0.1"),  # not in the list that was given
        ("fd00::5", ["2001:db8::1"], "2001:db8::1"),
        ("10.0.0.5", ["203.0.113.9:4711"], "203.0.113.9"),
        ("10.0.0.5", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.5", ["1.1.1.1, unknown"], "10.0.0.5"),
        ("10.0.0.5", ["1.1.1.1, unknown, 10.0.0.6"], "10.0.0.6"),
        ("10.0.0.5", [""], "10.0.0.5"),
    ],
)
def test_the_last_hop_that_is_not_trusted_counts(remote: str, named: list[str], address: str) -> None:
    assert Proxies(("10.0.0.0/24", "fd00::5")).address_of(ask(remote, *named)) == address


SAID = {"X_Forwarded_Proto": "https", "X_Forwarded_Host": "tv.test"}


@pytest.mark.parametrize(
    ("headers", "called"),
    [
        ({}, ("http", "a:80")),
        (SAID, ("https", "tv.test")),
        ({**SAID, "X_Forwarded_Host": "tv.test, inner:81"}, ("https", "tv.test")),
        ({**SAID, "X_Forwarded_Port": "8443"}, ("https", "tv.test:8443")),
        ({**SAID, "X_Forwarded_Port": "443"}, ("https", "tv.test")),
        ({**SAID, "X_Forwarded_Port": "nine"}, ("https", "tv.test")),
        ({**SAID, "X_Forwarded_Host": "tv.test:1", "X_Forwarded_Port": "2"}, ("https", "tv.test:1")),
        (
            {**SAID, "X_Forwarded_Host": "[2001:db8::1]", "X_Forwarded_Port": "2"},
            ("https", "[2001:db8::1]:2"),
        ),
        ({"X_Forwarded_Proto": "https, http"}, ("https", "a:80")),
        ({"X_Forwarded_Proto": "gopher"}, ("http", "a:80")),
    ],
)
def test_what_it_was_called_a_trusted_proxy_says_and_nobody_else(
    headers: dict[str, str], called: tuple[str, str]
) -> None:
    proxies = Proxies(("10.0.0.5",))
    assert proxies.called_as(ask("10.0.0.5", Host="a:80", **headers)) == called
    assert proxies.called_as(ask("10.0.0.6", Host="a:80", **headers)) == ("http", "a:80")


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("proxy.example", "no address or network"),
        ("10.0.0.0/33", "no address or network"),
        ("10.0.0.5/24", "write 10.0.0.0/24"),
        ("::ffff:10.0.0.0/104", "as IPv4"),
        ("0.0.0.0/0", "everybody"),
        ("::/0", "everybody"),
        ("*", "no address or network"),
    ],
)
def test_what_cannot_be_meant_is_refused(text: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy) as raised:
        Proxies(["127.0.0.1", text])
    assert "trusted_proxies" in str(raised.value)
    assert repr(text) in str(raised.value)
