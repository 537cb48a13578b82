"""Completes the answer aiortc made to our version of an offer, so that it answers the offer itself; and takes
from an answer what an ICE restart changed."""

from __future__ import annotations

import re

from .offer import Offer


def answer_sdp(offer: Offer, local: str) -> str:
    """aiortc's answer with the unused lines put back as refused."""
    session, *groups = re.split(r"(?m)^(?=m=)", local)
    answered = iter(groups)
    out = [session]
    for m in offer.media:
        if m.used:
            out.append(next(answered))
            continue
        out.append(f"m={m.kind} 0 {m.profile} {m.formats}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n")
        out[-1] += f"a=mid:{m.mid}\r\n" if m.mid else ""
    return "".join(out)


def ice_fragment(answer: str) -> str:
    """Our side of an ICE restart as a trickle-ice-sdpfrag (RFC 8840 §9): of the first line that is used."""
    lead = next(g for g in re.split(r"(?m)^(?=m=)", answer)[1:] if "a=ice-ufrag:" in g).splitlines()
    media = re.sub(r" \d+ ", " 9 ", lead[0], count=1)
    ice = [line for line in lead if line.startswith(("a=ice-ufrag:", "a=ice-pwd:"))]
    mid = [line for line in lead if line.startswith("a=mid:")]
    candidates = [line for line in lead if line.startswith(("a=candidate:", "a=end-of-candidates"))]
    return "\r\n".join([*ice, media, *mid, *candidates]) + "\r\n"
