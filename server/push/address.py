"""What a target's URL may be, and what of it may be shown. Pure; opens nothing.

Loopback and private addresses are allowed: targets are an operator's own word, and OBS, a recorder or
MediaMTX on the same machine are what many push to.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, urlsplit

from server.errors import ProtocolError

SCHEMES = ("rtmp", "rtmps", "srt")
SRT_OPTIONS = (
    "streamid",
    "passphrase",
    "pbkeylen",
    "latency",
)  # libavformat/libsrt.c; latency in microseconds
_PORTS = {"rtmp": 1935, "rtmps": 443}
_PLAIN = re.compile(r"[\x21-\x7e]+", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,251}[A-Za-z0-9])?|[0-9A-Fa-f:.]{2,45}", re.ASCII)
_MOST_OPTION = 512  # characters: libsrt's longest, the stream id


class BadTarget(ProtocolError):
    """A target's URL that cannot be pushed to; says the remedy and nothing of the key."""

    code = "bad-target"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to. `url` and `options` hold the key: they go to the child by its pipe, and nowhere else."""

    scheme: str
    host: str
    port: int
    url: str = field(repr=False)
    options: tuple[tuple[str, str], ...] = field(default=(), repr=False)  # of SRT


def read_address(url: str) -> Address:
    """Raises BadTarget."""
    if not _PLAIN.fullmatch(url):
        raise BadTarget("the target's URL is empty, or has blanks or other characters: copy it once more")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadTarget(
            "the target's URL has no readable host and port: write rtmp://host/app/key"
        ) from error
    if parts.scheme not in SCHEMES:
        raise BadTarget(f"a target begins with {', '.join(f'{each}://' for each in SCHEMES)}: change its URL")
    host = parts.hostname or ""
    if parts.username is not None or not _HOST.fullmatch(host):
        raise BadTarget(
            "the target's URL has no plain host (and no user before it): write rtmp://host/app/key"
        )
    if parts.scheme == "srt":
        return _srt(parts, host, port)
    if len([each for each in parts.path.split("/") if each]) < 2:
        raise BadTarget("an RTMP target needs an app and a stream key: write rtmp://host/app/key")
    return Address(parts.scheme, host, port or _PORTS[parts.scheme], url)


def _srt(parts: SplitResult, host: str, port: int | None) -> Address:
    if not port:
        raise BadTarget("an SRT target needs a port: write srt://host:port?streamid=…")
    # "+" is a plus in what platforms hand out, not a blank
    options = parse_qsl(parts.query.replace("+", "%2B"), keep_blank_values=True)
    unknown = sorted({name for name, _ in options} - {*SRT_OPTIONS, "mode"})
    if unknown:
        raise BadTarget(f"an SRT target takes {', '.join(SRT_OPTIONS)}: take {', '.join(unknown)[:80]} out")
    if dict(options).get("mode", "caller") != "caller":
        raise BadTarget("relens calls an SRT target: let the other side listen, and take mode= out")
    kept = tuple((name, value) for name, value in options if name != "mode")
    for name, value in kept:
        if not value or len(value) > _MOST_OPTION or not value.isprintable():
            raise BadTarget(f"the SRT target's {name} is empty, too long or not printable: copy it once more")
        if name == "passphrase" and not 10 <= len(value.encode()) <= 79:
            raise BadTarget("an SRT passphrase has 10 to 79 characters: change it on both sides")
        if name in ("latency", "pbkeylen") and not (value.isdecimal() and len(value) <= 9):
            raise BadTarget(f"the SRT target's {name} is no number: write digits")
    shown = f"[{host}]" if ":" in host else host
    return Address("srt", host, port, f"srt://{shown}:{port}?mode=caller", kept)


def shown_host(url: str) -> str:
    """All that is told of a URL, also of a bad one; "" where that is nothing."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    return host if _HOST.fullmatch(host) else ""


def secrets_of(address: Address) -> list[str]:
    """Pieces of it that no message may hold, longest first."""
    parts = urlsplit(address.url)
    pieces = [parts.path.strip("/"), parts.query, *parts.path.split("/"), *re.split(r"[&=]", parts.query)]
    pieces += [value for _, value in address.options]
    return sorted({each for each in pieces if len(each) >= 4 and each != "caller"}, key=len, reverse=True)


def without_secrets(text: str, secrets: list[str]) -> str:
    """`text` made fit to be shown: one printable line of at most 200 characters."""
    for secret in secrets:
        text = text.replace(secret, "…")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())[:200]
