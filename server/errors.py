"""The server's errors, by how far they reach.

gpu.errors.RelensError
├── SessionError            ends or refuses one session (caught in Session and in the HTTP layer)
│   ├── ProtocolError       the peer said something we do not take
│   ├── CapacityError       full: 503 with Retry-After
│   └── PeerLost            the peer is gone
└── ConfigError             start-up ends, the message names the key and the remedy (caught in __main__)
"""

from gpu.errors import RelensError


class SessionError(RelensError):
    """Ends or refuses one session; the others go on."""

    code = "session"


class ProtocolError(SessionError):
    """The peer's SDP, candidate or message is not one we take."""

    code = "protocol"


class CapacityError(SessionError):
    """No room for another session."""

    code = "capacity"

    def __init__(self, message: str, retry_after_s: int = 5) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class PeerLost(SessionError):
    """The peer stopped answering."""

    code = "peer-lost"


class ConfigError(RelensError):
    """A configuration key is unknown or its value unusable."""
