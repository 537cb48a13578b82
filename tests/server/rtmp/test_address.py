"""Addresses as encoders cut them."""

from __future__ import annotations

import pytest

from server.errors import ProtocolError
from server.rtmp.address import Address, check_app, read_address, server_of


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
    check_app(app, tc_url)
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
    with pytest.raises(ProtocolError, match="the server is rtmp://h:1936/live"):
        check_app(app, "rtmp://h:1936/app")


@pytest.mark.parametrize(
    ("tc_url", "server"),
    [
        ("rtmp://relens.example:1936/live?key=secret", "rtmp://relens.example:1936"),
        ("rtmp://192.0.2.7/live", "rtmp://192.0.2.7"),
        ("rtmps://[2001:db8::7]:443/live", "rtmps://[2001:db8::7]:443"),
        ("rtmp://secret@host/live", "rtmp://HOST:PORT"),
        ("rtmp://ho st/live", "rtmp://HOST:PORT"),
        ("http://host/live", "rtmp://HOST:PORT"),
        ("", "rtmp://HOST:PORT"),
    ],
)
def test_the_server_is_said_as_its_peer_wrote_it(tc_url: str, server: str) -> None:
    assert server_of(tc_url) == server
    with pytest.raises(ProtocolError, match="in OBS the server") as refused:
        read_address("live", tc_url, "")
    assert f"write {server}/live/STREAM?key=KEY" in str(refused.value)
    assert "secret" not in str(refused.value)
