"""Audio messages to Opus: AAC with real sound, Opus as it is, and what is not taken."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from gpu.errors import FrameError
from server.errors import ProtocolError
from server.peer.types import EncodedAudio
from server.rtmp.audio_in import AudioIn
from server.rtmp.audio_tag import AudioTag, FurtherTrack, read_audio_tags
from server.sound.aac_to_opus import HOPELESS
from tests.server.sound.sounds import Clicks, aac, opus
from tests.server.streams.stream_parts import until

CLICKS = Clicks(1.0, (0.5,))


async def test_aac_becomes_opus_on_the_clock_of_its_messages() -> None:
    heard: list[EncodedAudio] = []
    audio = AudioIn("cam", heard.append)
    config, frames = aac(CLICKS, 44_100, "stereo")
    audio.take(0, b"\xaf\x00" + config)
    assert audio.codec == "aac"
    origin_ms = 20_000_000
    for number, (data, at_s) in enumerate(frames):
        if number == 20:
            audio.take(0, b"\xaf\x00" + config)  # said again: nothing begins anew
        audio.take(origin_ms + round(at_s * 1000), b"\xaf\x01" + data)
    await until(lambda: len(heard) > 40)
    times = [packet.pts for packet in heard]
    assert all(b - a == 960 for a, b in pairwise(times))
    assert abs(times[0] - origin_ms * 48) < 48 * 100
    audio.close()
    audio.close()
    assert audio.codec is None


async def test_opus_of_enhanced_rtmp_is_passed_on() -> None:
    heard: list[EncodedAudio] = []
    audio = AudioIn("cam", heard.append)
    packets = opus(CLICKS)
    audio.take(0, b"\x90OpusOpusHead")
    for number, packet in enumerate(packets):
        audio.take(number * 20, b"\x91Opus" + packet.data)
    assert [packet.data for packet in heard] == [packet.data for packet in packets]
    assert [packet.pts for packet in heard[:3]] == [0, 960, 1920]
    audio.take(0, b"\x91Opus" + bytes(9000))
    audio.take(0, b"\x91Opus")
    audio.take(0, b"\x91mp4a" + bytes(10))
    assert len(heard) == len(packets)


async def test_what_is_not_taken_is_left_out_and_what_comes_after_is_heard() -> None:
    heard: list[EncodedAudio] = []
    audio = AudioIn("cam", heard.append)
    assert audio.shown == ""
    for payload, shown in [
        (b"\x2f" + bytes(40), "mp3 (not taken)"),
        (b"\xaf\x00", "aac (not taken)"),
        (b"\x90ac-3", "ac-3 (not taken)"),
        (b"\xaf\x01" + bytes(40), "ac-3 (not taken)"),
    ]:
        audio.take(0, payload)
        assert audio.codec is None
        assert audio.shown == shown
    config, frames = aac(CLICKS, 48_000, "mono")
    audio.take(0, b"\xaf\x00" + config)
    for data, at_s in frames:
        audio.take(round(at_s * 1000), b"\xaf\x01" + data)
    await until(lambda: len(heard) > 10)
    assert audio.shown == "aac"
    audio.close()


def as_obs_sends(track: int, body: bytes, config: bool = False) -> bytes:
    """An audio message of OBS 30.2 and later (plugins/obs-outputs/flv-mux.c): the first track as ever, each
    further one by itself, its number behind the codec's name."""
    kind = 0 if config else 1
    return bytes([0xAF, kind]) + body if track == 0 else bytes([0x95, kind]) + b"mp4a" + bytes([track]) + body


async def test_further_tracks_of_obs_are_left_out_and_named_once(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[EncodedAudio] = []
    audio = AudioIn("cam", heard.append)
    config, frames = aac(CLICKS, 48_000, "stereo")
    audio.take(0, as_obs_sends(0, config, config=True))
    for track in (1, 2, 5):
        audio.take(0, as_obs_sends(track, config, config=True))
    for data, at_s in frames:
        for track in (0, 1, 2, 5):
            audio.take(round(at_s * 1000), as_obs_sends(track, data))
    await until(lambda: len(heard) > 40)
    times = [packet.pts for packet in heard]
    assert all(b - a == 960 for a, b in pairwise(times)), "no track is heard twice, or between"
    assert audio.codec == "aac"
    assert audio.shown == "aac, further tracks (not taken)"
    assert caplog.text.count("first audio track is taken, and none beside it") == 1
    audio.close()


async def test_aac_of_which_nothing_can_be_decoded_is_said_until_something_can() -> None:
    audio = AudioIn("cam", lambda _: None)
    config, frames = aac(CLICKS, 48_000, "stereo")
    audio.take(0, b"\xaf\x00" + config)
    assert audio.shown == "aac"
    taken = 0
    async with asyncio.timeout(30):
        while audio.shown == "aac":
            audio.take(taken * 21, b"\xaf\x01" + b"\xff" * 40)
            taken += 1
            await asyncio.sleep(0.001)
    assert taken >= HOPELESS
    assert audio.shown == "aac (not taken)"
    for data, at_s in frames[:20]:
        audio.take(2000 + round(at_s * 1000), b"\xaf\x01" + data)
    await until(lambda: audio.shown == "aac")
    audio.close()


@pytest.mark.parametrize(
    ("payload", "tags"),
    [
        (b"", []),
        (b"\xaf\x00\x12\x10", [AudioTag("config", "aac", b"\x12\x10")]),
        (b"\xaf\x01abc", [AudioTag("frame", "aac", b"abc")]),
        (b"\x90mp4a\x12\x10", [AudioTag("config", "aac", b"\x12\x10")]),
        (b"\x91Opusabc", [AudioTag("frame", "opus", b"abc")]),
        (b"\x97\x01\0\0\x01mp4aabc", [AudioTag("frame", "aac", b"abc")]),
        (b"\x92mp4a", []),
        (b"\x94\0", []),
        (b"\x95\x01mp4a\x00abc", [AudioTag("frame", "aac", b"abc")]),
        (b"\x95\x01fLaC\x01abc", [FurtherTrack(1)]),
        (
            b"\x95\x20Opus\x03\0\0\x01xmp4a\x00\0\0\x02\x12\x10",
            [FurtherTrack(3), AudioTag("config", "aac", b"\x12\x10")],
        ),
    ],
)
def test_heads_of_messages(payload: bytes, tags: list[AudioTag | FurtherTrack]) -> None:
    assert list(read_audio_tags(payload)) == tags


@pytest.mark.parametrize("payload", [b"\xaf", b"\x90Op", b"\x97", b"\x97\xff\xff\xff", b"\x95\x01mp4a"])
def test_heads_that_break_off(payload: bytes) -> None:
    with pytest.raises(FrameError, match="breaks off"):
        list(read_audio_tags(payload))


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"\x2f\0", "MP3 sound is not taken: set the encoder to AAC"),
        (b"\xb2\0", "Speex sound"),
        (b"\xd0\0", "format 13 sound"),
        (b"\x95\x01fLaC\x00", "fLaC sound"),
        (b"\x91fLaC", "fLaC sound"),
        (b'\x91\x00<"\xff', "---- sound"),
    ],
)
def test_what_is_not_taken_is_said(payload: bytes, words: str) -> None:
    with pytest.raises(ProtocolError, match=words):
        list(read_audio_tags(payload))
