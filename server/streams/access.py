"""Who may do what with streams: the operator, who holds a stream's key, who watches. Knows no routes.

Wrong keys are counted, see guesses: who tries many is not heard for a while, with whatever key.
"""

from __future__ import annotations

import hmac
from urllib.parse import urlsplit

from aiohttp import web

from server.config import Config
from server.errors import NoKey, TooMany
from server.proxies import Proxies
from server.streams.guesses import Guesses, ip_of
from server.streams.sight import Sight
from server.streams.stream import Stream

VIEW_KEY_NEEDED = "the stream's view key is needed, as a bearer token or ?key="
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


def is_loopback(address: str) -> bool:
    found = ip_of(address)
    return found is not None and found.is_loopback


class Access:
    """Loop thread only. Every method raises TooMany where the address was wrong too often."""

    def __init__(self, config: Config) -> None:
        self._operator_key = config.operator_key
        self._names = {_netloc(origin) for origin in config.allowed_origins}  # the server's own, too
        self.proxies = Proxies(config.trusted_proxies)
        self._guesses = Guesses()

    def address_of(self, request: web.Request) -> str:
        """Who called; behind a trusted proxy, whom that names."""
        return self.proxies.address_of(request)

    def operator(self, request: web.Request) -> None:
        """Raises NoKey for everybody else."""
        self._operator(request, "")

    def is_operator(self, request: web.Request) -> bool:
        """As `operator`, for who may come all the same, and is not heard with more."""
        try:
            self.operator(request)
        except (NoKey, TooMany):
            return False
        return True

    def sight(self, request: web.Request, stream: Stream) -> Sight:
        """How much of the stream who asks may see. A key that is neither its nor the operator's is counted,
        and shows what none does."""
        return self._sights(request, [stream], stream.name)[0]

    def sights(self, request: web.Request, streams: list[Stream]) -> list[Sight]:
        """`sight` of each, where one key is shown for all: it is a guess if it is nobody's."""
        return self._sights(request, streams, "")

    def watch(self, request: web.Request, stream: Stream) -> None:
        """Who may know what the stream shows. Raises NoKey for strangers."""
        if stream.settings.view_key and self.sight(request, stream) == "stranger":
            raise NoKey(VIEW_KEY_NEEDED)

    def publish(self, stream: Stream, token: str, address: str) -> None:
        """Raises NoKey where `token` is not the stream's key."""
        self._check(same(token, stream.settings.key), token, address, stream.name,
                    "the stream's key is needed, as a bearer token or ?key=")  # fmt: skip

    def view(self, stream: Stream, token: str, address: str) -> None:
        """Raises NoKey where the stream has a view key, and `token` is neither that nor its key."""
        wanted = stream.settings.view_key
        if wanted:
            right = same(token, wanted) or same(token, stream.settings.key)
            self._check(right, token, address, stream.name, VIEW_KEY_NEEDED)

    def edit(self, request: web.Request, stream: Stream) -> None:
        """The operator, or who shows the stream's key as a bearer token. Raises NoKey."""
        token = bearer_of(request)
        if token and same(token, stream.settings.key):
            self._check(True, token, self.address_of(request), stream.name, "")
        elif token and not self._operator_key and not self._here(request):  # a guess, as everywhere else
            self._check(False, token, self.address_of(request), stream.name,
                        "this is not the stream's key, with which others than the operator edit")  # fmt: skip
        else:
            self._operator(request, stream.name)

    def _operator(self, request: web.Request, at: str) -> None:
        """`at`: what the key is counted for where it is wrong."""
        if self._operator_key:
            right = same(bearer_of(request), self._operator_key)
            self._check(right, bearer_of(request), self.address_of(request), at,
                        "the operator's key is needed: Authorization: Bearer and operator_key")  # fmt: skip
        elif not self._here(request):
            raise NoKey(
                "streams are changed from this machine alone, and not through a proxy: set operator_key and "
                "show it as a bearer token",
                challenge=False,
            )

    def _sights(self, request: web.Request, streams: list[Stream], at: str) -> list[Sight]:
        """`at`: what the key is counted for where it opens none of them."""
        if not self._operator_key and self._here(request):
            return ["operator" for _ in streams]
        opened: list[Sight | None] = [None for _ in streams]
        if token_of(request):
            self._guesses.check(self.address_of(request), at)
            opened = [self._opened(request, stream) for stream in streams]
            if not any(opened):
                self._guesses.count(self.address_of(request), at, token_of(request))
        return [
            found or ("stranger" if stream.settings.view_key else "viewer")
            for found, stream in zip(opened, streams, strict=True)
        ]

    def _opened(self, request: web.Request, stream: Stream) -> Sight | None:
        """What the key that is shown opens; None: nothing."""
        token, settings = token_of(request), stream.settings
        if self._operator_key and same(bearer_of(request), self._operator_key):
            return "operator"
        if same(token, settings.key):
            return "publisher"
        return "viewer" if settings.view_key and same(token, settings.view_key) else None

    def _here(self, request: web.Request) -> bool:
        """From this machine, by no proxy and no other site's page, also none whose name leads here.

        Whom a proxy names is not asked: trusted ones make nobody operator."""
        origin = request.headers.get("Origin")
        host = urlsplit(f"http://{request.host}").hostname if _netloc(f"http://{request.host}") else None
        return (
            is_loopback(request.remote or "")
            and (host == "localhost" or is_loopback(host or "") or request.host in self._names)
            and not any(name.lower().startswith(FORWARDED) for name in request.headers)
            and (origin is None or _netloc(origin) == request.host)
        )

    def _check(self, right: bool, token: str, address: str, at: str, remedy: str) -> None:
        self._guesses.check(address, at)
        if right:
            return
        if token:  # to show none is no guess
            self._guesses.count(address, at, token)
        raise NoKey(remedy)


def _netloc(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None
