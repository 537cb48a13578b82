"""The pictures and the sound of a container, as encoded frames have them. Runs in the child."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from server.errors import ProtocolError
from server.push.wire import Say
from server.srt.adts import frames

_SPS = {"h264": 7, "hevc": 33}  # NAL types (H.264 Table 7-1, H.265 Table 7-1) of what is taken
_TAGS = {b"BSSD": "SMPTE 302M"}  # format identifiers (SMPTE's registry) that FFmpeg keeps
_WRAP = 1 << 33  # ticks of MPEG-TS (ISO/IEC 13818-1 §2.4.3.7)


class Packets:
    """Iterates (kind, pts, data, is_keyframe): video in 90 kHz, AAC in 48 kHz ticks of one clock."""

    def __init__(self, container: Any, begun: bytes = b"") -> None:
        """`begun`: its first bytes. Raises ValueError where there is no video that is taken."""
        self._container = container
        videos = [stream for stream in container.streams.video if stream.codec_context is not None]
        self._video = next((each for each in videos if each.codec_context.name in _SPS), None)
        if self._video is None:
            raise ValueError("no H.264 or HEVC")
        sounds = container.streams.audio
        self._audio = next((each for each in sounds if codec_of(each) == "aac"), None)
        self._not_taken = codec_of(sounds[0], begun) if sounds and self._audio is None else ""
        self._codec: str = self._video.codec_context.name
        self._newest: int | None = None
        self._config: bytes | None = b""  # None: what came last was not taken

    def head(self) -> dict[str, str]:
        """`not_taken`: the codec of sound that is left out."""
        audio = "aac" if self._audio is not None else ""
        return {"video": self._codec, "audio": audio, "not_taken": self._not_taken}

    def __iter__(self) -> Iterator[tuple[Say, int, bytes, bool]]:
        streams = [stream for stream in (self._video, self._audio) if stream is not None]
        for packet in self._container.demux(streams):
            if packet.pts is None or not packet.size or packet.is_corrupt:
                continue
            pts = self._unwrapped(round(packet.pts * packet.time_base * 90_000))
            if packet.stream.index == streams[0].index:
                yield Say.VIDEO, pts, self._whole(packet), packet.is_keyframe
            else:
                yield from self._sound(bytes(packet), pts * 48 // 90)

    def _whole(self, packet: Any) -> bytes:
        """A keyframe with its parameter sets, also where the encoder said them only once."""
        data = bytes(packet)
        if not packet.is_keyframe or has_parameters(data, self._codec):
            return data
        return bytes(packet.stream.codec_context.extradata or b"") + data

    def _sound(self, data: bytes, pts: int) -> Iterator[tuple[Say, int, bytes, bool]]:
        try:
            taken = list(frames(data))
        except ProtocolError as error:
            if self._config is not None:  # said once
                self._config = None
                yield Say.NO_SOUND, 0, str(error).encode(), False
            return
        for config, frame in taken:
            if config != self._config:
                self._config = config
                yield Say.CONFIG, 0, config, False
            yield Say.AUDIO, pts, frame, False
            pts += 1024 * 48_000 // RATES[(config[0] & 7) << 1 | config[1] >> 7]

    def _unwrapped(self, pts: int) -> int:
        if self._newest is None:
            self._newest = pts
        pts += round((self._newest - pts) / _WRAP) * _WRAP
        self._newest = max(self._newest, pts)
        return pts


def has_parameters(data: bytes, codec: str) -> bool:
    """Whether an Annex-B access unit has its sequence parameter set."""
    at = data.find(b"\0\0\1")
    while 0 <= at < len(data) - 3:
        kind = data[at + 3] & 31 if codec == "h264" else data[at + 3] >> 1 & 63
        if kind == _SPS[codec]:
            return True
        at = data.find(b"\0\0\1", at + 3)
    return False


RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
"""Of AAC (ISO/IEC 14496-3 §1.6.3.4)."""


def codec_of(stream: Any, begun: bytes = b"") -> str:
    """Of a container's stream, not of its decoder (mp3float). What NUT has no name for is known by MPEG-TS'
    tag in its heads, `begun`; "unknown" for all else that libav does not know here."""
    context = stream.codec_context
    if context is not None:
        return str(context.codec.canonical_name)
    return next((name for tag, name in _TAGS.items() if tag in begun), "unknown")
