"""Which ICE candidates this host would offer, and which UDP ports media takes."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
from pathlib import Path

import aioice
from aiortc.rtcicetransport import connection_kwargs

from server.config import Config
from server.doctor.finding import Finding
from server.peer.privates.ice import ice_servers
from server.peer.types import IceServer

GATHER_S = 8.0  # aioice itself gives a server 5 s
_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
_BRIDGE = ipaddress.ip_network("172.16.0.0/12")  # Docker's own networks lie here
_CONTAINER = Path("/.dockerenv")


def candidates(config: Config) -> list[Finding]:
    """Gather them as a session would. Sends a request to each STUN and TURN server that is configured."""
    try:
        found = asyncio.run(gather(config.ice_servers))
    except ValueError as error:
        return [
            Finding(
                name="ICE servers",
                ok=False,
                detail=str(error),
                remedy="write stun:host:port or turn:host:port",
            )
        ]
    except (OSError, TimeoutError, aioice.stun.TransactionError) as error:
        found, trouble = [], f": {type(error).__name__} {error}".rstrip()
    else:
        trouble = ""
    return [_offered(found, trouble), *(_server(server, found) for server in config.ice_servers)]


async def gather(servers: tuple[IceServer, ...]) -> list[aioice.Candidate]:
    """The candidates of a connection, which is closed again. Raises ValueError for addresses that are none,
    TimeoutError, OSError."""
    connection = aioice.Connection(ice_controlling=False, **connection_kwargs(ice_servers(servers)))
    try:
        await asyncio.wait_for(connection.gather_candidates(), GATHER_S)
        return list(connection.local_candidates)
    finally:
        with contextlib.suppress(OSError, TimeoutError):
            await asyncio.wait_for(connection.close(), GATHER_S)


def _offered(found: list[aioice.Candidate], trouble: str) -> Finding:
    hosts = [candidate for candidate in found if candidate.type == "host"]
    shown = ", ".join(f"{candidate.type} {candidate.host}" for candidate in found)
    detail = f"{shown}; UDP ports {_ports()}, as the system chooses"
    remedy = f"connect this machine to a network: no browser elsewhere can reach it{trouble}"
    boxed = bool(hosts) and all(_behind_a_bridge(candidate.host) for candidate in found)
    if boxed:
        detail += "; all of them inside a container's own network"
        remedy = "start the container with network_mode: host, or name a TURN server under ice_servers"
    return Finding(
        name="ICE candidates",
        ok=bool(found) and not boxed,
        detail=detail if found else f"none{trouble}",
        remedy=remedy,
        needed=False,
        facts={
            "candidates": [
                {"type": candidate.type, "host": candidate.host, "transport": candidate.transport}
                for candidate in found
            ]
        },
    )


def _server(server: IceServer, found: list[aioice.Candidate]) -> Finding:
    url = ", ".join(server.urls)
    wanted = "relay" if url.startswith("turn") else "srflx"
    answered = [candidate.host for candidate in found if candidate.type == wanted]
    return Finding(
        name=f"ICE server {url}",
        ok=bool(answered),
        detail=f"gave {wanted} {', '.join(answered)}" if answered else f"gave no {wanted} candidate",
        remedy="check its address, credentials and the firewall: browsers behind NAT may need it",
        needed=False,
    )


def _behind_a_bridge(host: str) -> bool:
    return _CONTAINER.exists() and ipaddress.ip_address(host) in _BRIDGE


def _ports() -> str:
    try:
        low, high = _PORTS.read_text().split()
    except (OSError, ValueError):
        return "1024-65535"
    return f"{low}-{high}"
