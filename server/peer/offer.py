"""An offer that was read: its lines, what was agreed on each, and what aiortc is told of it. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gpu.types import Codec

from .candidates import MAX_CANDIDATES
from .fmtp import Parameters

STAND_IN = {"video": "VP8/90000", "audio": "opus/48000/2"}  # aiortc is told what was agreed apart


@dataclass(frozen=True, slots=True)
class Codecs:
    """Video codecs that can be taken and that can be sent back, the preferred one first; see PeerConfig."""

    receive: tuple[Codec, ...]
    send: tuple[Codec, ...]
    prefer: bool = True  # False: the offer's order decides
    takes: bool = True
    gives: bool = True
    whole: bool = False


@dataclass(frozen=True, slots=True)
class OfferedCodec:
    """One video codec of a media line. `fmtp` as offered, checked to be one plain line."""

    payload_type: int
    codec: Codec
    fmtp: str = ""
    parameters: Parameters = ()  # to answer with
    rtx: int | None = None
    feedback: tuple[str, ...] = ()


@dataclass(slots=True)
class Media:
    """One m-line. `used` is False where it is to be answered with port 0."""

    kind: str
    port: int
    profile: str
    formats: str
    mid: str = ""
    direction: str = "sendrecv"
    used: bool = True
    rtcp_mux: bool = False
    ufrag: str = ""
    pwd: str = ""
    setup: str = ""
    fingerprints: tuple[tuple[str, str], ...] = ()
    codecs: tuple[OfferedCodec, ...] = ()
    opus: int | None = None  # its payload type
    extensions: tuple[tuple[int, str], ...] = ()
    ssrcs: tuple[int, ...] = ()
    candidates: tuple[str, ...] = ()
    sctp_port: int = 5000
    max_message_size: int = 65536


@dataclass(slots=True)
class Offer:
    """An offer we can answer; every field checked. The two directions of video may speak different codecs."""

    media: list[Media]
    ice_lite: bool = False
    receive: OfferedCodec | None = None  # of video, what the peer is to send
    send: OfferedCodec | None = None  # of video, what it gets back
    agreed: dict[str, tuple[OfferedCodec, ...]] = field(default_factory=dict)  # by mid, as answered

    @property
    def spoken(self) -> str:
        """In words: "h264", or "av1 in and h264 out"."""
        ways = {"in": self.receive, "out": self.send}
        names = {way: found.codec for way, found in ways.items() if found is not None}
        same = len(set(names.values())) == 1
        return next(iter(names.values())) if same else " and ".join(f"{c} {way}" for way, c in names.items())

    @property
    def transport(self) -> Media:
        """The line whose ICE and DTLS parameters hold for the whole bundle."""
        used = [m for m in self.media if m.used]
        return next((m for m in used if m.ufrag and m.pwd), used[0])

    @property
    def candidates(self) -> list[str]:
        return [c for m in self.media if m.used for c in m.candidates][:MAX_CANDIDATES]

    def restarted(self, ufrag: str, pwd: str, candidates: list[str]) -> Offer:
        """The same offer with the ICE credentials of a new generation."""
        media = [replace(m, ufrag=ufrag, pwd=pwd, candidates=()) for m in self.media]
        restarted = replace(self, media=media)
        restarted.transport.candidates = tuple(candidates)
        return restarted

    def to_sdp(self) -> str:
        """The offer as aiortc sees it: used lines only, a codec it knows each, no candidates."""
        lead, used = self.transport, [m for m in self.media if m.used]
        lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"]
        lines += ["a=ice-lite"] if self.ice_lite else []
        lines += ["a=group:BUNDLE " + " ".join(m.mid for m in used), "a=msid-semantic:WMS *"]
        for m in used:
            stand_in = STAND_IN.get(m.kind)
            formats = "96" if stand_in else "webrtc-datachannel"
            lines += [f"m={m.kind} 9 {m.profile} {formats}", "c=IN IP4 0.0.0.0", f"a=mid:{m.mid}"]
            lines += [f"a=ice-ufrag:{lead.ufrag}", f"a=ice-pwd:{lead.pwd}", f"a=setup:{lead.setup}"]
            lines += [f"a=fingerprint:{kind} {value}" for kind, value in lead.fingerprints]
            if stand_in is None:
                lines += [f"a=sctp-port:{m.sctp_port}", f"a=max-message-size:{m.max_message_size}"]
                continue
            lines += [f"a={m.direction}", "a=rtcp-mux", f"a=rtpmap:96 {stand_in}"]
            lines += [f"a=extmap:{number} {uri}" for number, uri in m.extensions]
            lines += [f"a=ssrc:{ssrc} cname:-" for ssrc in m.ssrcs[:2]]
        return "\r\n".join(lines) + "\r\n"
