"""Codec parameters of an offer (a=fmtp): which of them we take, and what we answer. Pure text."""

from __future__ import annotations

import base64
import binascii
import re

from gpu.types import Codec

NAMES: dict[Codec, str] = {"h264": "H264", "vp8": "VP8", "vp9": "VP9", "hevc": "H265", "av1": "AV1"}
WORDS: dict[Codec, str] = {  # for people
    "h264": "H.264 (baseline, main or high, packetization-mode 1)",
    "vp8": "VP8",
    "vp9": "VP9 (profile 0)",
    "hevc": "HEVC (main)",
    "av1": "AV1 (main)",
}
_H264_PROFILE = re.compile(r"(42|4d|64)[0-9a-f]{4}", re.I)  # what libav, NVDEC and browsers all decode
_SPROP = ("sprop-vps", "sprop-sps", "sprop-pps")
_MAX_SETS = 8
Parameters = tuple[tuple[str, str], ...]


def agreed(codec: Codec, fmtp: str) -> Parameters | None:
    """What to answer to these parameters; None where a stream of them is not taken.

    Profile and tier are the same both ways in all five; levels are said back as offered, and what is sent
    stays far below any of them (RFC 6184 §8.2.2, RFC 7798 §7.2.2, RFC 9628 §6.2, AOM RTP payload §7.2).
    """
    given = _items(fmtp)
    match codec:
        case "h264":
            profile = given.get("profile-level-id", "42e01f")
            if given.get("packetization-mode", "0") != "1" or not _H264_PROFILE.fullmatch(profile):
                return None
            mode = (("level-asymmetry-allowed", "1"), ("packetization-mode", "1"))
            return (*mode, ("profile-level-id", profile))
        case "hevc":  # fragments in decoding order only, one stream
            if given.get("tx-mode", "SRST") != "SRST" or given.get("sprop-max-don-diff", "0") != "0":
                return None
            return _numbers(
                given, (("level-id", 93, 0, 255), ("profile-id", 1, 1, 1), ("tier-flag", 0, 0, 1))
            )
        case "vp9":
            return _numbers(given, (("profile-id", 0, 0, 0),))
        case "av1":
            return _numbers(given, (("level-idx", 5, 0, 31), ("profile", 0, 0, 0), ("tier", 0, 0, 1)))
        case "vp8":
            return ()


def hevc_parameter_sets(fmtp: str) -> bytes:
    """The VPS, SPS and PPS in an offer (RFC 7798 §7.1), Annex-B; b"" without, or where they are broken."""
    given = _items(fmtp)
    out = b""
    for name in _SPROP:
        for text in given.get(name, "").split(",")[:_MAX_SETS]:
            try:
                nal = base64.b64decode(text, validate=True)
            except (ValueError, binascii.Error):
                return b""
            out += b"\x00\x00\x00\x01" + nal if len(nal) > 2 else b""
    return out


def _items(fmtp: str) -> dict[str, str]:
    found = dict(part.strip().partition("=")[::2] for part in fmtp.split(";"))
    return {name.strip().lower(): value.strip() for name, value in found.items()}


def _numbers(given: dict[str, str], wanted: tuple[tuple[str, int, int, int], ...]) -> Parameters | None:
    """(name, default, least, most) -> what to answer: said as offered, left out where it was not."""
    out: list[tuple[str, str]] = []
    for name, default, least, most in wanted:
        text = given.get(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 4 and least <= int(text) <= most):
            return None
        if name in given:
            out.append((name, str(int(text))))
    return tuple(out)
