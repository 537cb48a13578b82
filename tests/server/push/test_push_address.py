"""What a target's URL may be, and that nothing secret of it is told."""

from __future__ import annotations

import pytest

from server.push.address import BadTarget, read_address, secrets_of, shown_host, without_secrets


@pytest.mark.parametrize(
    ("url", "scheme", "host", "port"),
    [
        ("rtmp://live.example.org/app/key-1", "rtmp", "live.example.org", 1935),
        ("rtmps://live.example.org/app/key-1", "rtmps", "live.example.org", 443),
        ("rtmp://127.0.0.1:1936/live/x?key=abc", "rtmp", "127.0.0.1", 1936),
        ("srt://[::1]:9000?streamid=publish:x", "srt", "::1", 9000),
    ],
)
def test_what_is_taken(url: str, scheme: str, host: str, port: int) -> None:
    address = read_address(url)
    assert (address.scheme, address.host, address.port) == (scheme, host, port)


def test_what_srt_is_told_is_not_in_what_ffmpeg_is_called_with() -> None:
    address = read_address("srt://h:9?passphrase=with%26sign%20x&streamid=a+b&latency=200000&mode=caller")
    assert address.url == "srt://h:9?mode=caller"
    assert dict(address.options) == {"passphrase": "with&sign x", "streamid": "a+b", "latency": "200000"}
    assert "with" not in repr(address)


@pytest.mark.parametrize(
    ("url", "remedy"),
    [
        ("", "copy it once more"),
        ("rtmp://host/app/key with blank", "copy it once more"),
        ("rtmp://host/app/key\n", "copy it once more"),
        ("http://host/app/key", "rtmp://"),
        ("file:///etc/passwd", "rtmp://"),
        ("rtmp:///app/key", "rtmp://host/app/key"),
        ("rtmp://host:99999/app/key", "rtmp://host/app/key"),
        ("rtmp://user:word@host/app/key", "no user"),
        ("rtmp://ho%20st/app/key", "no plain host"),
        ("rtmp://host/app", "a stream key"),
        ("srt://host", "needs a port"),
        ("srt://host:9?mode=listener", "take mode= out"),
        ("srt://host:9?passphrase=short", "10 to 79"),
        ("srt://host:9?latency=soon", "digits"),
        ("srt://host:9?streamid=", "copy it once more"),
        ("srt://host:9?localaddr=1.2.3.4", "take localaddr out"),
    ],
)
def test_what_is_refused_names_the_remedy_and_no_key(url: str, remedy: str) -> None:
    with pytest.raises(BadTarget) as refused:
        read_address(url)
    assert remedy in str(refused.value)
    assert "/key" not in str(refused.value).replace("app/key", "")


def test_messages_of_platforms_are_cleaned() -> None:
    secrets = secrets_of(read_address("rtmp://host/app12/geheim-1?token=abcdef"))
    told = without_secrets("no key geheim-1 (token=abcdef)\n\x1b[31m in app12 " + "x" * 300, secrets)
    assert not any(word in told for word in ("geheim", "abcdef", "app12", "\n", "\x1b"))
    assert len(told) == 200


def test_the_host_is_all_that_is_shown() -> None:
    assert shown_host("rtmp://user:word@host.example/app/key?x=y") == "host.example"
    assert shown_host("rtmp://[::1/app") == ""
    assert shown_host("nothing") == ""
