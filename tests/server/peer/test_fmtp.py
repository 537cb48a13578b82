"""Parameters of an offer: which streams are taken, and what is answered."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu.codec import DECODES
from gpu.types import Codec
from server.peer.fmtp import NAMES, WORDS, agreed, hevc_parameter_sets

H264_HEAD = (("level-asymmetry-allowed", "1"), ("packetization-mode", "1"))


@pytest.mark.parametrize(
    ("codec", "fmtp", "answer"),
    [
        ("vp8", "", ()),
        ("vp8", "max-fr=30", ()),
        ("h264", "packetization-mode=1", (*H264_HEAD, ("profile-level-id", "42e01f"))),
        (
            "h264",
            "packetization-mode=1;profile-level-id=640C1f",
            (*H264_HEAD, ("profile-level-id", "640C1f")),
        ),
        ("h264", "profile-level-id=42e01f", None),  # mode 0
        ("h264", "packetization-mode=1;profile-level-id=f4001f", None),  # 4:4:4
        ("vp9", "", ()),
        ("vp9", "profile-id=0", (("profile-id", "0"),)),
        ("vp9", "profile-id=2", None),  # 10 bits
        ("av1", "", ()),
        (
            "av1",
            "level-idx=5;profile=0;tier=0",
            (("level-idx", "5"), ("profile", "0"), ("tier", "0")),
        ),
        ("av1", "profile=1", None),
        ("av1", "level-idx=32", None),
        ("hevc", "", ()),
        (
            "hevc",
            "level-id=180;profile-id=1;tier-flag=0;tx-mode=SRST",
            (("level-id", "180"), ("profile-id", "1"), ("tier-flag", "0")),
        ),
        ("hevc", "profile-id=2", None),
        ("hevc", "tx-mode=MRST", None),  # several streams
        ("hevc", "sprop-max-don-diff=2", None),  # out of decoding order
        ("hevc", "level-id=-1", None),
    ],
)
def test_what_is_taken_and_answered(
    codec: Codec, fmtp: str, answer: tuple[tuple[str, str], ...] | None
) -> None:
    assert agreed(codec, fmtp) == answer


def test_every_codec_has_its_name_and_words() -> None:
    assert set(NAMES) == set(WORDS) == set(DECODES)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.sampled_from(DECODES), st.text(max_size=60) | st.text("profile-d0123=;txnoSRT ", max_size=60))
def test_any_text_is_answered_in_plain_characters_or_refused(codec: Codec, fmtp: str) -> None:
    for name, value in agreed(codec, fmtp) or ():
        assert f"{name}{value}".isascii()
        assert not set(";=\r\n ") & set(name + value)


def test_parameter_sets_of_an_offer() -> None:
    vps, sps, pps = b"\x40\x01vps", b"\x42\x01sps", b"\x44\x01pps"
    text = [base64.b64encode(nal).decode() for nal in (vps, sps, pps)]
    fmtp = f"profile-id=1; sprop-vps={text[0]}; sprop-sps={text[1]}; sprop-pps={text[2]},{text[2]}"
    start = b"\x00\x00\x00\x01"
    assert hevc_parameter_sets(fmtp) == start + vps + start + sps + (start + pps) * 2
    assert hevc_parameter_sets("profile-id=1") == b""
    assert hevc_parameter_sets("sprop-sps=?") == b""
