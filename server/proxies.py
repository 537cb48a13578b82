"""Whom a request comes from, and what the server was called: which proxies are believed in that.

The one place that reads what proxies say. Knows no routes, no keys."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable

from aiohttp import web

from server.errors import ConfigError
from server.streams.guesses import ip_of

TRUSTED = ("127.0.0.0/8", "::1")  # what runs on this machine
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_PORTS = {"http": "80", "https": "443"}
_NUMBER, _ENDS_IN_PORT = re.compile(r"[0-9]{1,5}"), re.compile(r":[0-9]*$")


class Proxies:
    """Those whose `X-Forwarded-For`, `-Proto`, `-Host` and `-Port` are believed."""

    def __init__(self, trusted: Iterable[str] = TRUSTED) -> None:
        """Raises ConfigError for what is no address or network."""
        self._networks = tuple(_network(text) for text in trusted)

    def address_of(self, request: web.Request) -> str:
        """Who called; where a trusted proxy did, whom it names: the last hop that is not trusted itself.

        What is left of that hop the caller may have made up."""
        address = request.remote or ""
        named = ",".join(request.headers.getall("X-Forwarded-For", ())).split(",")
        while named and self.trusts(address):
            hop = _bare(named.pop())
            if ip_of(hop) is None:  # nothing, or "unknown": who says so is all there is to count by
                break
            address = hop
        return address

    def called_as(self, request: web.Request) -> tuple[str, str]:
        """(http or https, host and port) by which the server was called; where a trusted proxy called it, as
        that says. The first of several names is meant: who asks alone reads it, and misleads nobody else."""
        scheme, host = request.scheme, request.host
        if not self.trusts(request.remote or ""):
            return scheme, host
        said = _first(request, "X-Forwarded-Proto").lower()
        scheme = said if said in _PORTS else scheme
        host = _first(request, "X-Forwarded-Host") or host
        port = _first(request, "X-Forwarded-Port")
        if _NUMBER.fullmatch(port) and port != _PORTS[scheme] and not _ENDS_IN_PORT.search(host):
            host = f"{host}:{port}"
        return scheme, host

    def trusts(self, address: str) -> bool:
        """Whether that is a proxy that is believed."""
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


def _first(request: web.Request, header: str) -> str:
    return request.headers.get(header, "").partition(",")[0].strip()


def _bare(hop: str) -> str:
    """Without the port that some proxies add: 192.0.2.1:4711, [2001:db8::1]:4711."""
    hop = hop.strip()
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop
