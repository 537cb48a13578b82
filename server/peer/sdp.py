"""Reads an offer strictly. Only the text made by `Offer.to_sdp` reaches aiortc's parser, whatever came.

Knows no sockets.
"""

from __future__ import annotations

import re

from gpu.types import Codec
from server.errors import ProtocolError

from .candidates import MAX_CANDIDATES
from .choice import check_bundle, choose
from .fmtp import NAMES, agreed
from .offer import Codecs, Media, Offer, OfferedCodec

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
# Whole parameter sets have room. A codec of other parameters is not taken: they may say what we cannot read.
_FMTP = re.compile(r"[ -~]{0,4096}")
_DIRECTIONS = ("sendrecv", "sendonly", "recvonly", "inactive")
_SETUP = ("actpass", "active", "passive")
_CODECS: dict[str, Codec] = {name.lower(): codec for codec, name in NAMES.items()}
_PAYLOAD_TYPES = (*range(35, 64), *range(96, 128))  # dynamic: RFC 3551 §6, and what browsers added below


def parse_offer(text: str, codecs: Codecs, max_bytes: int = 131072, max_media: int = 8) -> Offer:
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
    choose(offer, codecs)
    check_bundle(offer, session)
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
        elif name == "fmtp" and (found := re.match(r"(\d{1,3}) ", value)):
            formats[int(found[1])] = value[found.end() :]
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
    m.codecs = _codecs(m, maps, formats, feedback)


def _codecs(
    m: Media, maps: dict[int, tuple[str, int]], fmtp: dict[int, str], feedback: set[tuple[str, str]]
) -> tuple[OfferedCodec, ...]:
    found: list[OfferedCodec] = []
    listed = [int(x) for x in m.formats.split() if x.isascii() and x.isdigit() and len(x) < 4]
    types = [pt for pt in listed if pt in _PAYLOAD_TYPES]
    m.opus = next((pt for pt in types if maps.get(pt) == ("opus", 48000)), None)
    rtx = {fmtp.get(pt, "").replace(" ", ""): pt for pt in types if maps.get(pt) == ("rtx", 90000)}
    for pt in types:
        name, rate = maps.get(pt, ("", 0))
        codec = _CODECS.get(name) if rate == 90000 and _FMTP.fullmatch(fmtp.get(pt, "")) else None
        parameters = agreed(codec, fmtp.get(pt, "")) if codec is not None else None
        if codec is not None and parameters is not None:
            told = tuple(kind for kind in FEEDBACK if (str(pt), kind) in feedback or ("*", kind) in feedback)
            repeats = rtx.get(f"apt={pt}")
            found.append(OfferedCodec(pt, codec, fmtp.get(pt, ""), parameters, repeats, told))
    return tuple(found)
