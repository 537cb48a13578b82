"""Completes the answer aiortc made to our version of an offer, so that it answers the offer itself."""

from __future__ import annotations

import re

from .sdp import Offer


def answer_sdp(offer: Offer, local: str) -> str:
    """aiortc's answer with the unused lines put back as refused and the offered H.264 profiles named."""
    session, *groups = re.split(r"(?m)^(?=m=)", local)
    answered = iter(groups)
    out = [session]
    for m in offer.media:
        if not m.used:
            out.append(f"m={m.kind} 0 {m.profile} {m.formats}\r\nc=IN IP4 0.0.0.0\r\na=inactive\r\n")
            out[-1] += f"a=mid:{m.mid}\r\n" if m.mid else ""
            continue
        group, codec = next(answered), offer.chosen.get(m.mid)
        if codec is not None and codec.name == "h264":
            profile = re.search(r"profile-level-id=([0-9a-f]{6})", codec.fmtp, re.I)
            group = re.sub(
                r"profile-level-id=[0-9a-fA-F]{6}",
                f"profile-level-id={profile[1] if profile else '42e01f'}",
                group,
            )
        out.append(group)
    return "".join(out)
