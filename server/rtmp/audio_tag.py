"""The head of an audio message: FLV's (Adobe's "FLV 10.1" §E.4.2) and enhanced RTMP's version 2."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from gpu.errors import FrameError
from server.errors import ProtocolError
from server.rtmp.multitrack import MAIN, read_tracks
from server.rtmp.video_tag import read_modifier

_AAC, _ENHANCED = 10, 9  # sound formats
_FORMATS = {
    0: "PCM", 1: "ADPCM", 2: "MP3", 3: "PCM", 4: "Nellymoser", 5: "Nellymoser", 6: "Nellymoser", 7: "G.711",
    8: "G.711", 11: "Speex", 14: "MP3",
}  # fmt: skip
_START, _FRAMES, _MULTITRACK, _MODIFIER = 0, 1, 5, 7  # packet types
AudioCodec = Literal["aac", "opus"]
_FOURCCS: dict[bytes, AudioCodec] = {b"mp4a": "aac", b"Opus": "opus"}


class NotTaken(ProtocolError):
    """Sound of a kind that is not taken: `sound` names it."""

    def __init__(self, sound: str) -> None:
        super().__init__(f"{sound} sound is not taken: set the encoder to AAC")
        self.sound = sound


@dataclass(frozen=True, slots=True)
class AudioTag:
    """`config`: an AudioSpecificConfig, or Opus's head. `frame`: one raw frame or packet."""

    kind: Literal["config", "frame"]
    codec: AudioCodec
    body: bytes


@dataclass(frozen=True, slots=True)
class FurtherTrack:
    """Sound beside the main track's, number 0: there is a place for one."""

    number: int


def read_audio_tags(payload: bytes) -> Iterator[AudioTag | FurtherTrack]:
    """What one message holds: nothing where that is no sound, several where it is of several tracks.

    Raises FrameError for a message that breaks off, NotTaken for a codec that is not taken."""
    if not payload:
        return
    form = payload[0] >> 4
    if form == _ENHANCED:
        yield from _read_enhanced(payload)
        return
    if form != _AAC:
        raise NotTaken(_FORMATS.get(form, f"format {form}"))
    if len(payload) < 2:
        raise FrameError("an audio message that breaks off in its head")
    yield AudioTag("config" if payload[1] == _START else "frame", "aac", payload[2:])


def _read_enhanced(payload: bytes) -> Iterator[AudioTag | FurtherTrack]:
    packet_type, at = payload[0] & 15, 1
    while packet_type == _MODIFIER:
        packet_type, at = read_modifier(payload, at)
    if packet_type != _MULTITRACK:
        yield from _read_one(packet_type, payload[at : at + 4], payload[at + 4 :])
        return
    for track in read_tracks(payload, at):
        if track.number == MAIN:
            yield from _read_one(track.packet_type, track.fourcc, track.body)
        else:
            yield FurtherTrack(track.number)


def _read_one(packet_type: int, fourcc: bytes, body: bytes) -> Iterator[AudioTag]:
    if packet_type not in (_START, _FRAMES):
        return
    if len(fourcc) < 4:
        raise FrameError("an audio message that breaks off in its head")
    codec = _FOURCCS.get(fourcc)
    if codec is None:
        raise NotTaken("".join(char if char.isalnum() else "-" for char in fourcc.decode("ascii", "replace")))
    yield AudioTag("config" if packet_type == _START else "frame", codec, body)
