"""The server's errors, by how far they reach.

gpu.errors.RelensError
├── SessionError            ends or refuses one session (caught in Session and in the HTTP layer)
│   ├── ProtocolError       the peer said something we do not take
│   │   └── Unusable        an offer that can be read, and cannot be answered as a whole: 422
│   ├── CapacityError       full: 503 with Retry-After
│   ├── PeerLost            the peer is gone
│   ├── Taken               somebody publishes this stream already: 409
│   ├── NotLive             nobody publishes this stream now: 409 with Retry-After
│   ├── NoKey               a key is missing or wrong: 401, or 403 where no key would do
│   └── TooMany             too many wrong keys or requests from one address: 429 with Retry-After
└── ConfigError             start-up ends, the message names the key and the remedy (caught in __main__)
"""

from gpu.errors import RelensError


class SessionError(RelensError):
    """Ends or refuses one session; the others go on."""

    code = "session"


class ProtocolError(SessionError):
    """The peer's SDP, candidate or message is not one we take."""

    code = "protocol"


class Unusable(ProtocolError):
    """The peer's offer can be read and holds something that we cannot answer."""

    code = "unusable"


class CapacityError(SessionError):
    """No room for another session."""

    code = "capacity"

    def __init__(
        self, message: str, retry_after_s: int = 5, remedy: str = "Try again after Retry-After seconds."
    ) -> None:
        super().__init__(message)
        self.retry_after_s, self.remedy = retry_after_s, remedy


class PeerLost(SessionError):
    """The peer stopped answering."""

    code = "peer-lost"


class Taken(SessionError):
    """Somebody publishes this stream already."""

    code = "taken"


class NotLive(SessionError):
    """Nobody publishes this stream now, or there is no such stream to watch."""

    code = "not-live"

    def __init__(self, message: str, retry_after_s: int = 2) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class NoKey(SessionError):
    """A key is missing or wrong; `challenge` False where no key would do."""

    code = "key"

    def __init__(self, message: str, challenge: bool = True) -> None:
        super().__init__(message)
        self.challenge = challenge


class TooMany(SessionError):
    """Too many wrong keys, or requests, from one address."""

    code = "too-many"

    def __init__(self, message: str, retry_after_s: int = 60) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class ConfigError(RelensError):
    """A configuration key is unknown or its value unusable."""
