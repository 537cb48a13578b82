"""The bodies of /streams: what is asked for and what is answered, read and checked. Knows no HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from gpu.types import Edit, ModelSpec
from server.errors import ProtocolError
from server.protocol import Received
from server.push.address import read_address
from server.streams.types import (
    MOST_PRESETS,
    NAME,
    Share,
    StreamFacts,
    StreamPreset,
    StreamSettings,
    Words,
)
from server.wrong import in_words

Asked = TypeVar("Asked")


class _Body(msgspec.Struct, rename="camel", frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class StreamList(_Body, frozen=True):
    """Each as far as who asks may see it."""

    streams: list[StreamFacts]


class StreamPresets(_Body, frozen=True):
    """Numbered from 1 on: the stream's own, or the first of its model's where it has none."""

    presets: list[StreamPreset]


class SettingsAsked(StreamSettings, frozen=True):
    """The settings of a stream, all of them: what is left out is as in a new one. Without `key` a stream
    keeps its own, and a new one gets one. Keys are made of what a URL takes as it is."""

    key: Annotated[str, Meta(pattern=r"^([A-Za-z0-9._~-]{8,128})?$")] = ""
    view_key: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._~-]{0,128}$")] = ""


class EditAsked(_Body, frozen=True):
    """An instruction (`prompt`; "" is the picture as it came), or the `preset` of a number, not both. What
    goes with an instruction is, with a preset, said in the preset's place."""

    prompt: Words | None = None
    preset: Annotated[int, Meta(ge=1, le=MOST_PRESETS)] | None = None
    strength: Share | None = None
    transition_ms: Annotated[int, Meta(ge=0, le=10_000)] | None = None
    seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] = 0


class EditReceipt(Received, tag="received", frozen=True):
    """What the instruction was taken for. `applied`, where it was waited for: the RTP timestamp (90 kHz,
    32 bit) of the first picture under it, or null where none left yet."""

    applied: int | UnsetType | None = UNSET


class StreamSetup(_Body, frozen=True):
    """Everything to copy into OBS and its like, with keys. "" for what this server or stream does not have.

    WHIP in OBS: server `whip_url`, bearer token `whip_token`. RTMP in OBS: server `rtmp_server`, stream key
    `rtmp_key`; `rtmp_url` is both in one. `rtmp_play_url`, `whep_url`, `watch_url`: the edited stream."""

    whip_url: str
    whip_token: str
    whep_url: str
    rtmp_server: str
    rtmp_key: str
    rtmp_url: str
    rtmp_play_url: str
    srt_url: str
    srt_problem: str  # why nobody can publish by SRT now, or why the last one could not
    watch_url: str
    dock_url: str


def read_body(text: str, kind: type[Asked]) -> Asked:
    """Raises ProtocolError naming what is wrong."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise ProtocolError(f"the body is not what is asked for: {in_words(error)}") from error


def check_name(name: str) -> str:
    """Raises ProtocolError for what can name no stream."""
    if not NAME.fullmatch(name):
        raise ProtocolError(
            f"{name[:70]!r} names no stream: at most 63 of a to z, 0 to 9, - and _ do, no - or _ first"
        )
    return name


def settings_of(asked: SettingsAsked, key: str, models: Sequence[ModelSpec]) -> StreamSettings:
    """What is kept; `key` where none is asked for. Raises ProtocolError for what cannot work."""
    names = [spec.name for spec in models]
    if asked.model and asked.model not in names:
        raise ProtocolError(
            f"there is no model {asked.model[:60]!r}: leave it out, or take {', '.join(names)}"
        )
    targets = [target.name for target in asked.targets]
    if len(set(targets)) < len(targets):
        raise ProtocolError("two targets have the same name: give each one of its own")
    for target in asked.targets:
        read_address(target.url)
    said: dict[str, Any] = {name: getattr(asked, name) for name in asked.__struct_fields__}
    return StreamSettings(**{**said, "key": asked.key or key})


def presets_of(settings: StreamSettings, models: Sequence[ModelSpec], default: str) -> list[StreamPreset]:
    """At most MOST_PRESETS. `default`: the model of streams that name none."""
    if settings.presets:
        return list(settings.presets)
    model = settings.model or default
    found = [preset for spec in models if spec.name == model for preset in spec.presets]
    return [StreamPreset(name=preset.label[:60], prompt=preset.prompt) for preset in found[:MOST_PRESETS]]


def edit_of(asked: EditAsked, presets: Sequence[StreamPreset]) -> Edit:
    """Numbered by the stream. Raises ProtocolError for a preset there is not."""
    if (asked.prompt is None) == (asked.preset is None):
        raise ProtocolError("give prompt, or preset, and not both")
    if asked.preset is not None and asked.preset > len(presets):
        count = len(presets) or "none"
        raise ProtocolError(
            f"there is no preset {asked.preset}: the stream has {count}; set them in its settings"
        )
    chosen = (
        presets[asked.preset - 1]
        if asked.preset is not None
        else StreamPreset(name="", prompt=asked.prompt or "")
    )
    return Edit(
        prompt=chosen.prompt,
        strength=chosen.strength if asked.strength is None else asked.strength,
        transition_ms=chosen.transition_ms if asked.transition_ms is None else asked.transition_ms,
        seed=asked.seed,
    )


def receipt_of(received: Received, applied: int | UnsetType | None) -> EditReceipt:
    """`applied`: a timestamp of the stream's, unwrapped."""
    said: dict[str, Any] = {name: getattr(received, name) for name in received.__struct_fields__}
    return EditReceipt(**said, applied=applied & 0xFFFF_FFFF if isinstance(applied, int) else applied)
