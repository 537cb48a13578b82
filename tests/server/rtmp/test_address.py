"""Addresses as encoders cut them."""

from __future__ import annotations

import pytest

from server.errors import ProtocolError
from server.rtmp.address import Address, check_app, read_address


@pytest.mark.parametrize(
    ("app", "tc_url", "name"),
    [
        ("live", "rtmp://h/live", "cam?key=abcd-1234"),
        ("live/", "rtmp://h/live/", "/cam?key=abcd-1234"),
        ("live?key=abcd-1234", "rtmp://h/live?key=abcd-1234", "cam"),
        ("live", "rtmp://h/live?key=abcd-1234", "cam"),
        ("live/cam", "rtmp://h/live/cam", "?key=abcd-1234"),
        ("live/cam?key=abcd-1234", "", ""),
        ("live", "", "cam?x=1&key=abcd-1234&key=other"),
        ("live?key=other", "", "cam?key=abcd-1234"),
        ("live", "", "cam?key=abcd%2D1234"),
    ],
)
def test_all_of_them_name_the_same(app: str, tc_url: str, name: str) -> None:
    check_app(app)
    assert read_address(app, tc_url, name) == Address("cam", "abcd-1234")


def test_takeover_and_keys_with_a_plus() -> None:
    assert read_address("live", "", "cam?key=a+b&takeover=1") == Address("cam", "a+b", takeover=True)
    assert not read_address("live", "", "cam?key=a&takeover=0").takeover
    assert "secret" not in repr(read_address("live", "", "cam?key=secret"))


@pytest.mark.parametrize(
    "name", ["", "?key=a", "a/b", "Cam", "cam cam", "../cam", "c" * 64, "cam\x00", "%2e%2e", "a" * 9999]
)
def test_what_names_no_stream(name: str) -> None:
    with pytest.raises(ProtocolError, match="in OBS the server"):
        read_address("live", "", name)


@pytest.mark.parametrize("name", ["Key-1234", "cam&key=Key-1234", "cam/Key-1234", "cam;key=Key-1234"])
def test_a_key_in_the_wrong_place_is_not_repeated(name: str) -> None:
    with pytest.raises(ProtocolError) as refused:
        read_address("live", "", name)
    assert "Key-1234" not in str(refused.value)


@pytest.mark.parametrize("app", ["", "app", "live2", "/", "?live", "a" * 5000])
def test_another_application(app: str) -> None:
    with pytest.raises(ProtocolError, match="the server is rtmp://HOST/live"):
        check_app(app)
