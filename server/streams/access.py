"""Who may do what with streams: the operator, who holds a stream's key, who watches. Knows no routes.

Wrong keys are counted by address: who tries many is not heard for a while, with whatever key.
"""

from __future__ import annotations

import hmac
import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Iterable
from urllib.parse import urlsplit

from aiohttp import web

from server.config import Config
from server.errors import NoKey, TooMany
from server.streams.stream import Stream

MOST_WRONG, WINDOW_S = 10, 60.0
MOST_ADDRESSES = 4096  # the one that was wrong longest ago is forgotten first
FORWARDED = ("forwarded", "via", "x-real-ip", "x-forwarded-")  # what names of a proxy's headers begin with


def same(one: str, other: str) -> bool:
    """In a time that tells nothing of where they differ."""
    return hmac.compare_digest(one.encode(errors="surrogatepass"), other.encode())


def token_of(request: web.Request) -> str:
    """The bearer token, or `?key=`; "" where there is none."""
    return bearer_of(request) or request.query.get("key", "")


def bearer_of(request: web.Request) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def address_of(request: web.Request) -> str:
    """Who called; behind a proxy on this machine, whom that names."""
    address = request.remote or ""
    named = request.headers.get("X-Forwarded-For", "").rpartition(",")[2].strip()
    return named if named and is_loopback(address) else address


def is_loopback(address: str) -> bool:
    found = _ip(address)
    return found is not None and found.is_loopback


class Access:
    """Loop thread only. Every method raises TooMany where the address was wrong too often."""

    def __init__(self, config: Config) -> None:
        self._operator_key = config.operator_key
        self._names = {_netloc(origin) for origin in config.allowed_origins}  # the server's own, too
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()

    def operator(self, request: web.Request) -> None:
        """Raises NoKey for everybody else."""
        if self._operator_key:
            self._check(same(bearer_of(request), self._operator_key), bearer_of(request), address_of(request),
                        "the operator's key is needed: Authorization: Bearer and operator_key")  # fmt: skip
        elif not self._here(request):
            raise NoKey(
                "streams are changed from this machine alone, and not through a proxy: set operator_key and "
                "show it as a bearer token",
                challenge=False,
            )

    def is_operator(self, request: web.Request, streams: Iterable[Stream] = ()) -> bool:
        """As `operator`, for what others may see less of; a wrong key is counted, too. Who shows a key of
        `streams`, which are what is looked at, is a known guest, and guesses none."""
        token = bearer_of(request)
        keys = (key for one in streams for key in (one.settings.key, one.settings.view_key))
        if token and any([same(token, key) for key in keys]):
            self._check(True, token, address_of(request), "")  # who was wrong too often does not hear of it
            return False
        try:
            self.operator(request)
        except NoKey:
            return False
        return True

    def publish(self, stream: Stream, token: str, address: str) -> None:
        """Raises NoKey where `token` is not the stream's key."""
        self._check(same(token, stream.settings.key), token, address,
                    "the stream's key is needed, as a bearer token or ?key=")  # fmt: skip

    def view(self, stream: Stream, token: str, address: str) -> None:
        """Raises NoKey where the stream has a view key, and `token` is neither that nor its key."""
        wanted = stream.settings.view_key
        if wanted:
            self._check(same(token, wanted) or same(token, stream.settings.key), token, address,
                        "the stream's view key is needed, as a bearer token or ?key=")  # fmt: skip

    def edit(self, request: web.Request, stream: Stream) -> None:
        """The operator, or who shows the stream's key as a bearer token. Raises NoKey."""
        token = bearer_of(request)
        if token and same(token, stream.settings.key):
            self._check(True, token, address_of(request), "")
        elif token and not self._operator_key and not self._here(request):  # a guess, as everywhere else
            self._check(False, token, address_of(request),
                        "this is not the stream's key, with which others than the operator edit")  # fmt: skip
        else:
            self.operator(request)

    def _here(self, request: web.Request) -> bool:
        """From this machine, by no proxy and no other site's page, also none whose name leads here."""
        origin = request.headers.get("Origin")
        host = urlsplit(f"http://{request.host}").hostname if _netloc(f"http://{request.host}") else None
        return (
            is_loopback(request.remote or "")
            and (host == "localhost" or is_loopback(host or "") or request.host in self._names)
            and not any(name.lower().startswith(FORWARDED) for name in request.headers)
            and (origin is None or _netloc(origin) == request.host)
        )

    def _check(self, right: bool, token: str, address: str, remedy: str) -> None:
        of = counted(address)
        now_s = time.monotonic()
        wrong = self._wrong.get(of)
        while wrong and now_s - wrong[0] > WINDOW_S:
            wrong.popleft()
        if wrong is not None and len(wrong) >= MOST_WRONG:
            raise TooMany(
                f"{MOST_WRONG} wrong keys came from this address within a minute: try again later",
                int(WINDOW_S - (now_s - wrong[0])) + 1,
            )
        if right:
            return
        if token:  # to show none is no guess
            self._wrong.setdefault(of, deque(maxlen=MOST_WRONG)).append(now_s)
            self._wrong.move_to_end(of)
            while len(self._wrong) > MOST_ADDRESSES:
                self._wrong.popitem(last=False)
        raise NoKey(remedy)


def counted(address: str) -> str:
    """One for a whole IPv6 network: a single host has all of its addresses."""
    found = _ip(address)
    if isinstance(found, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found) if found is not None else address


def _ip(address: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
