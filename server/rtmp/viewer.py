"""Who watches a stream by RTMP: the edited frames as FLV's messages. Knows no socket and no command.

Nothing is encoded for it. What its network does not bear is dropped down to a keyframe.
"""

from __future__ import annotations

import time
from typing import Protocol

from gpu.errors import FrameError
from gpu.types import EncodedFrame
from server.peer.types import EncodedAudio
from server.rtmp import messages
from server.rtmp.aac_fan import AacFan
from server.rtmp.amf0 import Value, encode
from server.rtmp.limits import RtmpLimits
from server.rtmp.nal import to_lengths
from server.sound.types import AacFrame
from server.streams.stream import Stream
from server.streams.types import ViewerKind

_KEYFRAME, _INTER, _AVC = 0x10, 0x20, 7  # FLV 10.1 §E.4.3.1
_CONFIG, _FRAME = 0, 1
_AAC = 0xAF  # AAC, and what its other bits are to be (§E.4.2.1)
_AAC_ID = 10
_HELD_FRAMES = 64  # as many as the stream begins with at once, before the player was told that it begins
_ROOM = 4  # a player that was too slow goes on when this part of its buffer is in use


class Outlet(Protocol):
    """How messages leave."""

    @property
    def unsent_bytes(self) -> int: ...
    def send(self, kind: int, time_ms: int, payload: bytes) -> None: ...
    def end(self, code: str, message: str) -> None: ...


class RtmpViewer:
    """Loop thread only. What comes before `begin` is held for it."""

    def __init__(self, stream: Stream, outlet: Outlet, fan: AacFan, limits: RtmpLimits) -> None:
        self._stream, self._outlet, self._fan, self._limits = stream, outlet, fan, limits
        self._held: list[EncodedFrame] | None = []
        self._leave_fan = fan.join(self._on_aac)
        self._origin: int | None = None  # pts of the first picture, 90 kHz
        self._record = b""
        self._heard = False  # the sound's config is sent
        self._dropping = self._asked = False
        self._full_since_s: float | None = None
        self.dropped = 0  # pictures

    @property
    def kind(self) -> ViewerKind:
        return "rtmp"

    def begin(self) -> None:
        """The player was told that it begins."""
        held, self._held = self._held or [], None
        self._outlet.send(messages.DATA, 0, encode("onMetaData", self._about()))
        for frame in held:
            self.send_video(frame)

    def close(self) -> None:
        """Idempotent; the stream hears of it from who calls."""
        self._stream.remove_viewer(self)
        self._leave_fan()

    # -- Viewer

    def send_video(self, frame: EncodedFrame) -> None:
        if self._held is not None:
            self._held = [frame] if frame.is_keyframe else [*self._held, frame][:_HELD_FRAMES]
            return
        if frame.codec != "h264":
            self.end("codec", f"players by RTMP take H.264, and this stream is {frame.codec}: use the page")
            return
        if not self._fits(frame):
            self.dropped += 1
            return
        if self._origin is None:
            self._origin = frame.pts
        time_ms = max(0, frame.pts - self._origin) // 90
        try:
            data, record = to_lengths(frame.data)
        except FrameError:
            return
        kind = (_KEYFRAME if frame.is_keyframe else _INTER) | _AVC
        if record and record != self._record:
            self._record = record
            self._outlet.send(messages.VIDEO, time_ms, bytes((_KEYFRAME | _AVC, _CONFIG, 0, 0, 0)) + record)
        if data:
            self._outlet.send(messages.VIDEO, time_ms, bytes((kind, _FRAME, 0, 0, 0)) + data)

    def send_audio(self, packet: EncodedAudio) -> None:
        self._fan.push(packet)

    def end(self, code: str, message: str) -> None:
        self._outlet.end(code, message)

    # -- inside

    def _on_aac(self, frame: AacFrame) -> None:
        if self._origin is None or self._outlet.unsent_bytes > self._limits.send_bytes:
            return
        time_ms = (frame.pts_48k - self._origin * 48 // 90) // 48
        if time_ms < 0:
            return
        if not self._heard:
            self._heard = True
            self._outlet.send(messages.AUDIO, time_ms, bytes((_AAC, _CONFIG)) + self._fan.config)
        self._outlet.send(messages.AUDIO, time_ms, bytes((_AAC, _FRAME)) + frame.data)

    def _fits(self, frame: EncodedFrame) -> bool:
        """Whether this picture is sent; after one that was not, the next is a keyframe."""
        unsent = self._outlet.unsent_bytes
        if unsent > self._limits.send_bytes:
            self._dropping, self._asked = True, False
            now_s = time.monotonic()
            if self._full_since_s is None:
                self._full_since_s = now_s
            elif now_s - self._full_since_s > self._limits.stalled_s:
                self.end("too-slow", "the player does not take what it is sent: lower the stream's bitrate")
            return False
        self._full_since_s = None
        if self._origin is not None and not self._dropping:
            return True
        if frame.is_keyframe:
            self._dropping = False
            return True
        if not self._asked and unsent <= self._limits.send_bytes // _ROOM:
            self._asked = True
            self._stream.want_keyframe(self)
        return False

    def _about(self) -> dict[str, Value]:
        facts = self._stream.facts()
        about: dict[str, Value] = {"encoder": "relens", "videocodecid": _AVC}
        if facts.width and facts.height:
            about |= {"width": facts.width, "height": facts.height}
        if facts.publisher is not None and facts.publisher.audio:
            about["audiocodecid"] = _AAC_ID
        return about
