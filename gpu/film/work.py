"""Names for what was rendered, so that the same is never computed twice. Knows no place where it is kept."""

from __future__ import annotations

import hashlib
import importlib.metadata
import secrets
from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

import msgspec

from gpu.film.render import PREROLL_S, begins, steps_within
from gpu.film.timeline import Step
from gpu.film.types import Span
from gpu.types import ModelSpec

VERSION = 2  # of rendering itself: goes up when the same request would give other bytes
_UNKNOWN = secrets.token_hex(8)  # a model whose weights are not known shares nothing beyond this process


def work_key(
    film_digest: str,
    span: Span,
    steps: Sequence[Step],
    spec: ModelSpec,
    settings: object,
    preroll_s: float = PREROLL_S,
) -> str:
    """A name (hex) for a rendered span, the same wherever film, span, what is seen of the edits, model and
    output settings (a dataclass or plain value) are the same."""
    start = begins(span, preroll_s)
    seen = [
        (step.at, step.edit.prompt, step.edit.strength, step.edit.transition_ms, step.edit.seed)
        for step in steps_within(steps, start, span.end)
    ]
    plain: Any = asdict(settings) if is_dataclass(settings) and not isinstance(settings, type) else settings
    model = (spec.name, spec.identity or _UNKNOWN, spec.frames_per_chunk)
    where = (span.first_frame, span.frames, span.start, span.end, span.scene, start)
    code = importlib.metadata.version("relens")  # a model is its code, too
    said = msgspec.json.encode([VERSION, code, film_digest, where, seen, model, plain], order="sorted")
    return hashlib.sha256(said).hexdigest()
