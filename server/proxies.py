"""Whom a request comes from: the proxies that are believed, and whom they name. Knows no routes, no keys."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable

from aiohttp import web

from server.errors import ConfigError
from server.streams.guesses import ip_of

TRUSTED = ("127.0.0.0/8", "::1")  # what runs on this machine
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Proxies:
    """Those whose `X-Forwarded-For` is believed."""

    def __init__(self, trusted: Iterable[str] = TRUSTED) -> None:
        """Raises ConfigError for what is no address or network."""
        self._networks = tuple(_network(text) for text in trusted)

    def address_of(self, request: web.Request) -> str:
        """Who called; where a trusted proxy did, whom it names: the last hop that is not trusted itself.

        What is left of that hop the caller may have made up."""
        address = request.remote or ""
        named = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        while named and self._trusts(address):
            hop = _bare(named.pop())
            if ip_of(hop) is None:  # nothing, or "unknown": who says so is all there is to count by
                break
            address = hop
        return address

    def _trusts(self, address: str) -> bool:
        found = ip_of(address)
        return found is not None and any(found in network for network in self._networks)


def _network(text: str) -> Network:
    try:
        made = ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise ConfigError(
            f"trusted_proxies: {text!r} is no address or network: write 10.0.0.5, 10.0.0.0/24 or fd00::/64"
        ) from error
    if isinstance(made, ipaddress.IPv6Network) and made.network_address.ipv4_mapped:
        raise ConfigError(f"trusted_proxies: {text!r} is IPv4 within IPv6: write it as IPv4")
    if ip_of(text.partition("/")[0]) != made.network_address:  # 10.0.0.5/8: the one, or all of them?
        raise ConfigError(f"trusted_proxies: {text!r} is an address and a network: write {made}, or no /")
    if made.prefixlen == 0:
        raise ConfigError(
            f"trusted_proxies: {text!r} is everybody, and anybody could name any address: write the proxy's"
        )
    return made


def _bare(hop: str) -> str:
    """Without the port that some proxies add: 192.0.2.1:4711, [2001:db8::1]:4711."""
    hop = hop.strip()
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
