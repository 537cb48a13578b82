"""The few lines of SDP a bench touches: candidates bent to a relay, payload types. Text in, text out."""

from __future__ import annotations

import re

Address = tuple[str, int]
_CANDIDATE = re.compile(r"^a=candidate:\S+ 1 udp \d+ (\S+) (\d+) typ host", re.IGNORECASE)


def without_candidates(sdp: str) -> str:
    """An offer that names no address: the other end then learns ours from our checks, through the relay."""
    kept = [line for line in _lines(sdp) if not line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return "\r\n".join(kept) + "\r\n"


def host_address(sdp: str) -> Address:
    """The first IPv4 UDP host candidate. Raises ValueError when there is none."""
    for line in _lines(sdp):
        match = _CANDIDATE.match(line)
        if match and "." in match[1] and not match[1].endswith(".local"):
            return match[1], int(match[2])
    raise ValueError("no IPv4 UDP host candidate in the SDP: the relay has nowhere to send to")


def with_candidate(sdp: str, address: Address) -> str:
    """Put `address` in every media section in place of the candidates that are there."""
    line = f"a=candidate:1 1 udp 2130706431 {address[0]} {address[1]} typ host"
    out: list[str] = []
    for kept in _lines(without_candidates(sdp)):
        out.append(kept)
        if kept.startswith("a=ice-pwd:"):  # aiortc writes ICE lines per section, never at session level
            out += [line, "a=end-of-candidates"]
    return "\r\n".join(out) + "\r\n"


def video_payload_type(answer: str) -> int:
    """The payload type the agreed video codec is sent with. Raises ValueError without a video section."""
    for line in _lines(answer):
        if line.startswith("m=video"):
            return int(line.split()[3])
    raise ValueError("the answer has no video section")


def ice_credentials(sdp: str) -> tuple[str, str]:
    """(username fragment, password) of the first section. Raises ValueError when they are missing."""
    username, password = (
        next((line.partition(":")[2] for line in _lines(sdp) if line.startswith(key)), "")
        for key in ("a=ice-ufrag:", "a=ice-pwd:")
    )
    if not username or not password:
        raise ValueError("the SDP names no ICE credentials")
    return username, password


def _lines(sdp: str) -> list[str]:
    return [line for line in sdp.replace("\r\n", "\n").split("\n") if line]
