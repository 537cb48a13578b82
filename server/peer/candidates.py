"""Reads ICE candidates and trickled fragments of them. Pure text; what is of no use to us is passed over."""

from __future__ import annotations

import ipaddress
import re

from server.errors import ProtocolError

MAX_CANDIDATES = 64  # of one fragment, and of one ICE generation in all
_CREDENTIAL = re.compile(r"[\w+/\-]{4,256}", re.ASCII)
_FOUNDATION = re.compile(r"[\w+/]{1,32}", re.ASCII)


def parse_candidate(text: str) -> tuple[str, int, str, int, str, int, str] | None:
    """-> (foundation, component, transport, priority, host, port, type); None where we have no use for it."""
    bits = text.removeprefix("a=").removeprefix("candidate:").split()
    if len(bits) < 8 or bits[6] != "typ" or bits[7] not in ("host", "srflx", "prflx", "relay"):
        return None
    numbers = (bits[1], bits[3], bits[5])
    if not all(n.isascii() and n.isdigit() and len(n) <= 10 for n in numbers) or bits[2].lower() != "udp":
        return None
    component, priority, port = map(int, numbers)
    if component != 1 or not 0 < port <= 65535 or priority >= 2**32 or not _FOUNDATION.fullmatch(bits[0]):
        return None
    host = bits[4]
    if not re.fullmatch(r"[\w-]{1,64}\.local", host, re.ASCII):
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return None
        if address.is_multicast or address.is_unspecified:
            return None
    return bits[0], component, "udp", priority, host, port, bits[7]


def parse_fragment(text: str, max_bytes: int = 16384) -> tuple[str | None, list[str]]:
    """A trickle-ice-sdpfrag -> (its ufrag if named, candidate lines). Raises ProtocolError."""
    if len(text) > max_bytes or "\0" in text:
        raise ProtocolError(
            f"The candidates are longer than {max_bytes} bytes or no text; send a trickle-ice-sdpfrag."
        )
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if any(not re.match(r"[a-z]=|candidate:", line) for line in lines):
        raise ProtocolError(
            "These are no candidates; send lines of a=candidate as application/trickle-ice-sdpfrag."
        )
    ufrag = next((line[12:] for line in lines if line.startswith("a=ice-ufrag:")), None)
    found = [line for line in lines if line.startswith(("a=candidate:", "candidate:"))]
    return ufrag, found[:MAX_CANDIDATES]


def parse_password(text: str) -> str | None:
    """The ICE password of a fragment that restarts ICE; None where it names none.

    Raises ProtocolError for credentials that are none (RFC 8839 §5.4)."""
    lines = [line.strip() for line in text.splitlines()]
    pwd = next((line[10:] for line in lines if line.startswith("a=ice-pwd:")), None)
    ufrag = next((line[12:] for line in lines if line.startswith("a=ice-ufrag:")), "")
    if pwd is not None and not (
        _CREDENTIAL.fullmatch(ufrag) and _CREDENTIAL.fullmatch(pwd) and len(pwd) > 21
    ):
        raise ProtocolError(
            "The fragment's a=ice-ufrag and a=ice-pwd cannot be used; they are 4 and 22 characters or more."
        )
    return pwd
