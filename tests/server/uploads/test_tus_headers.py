"""The headers of tus: what is right is read, whatever else comes is refused with the protocol's status."""

from __future__ import annotations

import base64
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.uploads import tus
from server.uploads.tus import TusError

KEYS = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1, max_size=20
)


def packed(pairs: dict[str, str]) -> str:
    return ",".join(f"{key} {base64.b64encode(value.encode()).decode()}" for key, value in pairs.items())


@given(st.dictionaries(KEYS, st.text(max_size=30), max_size=8))
def test_metadata_round_trips(pairs: dict[str, str]) -> None:
    assert tus.read_metadata(packed(pairs)) == pairs


def test_a_key_may_have_no_value() -> None:
    assert tus.read_metadata("is_confidential, name Zm9v") == {"is_confidential": "", "name": "foo"}


@given(
    st.dictionaries(
        st.sampled_from(
            [
                "Upload-Length",
                "Upload-Offset",
                "Upload-Metadata",
                "Upload-Checksum",
                "Upload-Defer-Length",
                "Tus-Resumable",
            ]
        ),
        st.text(max_size=40),
    )
)
def test_whatever_comes_is_read_or_refused(headers: dict[str, str]) -> None:
    for read in (
        lambda: tus.read_creation(headers, 1000),
        lambda: tus.read_offset(headers),
        lambda: tus.read_checksum(headers),
        lambda: tus.check_version(headers),
    ):
        with contextlib.suppress(TusError):
            read()


@pytest.mark.parametrize(
    ("headers", "status", "said"),
    [
        ({}, 400, "Upload-Length, or"),
        ({"Upload-Length": "5", "Upload-Defer-Length": "1"}, 400, "not both"),
        ({"Upload-Defer-Length": "2"}, 400, "only be 1"),
        ({"Upload-Length": "-1"}, 400, "whole number"),
        ({"Upload-Length": "1e3"}, 400, "whole number"),
        ({"Upload-Length": "٣"}, 400, "whole number"),
        ({"Upload-Length": "99999999999999999999"}, 400, "whole number"),
        ({"Upload-Length": "1001"}, 413, "at most 1000"),
        ({"Upload-Length": "1", "Upload-Metadata": "a !!!"}, 400, "base64"),
        ({"Upload-Length": "1", "Upload-Metadata": "a Zm9v,a Zm9v"}, 400, "twice"),
        ({"Upload-Length": "1", "Upload-Metadata": "ä Zm9v"}, 400, "ASCII"),
        ({"Upload-Length": "1", "Upload-Metadata": "a /w=="}, 400, "UTF-8"),
        ({"Upload-Length": "1", "Upload-Metadata": "a " + "A" * 4096}, 400, "characters"),
    ],
)
def test_creations_that_are_refused(headers: dict[str, str], status: int, said: str) -> None:
    with pytest.raises(TusError, match=said) as refusal:
        tus.read_creation(headers, 1000)
    assert refusal.value.status == status


def test_a_creation_is_read() -> None:
    made = tus.read_creation(
        {
            "Upload-Length": "1000",
            "Upload-Metadata": packed({"filename": "a ü.mp4"}),
            "Content-Type": tus.OFFSET_STREAM,
        },
        1000,
    )
    assert (made.length, made.metadata, made.begins) == (1000, {"filename": "a ü.mp4"}, True)
    assert tus.read_creation({"Upload-Defer-Length": "1"}, 5).length is None


@pytest.mark.parametrize("text", ["sha512 Zm9v", "sha1", "sha1 !!", "", "crc32 Zm9v"])
def test_checksums_that_are_refused(text: str) -> None:
    if text == "sha1":
        assert tus.read_checksum({"Upload-Checksum": text}) == tus.Checksum("sha1", b"")
        return
    with pytest.raises(TusError):
        tus.read_checksum({"Upload-Checksum": text})


def test_versions() -> None:
    tus.check_version({"Tus-Resumable": "1.0.0"})
    for headers in ({}, {"Tus-Resumable": "0.2.2"}):
        with pytest.raises(TusError) as refusal:
            tus.check_version(headers)
        assert refusal.value.status == 412


def test_dates_are_https() -> None:
    assert tus.http_date(0) == "Thu, 01 Jan 1970 00:00:00 GMT"
