"""Reads an offer strictly and writes the small part we need of it anew.

Whatever the peer wrote, only the text made by `Offer.to_sdp` reaches aiortc's parser. Knows no sockets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from gpu.types import Codec
from server.errors import ProtocolError

from .candidates import MAX_CANDIDATES

ACCEPTED = "H.264 (baseline, main or high, packetization-mode 1) or VP8"
KNOWN_EXTENSIONS = (
    "urn:ietf:params:rtp-hdrext:sdes:mid",
    "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
)
FEEDBACK = ("nack", "nack pli", "goog-remb")
_TOKEN = re.compile(r"[\w.\-+/=:~]{1,256}", re.ASCII)
_MLINE = re.compile(
    r"m=(audio|video|application|text|message|image) (\d{1,5}) ([A-Z/]{3,24}) (\S+(?: \S+){0,99})"
)
_FINGERPRINT = re.compile(r"(sha-(?:256|384|512)) ((?:[0-9A-Fa-f]{2}:){31,63}[0-9A-Fa-f]{2})", re.I)
_PROFILE = re.compile(r"[0-9a-f]{6}", re.I)
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_SETUP = ("actpass", "active", "passive")


@dataclass(frozen=True, slots=True)
class OfferedCodec:
    """One payload type of a media line. `fmtp` as offered, checked to be one plain line."""

    payload_type: int
    name: str  # "h264" | "vp8" | "opus"
    fmtp: str = ""
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
    extensions: tuple[tuple[int, str], ...] = ()
    ssrcs: tuple[int, ...] = ()
    candidates: tuple[str, ...] = ()
    sctp_port: int = 5000
    max_message_size: int = 65536


@dataclass(slots=True)
class Offer:
    """An offer we can answer; every field checked."""

    media: list[Media]
    ice_lite: bool = False
    codec: Codec | None = None
    chosen: dict[str, OfferedCodec] = field(default_factory=dict)  # by mid

    @property
    def transport(self) -> Media:
        """The line whose ICE and DTLS parameters hold for the whole bundle."""
        used = [m for m in self.media if m.used]
        return next((m for m in used if m.ufrag and m.pwd), used[0])

    @property
    def candidates(self) -> list[str]:
        return [c for m in self.media if m.used for c in m.candidates][:MAX_CANDIDATES]

    def to_sdp(self) -> str:
        """The offer as aiortc sees it: used lines only, one codec each, no candidates (added apart)."""
        lead, used = self.transport, [m for m in self.media if m.used]
        lines = ["v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0"]
        lines += ["a=ice-lite"] if self.ice_lite else []
        lines += ["a=group:BUNDLE " + " ".join(m.mid for m in used), "a=msid-semantic:WMS *"]
        for m in used:
            codec = self.chosen.get(m.mid)
            formats = "webrtc-datachannel"
            if codec is not None:
                formats = f"{codec.payload_type}" + (f" {codec.rtx}" if codec.rtx is not None else "")
            lines += [f"m={m.kind} 9 {m.profile} {formats}", "c=IN IP4 0.0.0.0", f"a=mid:{m.mid}"]
            lines += [f"a=ice-ufrag:{lead.ufrag}", f"a=ice-pwd:{lead.pwd}", f"a=setup:{lead.setup}"]
            lines += [f"a=fingerprint:{kind} {value}" for kind, value in lead.fingerprints]
            if codec is None:
                lines += [f"a=sctp-port:{m.sctp_port}", f"a=max-message-size:{m.max_message_size}"]
                continue
            lines += [f"a={m.direction}", "a=rtcp-mux"]
            lines += [f"a=extmap:{number} {uri}" for number, uri in m.extensions]
            lines += _codec_lines(codec)
            lines += [f"a=ssrc:{ssrc} cname:-" for ssrc in m.ssrcs[:2]]
        return "\r\n".join(lines) + "\r\n"


def _codec_lines(codec: OfferedCodec) -> list[str]:
    pt = codec.payload_type
    if codec.name == "opus":
        return [f"a=rtpmap:{pt} opus/48000/2"]
    lines = [f"a=rtpmap:{pt} {codec.name.upper()}/90000"]
    lines += [f"a=rtcp-fb:{pt} {kind}" for kind in codec.feedback]
    if codec.name == "h264":  # the profile aiortc knows; the offered one is put back in the answer
        lines.append(f"a=fmtp:{pt} level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
    if codec.rtx is not None:
        lines += [f"a=rtpmap:{codec.rtx} rtx/90000", f"a=fmtp:{codec.rtx} apt={pt}"]
    return lines


def parse_offer(
    text: str,
    codecs: tuple[Codec, ...],
    prefer_codecs: bool = True,
    max_bytes: int = 131072,
    max_media: int = 8,
) -> Offer:
    """Raises ProtocolError, saying what to offer instead, for anything we cannot answer."""
    if len(text) > max_bytes or len(text.encode("utf-8", "surrogatepass")) > max_bytes:
        raise ProtocolError(
            f"The offer is longer than {max_bytes} bytes; offer one video, one audio, one data line."
        )
    if "\0" in text or not text.startswith("v=0"):
        raise ProtocolError("This is no SDP offer; send the text of RTCPeerConnection.createOffer().")
    session, *groups = re.split(r"(?m)^(?=m=)", text.replace("\r\n", "\n"))
    if not groups or len(groups) > max_media:
        raise ProtocolError(f"The offer has {len(groups)} media lines; between 1 and {max_media} are taken.")
    defaults = Media("", 0, "", "")
    _attributes(defaults, session.split("\n"))
    media = [_media(group, defaults) for group in groups]
    offer = Offer(media, ice_lite=bool(re.search(r"(?m)^a=ice-lite\s*$", session)))
    _choose(offer, codecs, prefer_codecs)
    _check_bundle(offer, session)
    return offer


def _media(group: str, defaults: Media) -> Media:
    lines = group.split("\n")
    match = _MLINE.fullmatch(lines[0].strip())
    if match is None or int(match[2]) > 65535:
        raise ProtocolError(f"The media line {lines[0][:60]!r} cannot be read; check its port and profile.")
    m = Media(match[1], int(match[2]), match[3], match[4])
    m.ufrag, m.pwd, m.setup = defaults.ufrag, defaults.pwd, defaults.setup
    m.fingerprints, m.direction = defaults.fingerprints, defaults.direction
    _attributes(m, lines[1:])
    if m.port == 0 and "\na=bundle-only" not in group:
        m.used = False
    return m


def _attributes(m: Media, lines: list[str]) -> None:
    maps: dict[int, tuple[str, int]] = {}
    formats: dict[int, str] = {}
    feedback: set[tuple[str, str]] = set()
    for line in lines:
        if not line.startswith("a="):
            continue
        name, _, value = line[2:].strip().partition(":")
        if name in _DIRECTIONS:
            m.direction = name
        elif name == "rtcp-mux":
            m.rtcp_mux = True
        elif name in ("ice-ufrag", "ice-pwd", "mid") and _TOKEN.fullmatch(value):
            setattr(m, {"ice-ufrag": "ufrag", "ice-pwd": "pwd", "mid": "mid"}[name], value)
        elif name == "setup" and value in _SETUP:
            m.setup = value
        elif name == "fingerprint" and (found := _FINGERPRINT.fullmatch(value)):
            m.fingerprints = (*m.fingerprints, (found[1].lower(), found[2]))[:4]
        elif name == "candidate" and len(m.candidates) < MAX_CANDIDATES:
            m.candidates = (*m.candidates, value)
        elif name == "rtpmap" and (
            found := re.fullmatch(r"(\d{1,3}) ([\w.-]{1,32})/(\d{1,6})(?:/\d)?", value)
        ):
            maps[int(found[1])] = (found[2].lower(), int(found[3]))
        elif name == "rtcp-fb" and len(feedback) < 512:
            pt, _, kind = value.partition(" ")
            feedback.add((pt, kind.strip()))
        elif name == "fmtp" and (found := re.fullmatch(r"(\d{1,3}) ([ -~]{1,512})", value)):
            formats[int(found[1])] = found[2]
        elif name == "extmap" and (found := re.fullmatch(r"(\d{1,2})(?:/\w+)? (\S{1,128})", value)):
            if found[2] in KNOWN_EXTENSIONS and 0 < int(found[1]) < 15:
                m.extensions = (*m.extensions, (int(found[1]), found[2]))[:8]
        elif name == "ssrc" and (found := re.match(r"(\d{1,10}) ", value)):
            ssrc = int(found[1])
            if ssrc < 2**32 and ssrc not in m.ssrcs and len(m.ssrcs) < 8:
                m.ssrcs = (*m.ssrcs, ssrc)
        elif name == "sctp-port" and value.isascii() and value.isdigit() and 0 < len(value) < 6:
            m.sctp_port = int(value)
        elif name == "max-message-size" and value.isascii() and value.isdigit() and len(value) < 12:
            m.max_message_size = int(value)
    m.codecs = _codecs(m.formats, maps, formats, feedback)


def _codecs(
    order: str, maps: dict[int, tuple[str, int]], fmtp: dict[int, str], feedback: set[tuple[str, str]]
) -> tuple[OfferedCodec, ...]:
    found: list[OfferedCodec] = []
    types = [int(x) for x in order.split() if x.isascii() and x.isdigit() and len(x) < 4]
    rtx = {
        fmtp.get(pt, "").replace(" ", ""): pt
        for pt in types
        if maps.get(pt) == ("rtx", 90000) and 96 <= pt <= 127
    }
    for pt in types:
        name, rate = maps.get(pt, ("", 0))
        if not 96 <= pt <= 127:  # aiortc negotiates no others
            continue
        if name == "opus" and rate == 48000:
            found.append(OfferedCodec(pt, name, fmtp.get(pt, "")))
        elif (name == "vp8" and rate == 90000) or (
            name == "h264" and rate == 90000 and _h264(fmtp.get(pt, ""))
        ):
            told = tuple(kind for kind in FEEDBACK if (str(pt), kind) in feedback or ("*", kind) in feedback)
            found.append(OfferedCodec(pt, name, fmtp.get(pt, ""), rtx.get(f"apt={pt}"), told))
    return tuple(found)


def _h264(fmtp: str) -> bool:
    """Mode 1 and a profile libav, NVDEC and browsers all decode: baseline, main, extended's subset, high."""
    items = dict(part.strip().partition("=")[::2] for part in fmtp.split(";"))
    profile = items.get("profile-level-id", "42e01f")
    return (
        items.get("packetization-mode", "0") == "1"
        and _PROFILE.fullmatch(profile) is not None
        and profile[:2].lower() in ("42", "4d", "64")
    )


def _choose(offer: Offer, codecs: tuple[Codec, ...], prefer_codecs: bool) -> None:
    """One codec a line; lines of no use are marked so. Raises ProtocolError without usable video."""
    seen: set[str] = set()
    for m in offer.media:
        role = m.kind if m.kind != "video" else m.kind + m.direction
        if m.kind == "application":
            m.used = m.used and "SCTP" in m.profile and role not in seen
            seen |= {role} if m.used else set()
            continue
        wanted: tuple[str, ...] = codecs if m.kind == "video" else ("opus",) if m.kind == "audio" else ()
        usable = [c for c in m.codecs if c.name in wanted]
        if offer.codec is not None and m.kind == "video":  # both directions speak the same one
            usable = [c for c in usable if c.name == offer.codec]
        elif prefer_codecs:
            usable.sort(key=lambda c: wanted.index(c.name))
        if m.kind == "video" and m.used and not usable and offer.codec is None:
            raise ProtocolError(f"The offer's video has no codec we take; offer {ACCEPTED}.")
        m.used = m.used and bool(usable) and role not in seen and m.direction != "inactive"
        if not m.used:
            continue
        seen.add(role)
        if not m.mid:
            raise ProtocolError("A media line has no a=mid; offer with the unified plan.")
        offer.chosen[m.mid] = usable[0]
        if m.kind == "video":
            offer.codec = "h264" if usable[0].name == "h264" else "vp8"
    if offer.codec is None:
        raise ProtocolError(f"The offer has no usable video line; offer {ACCEPTED}.")


def _check_bundle(offer: Offer, session: str) -> None:
    used = [m for m in offer.media if m.used]
    lead, mids = offer.transport, [m.mid for m in used]
    if not all(mids) or len(set(mids)) != len(mids):
        raise ProtocolError("The offer's media lines need an a=mid each, all different.")
    if len(used) > 1:
        found = re.search(r"(?m)^a=group:BUNDLE ([^\n]*)$", session)
        if found is None or not set(mids) <= set(found[1].split()):
            raise ProtocolError(
                "The offer's media lines are not bundled; offer with bundlePolicy 'max-bundle'."
            )
    if not any(m.rtcp_mux for m in used):
        raise ProtocolError("The offer has no a=rtcp-mux; offer with rtcpMuxPolicy 'require'.")
    if not (len(lead.ufrag) >= 4 and len(lead.pwd) >= 22):
        raise ProtocolError(
            "The offer has no usable a=ice-ufrag and a=ice-pwd; they are 4 and 22 characters or more."
        )
    if not lead.fingerprints or not lead.setup:
        raise ProtocolError("The offer has no usable a=fingerprint (sha-256) and a=setup; offer DTLS-SRTP.")
