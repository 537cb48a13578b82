"""Every message of the data channel `edits`, as one tagged union each way. Data and codec only.

Text messages carry JSON, binary ones MessagePack; the same structs. Names on the wire are camelCase.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

MAX_PROMPT_CHARS = 2_000
Revision = Annotated[int, Meta(ge=0, le=2**53 - 1)]  # 2^53-1: what a browser's number holds exactly
Label = Annotated[str, Meta(max_length=MAX_PROMPT_CHARS)]


class _Message(Struct, rename="camel", forbid_unknown_fields=True, frozen=True, kw_only=True):
    pass


# client -> server


class EditMessage(_Message, tag="edit", frozen=True):
    revision: Revision
    prompt: Label
    strength: Annotated[float, Meta(ge=0, le=1)] = 1.0
    transition_ms: Annotated[int, Meta(ge=0, le=10_000)] = 400
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0


class Pause(_Message, tag="pause", frozen=True):
    """The edited stream stops until `resume`; the source is not processed meanwhile."""


class Resume(_Message, tag="resume", frozen=True):
    pass


class Ping(_Message, tag="ping", frozen=True):
    t: float


class Seek(_Message, tag="seek", frozen=True):
    """Of a film's preview: go on from there, in seconds; outside the film means its nearest end."""

    at: Annotated[float, Meta(ge=0, le=1e7)]


ClientMessage = EditMessage | Pause | Resume | Ping | Seek


# server -> client


class Part(_Message, frozen=True):
    """One edit that a model found in a prompt; `colours`: what is found, then what it becomes."""

    name: str
    amount: float
    region: Literal["everywhere", "background", "person"] = "everywhere"
    colours: list[str] = []


class Received(_Message, tag="received", frozen=True):
    """At once: the edit was taken, and what the model took it for."""

    revision: Revision
    label: str = ""
    parts: list[Part] = []
    confidence: float = 1.0
    understood: bool = True
    nearest: list[str] = []
    left_out: list[str] = []  # asked for and not done along with the parts, in words
    note: str = ""  # for people: how much "more" came to, or why what was asked for is beyond the model
    # What this is the reading of: the edit's own, or after "undo that" and "more" what that came to.
    prompt: str = ""
    strength: float = 1.0
    seed: int = 0


class Applied(_Message, tag="applied", frozen=True):
    """When the first frame under the edit leaves; `pts` is that frame's RTP timestamp (90 kHz, 32 bit)."""

    revision: Revision
    pts: int


class Latency(_Message, frozen=True):
    p50_ms: float
    p95_ms: float


class Stats(_Message, tag="stats", frozen=True):
    """Each second, measured on this stream over the last second. Latency is what the server adds."""

    fps_in: float
    fps_out: float
    width: int
    height: int
    bitrate_bps: int
    latency: Latency
    decode: Latency
    edit: Latency
    encode: Latency
    dropped: int
    model: str
    device: str
    decoder: str  # "libav" or "NVDEC"
    encoder: str  # "libx264", "libvpx" or "NVENC"
    codec: str
    revision: Revision
    uptime_s: float


class Degraded(_Message, tag="degraded", frozen=True):
    """The stream stepped down or up its ladder. `level` 0 is full quality; `message` is for people."""

    level: int
    message: str


class Error(_Message, tag="error", frozen=True):
    code: str
    message: str
    revision: Revision | None = None


class Position(_Message, tag="position", frozen=True):
    """Of a film's preview, a few times a second: where it is, in seconds."""

    at: float
    duration: float
    playing: bool


class Pong(_Message, tag="pong", frozen=True):
    t: float


ServerMessage = Received | Applied | Stats | Degraded | Error | Position | Pong

_json_in: msgspec.json.Decoder[ClientMessage] = msgspec.json.Decoder(ClientMessage)
_pack_in: msgspec.msgpack.Decoder[ClientMessage] = msgspec.msgpack.Decoder(ClientMessage)
_json_out = msgspec.json.Encoder()
_pack_out = msgspec.msgpack.Encoder()


def decode_client(data: str | bytes) -> ClientMessage:
    """Text is JSON, bytes are MessagePack. Raises msgspec.DecodeError (ValidationError among them)."""
    try:
        return _json_in.decode(data) if isinstance(data, str) else _pack_in.decode(data)
    except (UnicodeError, RecursionError) as error:  # msgspec lets these through: broken UTF-8, deep nesting
        raise msgspec.DecodeError(f"the message cannot be read: {error}") from error


def encode_server(message: ServerMessage, binary: bool = False) -> str | bytes:
    """`binary` where the client last spoke MessagePack."""
    return _pack_out.encode(message) if binary else _json_out.encode(message).decode()
