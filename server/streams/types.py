"""What a stream is made of, what feeds it and who sees it. Data and protocols; knows no HTTP and no sockets.

One clock per stream: `pts` of video (90 kHz) and of audio (48 kHz) count from the same instant of the
publisher's time, so that who plays both knows what belongs together.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta

from gpu.types import Codec, EncodedFrame
from server.peer.types import EncodedAudio
from server.protocol import MAX_PROMPT_CHARS, Latency, Received

NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}", re.ASCII)  # in URLs, OBS settings and file names alike
MOST_PRESETS = 9  # the number keys, and as many hotkeys in OBS
MOST_TARGETS = 8
Name = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$")]
Words = Annotated[str, Meta(max_length=MAX_PROMPT_CHARS)]
Share = Annotated[float, Meta(ge=0, le=1)]

StreamState = Literal["idle", "waiting", "live"]
"""`idle`: nobody publishes. `waiting`: the publisher broke off a moment ago, viewers are kept for it."""
PublisherKind = Literal["whip", "rtmp", "srt"]
ViewerKind = Literal["whep", "rtmp", "push"]
TargetState = Literal["off", "connecting", "pushing", "backing-off", "refused"]


class _Body(msgspec.Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    """On the wire and kept: camelCase, unknown fields refused."""


class StreamPreset(_Body, frozen=True):
    """An edit at a number key, a button or a hotkey of OBS."""

    name: Annotated[str, Meta(max_length=60)]
    prompt: Words
    strength: Share = 1.0
    transition_ms: Annotated[int, Meta(ge=0, le=10_000)] = 400


class Target(_Body, frozen=True):
    """Where the edited stream is pushed on to: rtmp://, rtmps:// or srt://, key and all."""

    name: Annotated[str, Meta(min_length=1, max_length=60)]
    url: Annotated[str, Meta(max_length=1000)]
    enabled: bool = True


class SrtIn(_Body, frozen=True):
    """The stream's own SRT listener. `passphrase` 10 to 79 characters (libsrt's rule), and such as go into an
    encoder's URL as they are: FFmpeg and OBS decode no others there."""

    port: Annotated[int, Meta(ge=1, le=65535)]
    passphrase: Annotated[str, Meta(min_length=10, max_length=79, pattern=r"^[A-Za-z0-9 ._~-]+$")]
    latency_ms: Annotated[int, Meta(ge=20, le=8000)] = 120


class StreamSettings(_Body, frozen=True):
    """What an operator sets of a stream; secrets included. Kept."""

    key: Annotated[str, Meta(min_length=8, max_length=128)]  # who publishes, or edits as OBS does, shows it
    view_key: Annotated[str, Meta(max_length=128)] = ""  # "": whoever reaches the server may watch
    prompt: Words = ""  # in force when it goes live for the first time
    strength: Share = 1.0
    model: str = ""  # "": the server's default
    bitrate_bps: Annotated[int, Meta(ge=0, le=100_000_000)] = 0  # of the edited video; 0: max_bitrate_bps
    presets: Annotated[tuple[StreamPreset, ...], Meta(max_length=MOST_PRESETS)] = ()
    targets: Annotated[tuple[Target, ...], Meta(max_length=MOST_TARGETS)] = ()
    srt: SrtIn | None = None
    # Another relens that has this stream: WHIP and WHEP are sent there by 307, key and all. "": here.
    redirect: Annotated[str, Meta(max_length=300, pattern=r"^(https?://[^\s?#]+)?$")] = ""


class PublisherFacts(_Body, frozen=True):
    """Measured over the last second. `address` without its port, for operators only, else ""."""

    kind: PublisherKind
    codec: Codec
    audio: str  # "opus", "aac", what is not taken with its reason in a word: "mp3 (not taken)"; "": none
    software: str  # what it calls itself: "OBS-Studio/29.0.2"; ""
    address: str
    age_s: float
    fps: float
    bitrate_bps: int


class TargetFacts(_Body, frozen=True):
    """`host` is all that is shown of its URL: the rest is a secret."""

    name: str
    host: str
    state: TargetState
    message: str = ""  # why it is not pushing, and what to do
    since_s: float = 0.0
    bitrate_bps: int = 0
    retries: int = 0


class StreamEdit(_Body, frozen=True):
    """The edit asked for last, its receipt, and whether the picture shows it."""

    revision: int = 0
    applied: int = -1  # the newest revision that a viewer could see; -1: none yet
    received: Received | None = None


class StreamFacts(_Body, frozen=True):
    """A stream, as far as who asks may see it; what was measured is of the last second. `needs_key`: who asks
    may not watch without its view key or key; all but name and state is then empty. `targets` are for
    operators and who holds the key."""

    name: str
    state: StreamState
    needs_key: bool = False
    edit: StreamEdit = StreamEdit()
    publisher: PublisherFacts | None = None
    viewers: int = 0  # people: targets are none
    age_s: float = 0.0  # since it went live; 0 when it is not
    width: int = 0
    height: int = 0
    fps_out: float = 0.0
    bitrate_out_bps: int = 0  # encoded once
    latency: Latency = Latency(p50_ms=0.0, p95_ms=0.0)  # a frame's last packet in -> the edited frame out
    targets: tuple[TargetFacts, ...] = ()
    model: str = ""
    device: str = ""
    degraded: str = ""  # in words, while it stepped down


class Publisher(Protocol):
    """What feeds a stream. Made by who speaks its protocol; loop thread only, nothing here waits.

    It hands in frames by Stream.on_video and Stream.on_audio, and says its own end by Stream.unpublish."""

    @property
    def kind(self) -> PublisherKind: ...
    def request_keyframe(self) -> None:
        """Where its protocol can; else nothing."""
        ...

    def end(self, code: str, message: str) -> None:
        """Begin to end it (taken over, stream deleted, server stops); idempotent."""
        ...

    def facts(self) -> PublisherFacts: ...


class Viewer(Protocol):
    """Who gets the edited stream. Loop thread only, nothing here waits: what does not fit is dropped down to
    a keyframe by the viewer itself, and asked for by Stream.want_keyframe."""

    @property
    def kind(self) -> ViewerKind: ...
    def send_video(self, frame: EncodedFrame) -> None: ...
    def send_audio(self, packet: EncodedAudio) -> None: ...
    def end(self, code: str, message: str) -> None:
        """Begin to end it; idempotent."""
        ...
