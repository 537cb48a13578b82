"""Completes the answer aiortc made to our version of an offer, so that it answers the offer itself."""

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
