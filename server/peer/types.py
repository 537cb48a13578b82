"""What a Peer is told, tells and counts. Data only; knows nothing of aiortc."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from gpu.types import Codec, EncodedFrame

AUDIO_HZ = 48_000  # of every Opus stream's clock (RFC 7587 §4.1)


class PeerState(Enum):
    """CONNECTING until media can flow; FAILED when it cannot (any more); CLOSED by either side."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    FAILED = "failed"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class EncodedAudio:
    """One Opus packet; `pts` in 48 kHz ticks, unwrapped, its low 32 bits the RTP timestamp on the wire."""

    data: bytes
    pts: int
    arrived_ns: int = 0


@dataclass(frozen=True, slots=True)
class SenderReport:
    """What the other side says of one of its streams (RFC 3550 §6.4.1): at `ntp_s`, seconds since 1900 by its
    clock, its RTP timestamp was `timestamp`."""

    ntp_s: float
    timestamp: int


@dataclass(frozen=True, slots=True)
class IceServer:
    """One STUN or TURN server. At most one of each kind is used."""

    urls: tuple[str, ...]
    username: str | None = None
    credential: str | None = None


@dataclass(frozen=True, slots=True)
class PeerConfig:
    """Every bound of a Peer. Times in seconds unless the name says otherwise."""

    ice_servers: tuple[IceServer, ...] = ()
    codecs: tuple[Codec, ...] = ("h264", "vp8")  # taken, in order of preference; one left out is refused
    send_codecs: tuple[Codec, ...] = ("h264", "vp8")  # what can be sent back, in order of preference
    prefer_codecs: bool = True  # False: the offer's order decides
    takes: bool = True  # False: a viewer; what it offers to send is not taken
    gives: bool = True  # False: a publisher; nothing is sent back to it
    whole: bool = False  # True: an offer of which a line would be refused is refused
    connect_timeout_s: float = 15.0
    idle_timeout_s: float = 15.0  # no authenticated datagram for this long: the peer is gone
    close_timeout_s: float = 3.0
    hole_timeout_s: float = 0.15  # a missing packet is given up after this
    keyframe_interval_s: float = 0.25  # requests closer together than this are one
    min_bitrate_bps: int = 150_000
    start_bitrate_bps: int = 1_500_000  # what the encoder begins with
    max_bitrate_bps: int = 6_000_000
    history_s: float = 1.5  # how long a sent packet can be sent again
    max_sdp_bytes: int = 128 * 1024
    max_media_lines: int = 8
    max_ssrcs: int = 16
    max_send_bytes: int = 1 << 20  # encoded video waiting to be sent
    max_message_bytes: int = 64 * 1024
    max_message_backlog_bytes: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class PeerStats:
    """A snapshot. Rates over the last second or so; counters since the Peer was made."""

    state: PeerState
    codec_in: Codec | None
    codec_out: Codec | None
    rtt_s: float | None
    bitrate_in_bps: int
    bitrate_out_bps: int
    target_bitrate_bps: int
    packets_received: int
    packets_missing: int  # noticed as missing, whether or not they came later
    packets_abandoned: int  # given up
    nacks_sent: int
    frames_received: int
    frames_dropped: int
    plis_sent: int
    jitter_s: float
    packets_sent: int
    retransmitted: int
    loss_out: float  # fraction the browser last reported
    frames_sent: int  # to their last packet
    frames_unsent: int  # not taken, or dropped for want of room
    send_queue_bytes: int
    datagrams_refused: int


class PeerListener(Protocol):
    """Called on the event loop's thread; must not block. Times of video and of audio are of one clock."""

    def on_video(self, frame: EncodedFrame) -> None: ...
    def on_audio(self, packet: EncodedAudio) -> None: ...
    def on_message(self, data: str | bytes) -> None: ...
    def on_keyframe_needed(self) -> None: ...
    def on_bitrate(self, bps: int) -> None: ...
    def on_state(self, state: PeerState) -> None: ...
