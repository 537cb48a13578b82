"""The bodies of the HTTP API. Data only; server.openapi describes them from here."""

from __future__ import annotations

import msgspec

from gpu.types import ModelSpec, Reading
from server import protocol
from server.config import Config
from server.reading import wire_parts
from server.session_stats import SessionFacts


class _Body(msgspec.Struct, rename="camel", frozen=True, kw_only=True):
    pass


class PresetInfo(_Body, frozen=True):
    name: str
    label: str
    prompt: str
    group: str


class ModelInfo(_Body, frozen=True):
    """A model, what it can do, and where it runs once it is loaded."""

    name: str
    title: str
    licence: str
    weights: str
    frames_per_chunk: int
    max_size: tuple[int, int]  # width, height
    memory_bytes_per_stream: int
    presets: list[PresetInfo]
    default: bool
    device: str  # "" while it is not loaded
    why: str  # it is the default, where that was measured; else ""
    state: str  # of its weights: "ready", "incomplete" or "not downloaded"
    path: str  # who decodes, edits and encodes, and why no GPU does; "" where no server is asked
    note: str  # what everybody who sees its pictures must know of them; else ""


class ModelList(_Body, frozen=True):
    models: list[ModelInfo]


class ReadingInfo(_Body, frozen=True):
    """What a model takes an instruction for, without applying it."""

    label: str
    parts: list[protocol.Part]
    confidence: float
    understood: bool
    nearest: list[str]
    left_out: list[str]
    note: str


class IceServerInfo(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An RTCIceServer, as the browser takes it."""

    urls: list[str]
    username: str | None = None
    credential: str | None = None


class Limits(_Body, frozen=True):
    max_sessions: int
    idle_s: float
    max_session_s: float  # 0: without limit
    max_prompt_chars: int
    messages_per_s: float


class PageConfig(_Body, frozen=True):
    """What the page must know before it connects."""

    ice_servers: list[IceServerInfo]
    model: str
    device: str
    version: str
    limits: Limits


class SessionList(_Body, frozen=True):
    sessions: list[SessionFacts]
    max_sessions: int
    draining: bool


class Health(_Body, frozen=True):
    status: str
    version: str
    waits_for: str = ""  # what films, streams and session records wait for; "" where all is there


def model_info(
    spec: ModelSpec, default: bool, device: str, why: str = "", path: str = "", state: str = "ready"
) -> ModelInfo:
    return ModelInfo(
        name=spec.name,
        title=spec.title,
        licence=spec.licence,
        weights=spec.weights,
        frames_per_chunk=spec.frames_per_chunk,
        max_size=spec.max_size,
        memory_bytes_per_stream=spec.memory_bytes_per_stream,
        presets=[
            PresetInfo(name=p.name, label=p.label, prompt=p.prompt, group=p.group) for p in spec.presets
        ],
        default=default,
        device=device,
        why=why if default else "",
        state=state,
        path=path,
        note=spec.note,
    )


def reading_info(reading: Reading) -> ReadingInfo:
    return ReadingInfo(
        label=reading.label,
        parts=wire_parts(reading),
        confidence=reading.confidence,
        understood=reading.understood,
        nearest=list(reading.nearest),
        left_out=list(reading.left_out),
        note=reading.note,
    )


def page_config(config: Config, model: str, device: str, version: str) -> PageConfig:
    return PageConfig(
        ice_servers=[
            IceServerInfo(urls=list(s.urls), username=s.username, credential=s.credential)
            for s in config.ice_servers
        ],
        model=model,
        device=device,
        version=version,
        limits=Limits(
            max_sessions=config.max_sessions,
            idle_s=config.idle_s,
            max_session_s=config.max_session_s,
            max_prompt_chars=protocol.MAX_PROMPT_CHARS,
            messages_per_s=config.messages_per_s,
        ),
    )
