"""Every bound of the RTMP server. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field

from server.rtmp.chunks import ChunkLimits


@dataclass(frozen=True, slots=True)
class RtmpLimits:
    """Times in seconds."""

    handshake_s: float = 5.0  # from the connection's first moment
    ask_s: float = 10.0  # from the handshake to publish or play
    idle_s: float = 15.0  # a publisher without media for so long is gone
    silent_s: float = 3.0  # without media for so long it gives its place to whoever comes with the key
    stalled_s: float = 10.0  # a player whose buffer stays full for so long is let go
    hang_up_s: float = 1.0  # for the last words to arrive
    connections: int = 256
    strangers: int = 16  # of one address, that neither publish nor play yet
    read_bytes: int = 16 * 1024  # at once; between reads the loop goes round
    rate_bytes: int = 25 << 20  # a second, as far as one connection is heard: faster ones wait
    rate_messages: int = 4000
    burst_s: float = 2.0  # of both rates
    reply_bytes: int = 256 * 1024  # unsent answers of a peer that does not read them
    send_bytes: int = 3 << 20  # unsent media of a player; above it drops down to a keyframe
    publisher: ChunkLimits = field(default_factory=ChunkLimits)
