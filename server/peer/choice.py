"""Decides what each line of an offer speaks, and whether the lines can be answered together. Pure."""

from __future__ import annotations

import re

from gpu.types import Codec
from server.errors import ProtocolError, Unusable

from .fmtp import WORDS
from .offer import STAND_IN, Codecs, Media, Offer, OfferedCodec

_FROM_PEER, _TO_PEER = ("sendrecv", "sendonly"), ("sendrecv", "recvonly")


def choose(offer: Offer, codecs: Codecs) -> None:
    """What each line speaks; lines of no use are marked so. Raises ProtocolError without usable video, and
    Unusable where the offer was to be answered as a whole."""
    seen: set[str] = set()
    why = ""  # the first video line of no use is of none
    asked = [m for m in offer.media if m.used and m.kind != "application" and m.direction != "inactive"]
    for m in offer.media:
        m.direction = _narrowed(m.direction, codecs)
        roles = _roles(m)
        m.used = m.used and bool(roles) and not roles & seen
        if m.kind == "application":
            m.used = m.used and "SCTP" in m.profile
        elif m.kind == "video" and m.used:
            refused = _choose_video(offer, m, codecs)
            why = why or refused
        elif m.used:
            m.used = m.opus is not None
        if m.used and m.kind != "application" and not m.mid:
            raise ProtocolError("A media line has no a=mid; offer with the unified plan.")
        seen |= roles if m.used else set()
    if offer.receive is None and offer.send is None:
        why = why or f"The offer has no usable video line; offer {_wanted(codecs)}."
        raise (Unusable if codecs.whole else ProtocolError)(why)
    left = next((m for m in asked if not m.used), None)
    if codecs.whole and left is not None:
        why = f"The offer's {left.kind} line {left.mid[:20]!r} cannot be answered"
        raise Unusable(f"{why}; offer one audio line with Opus and one video line with {_wanted(codecs)}.")


def _narrowed(direction: str, codecs: Codecs) -> str:
    """What is left of an offered direction where media go one way only."""
    ways = (_FROM_PEER if codecs.takes else ()), (_TO_PEER if codecs.gives else ())
    match direction in ways[0], direction in ways[1]:
        case True, True:
            return "sendrecv"
        case True, False:
            return "sendonly"
        case False, True:
            return "recvonly"
    return "inactive"


def _wanted(codecs: Codecs) -> str:
    """In words, with the direction where only one will do."""
    codec = _words(codecs.receive if codecs.takes else codecs.send)
    if codecs.takes and codecs.gives:
        return codec
    return f"{codec}, {'sendonly' if codecs.takes else 'recvonly'}"


def _roles(m: Media) -> set[str]:
    """What a line is for; a second one for the same is refused. Empty: for nothing we know."""
    if m.kind == "application":
        return {"data"}
    if m.kind not in STAND_IN:
        return set()
    ways = {way for way, with_it in (("in", _FROM_PEER), ("out", _TO_PEER)) if m.direction in with_it}
    return {f"{m.kind} {way}" for way in ways}


def _choose_video(offer: Offer, m: Media, codecs: Codecs) -> str:
    """The best codec each way. Without one the line is refused: -> why, with the remedy; or ""."""
    receive = _best(m, codecs.receive, codecs.prefer) if m.direction in _FROM_PEER else None
    send = _best(m, codecs.send, codecs.prefer) if m.direction in _TO_PEER else None
    for found, directions, known in ((receive, _FROM_PEER, codecs.receive), (send, _TO_PEER, codecs.send)):
        if found is None and m.direction in directions:
            m.used = False
            way = "no codec we take" if directions is _FROM_PEER else "no codec we can send back"
            return f"The offer's video has {way}; offer {_words(known)}."
    offer.receive, offer.send = receive or offer.receive, send or offer.send
    # In this order a browser sends the first; both may come and go under RFC 3264 §6.1.
    offer.agreed[m.mid] = tuple(dict.fromkeys(c for c in (receive, send) if c is not None))
    return ""


def _best(m: Media, wanted: tuple[Codec, ...], prefer: bool) -> OfferedCodec | None:
    usable = [c for c in m.codecs if c.codec in wanted]
    return min(usable, key=lambda c: wanted.index(c.codec) if prefer else 0, default=None)


def _words(codecs: tuple[Codec, ...]) -> str:
    *most, last = (WORDS[codec] for codec in codecs)
    return f"{', '.join(most)} or {last}" if most else last


def check_bundle(offer: Offer, session: str) -> None:
    """Raises ProtocolError unless one transport can carry all used lines; `session` is what precedes them."""
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
