"""What edits and carries pictures without a GPU: codecs and models, each tried on moving pictures."""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass

import numpy as np

from gpu.codec import ENCODES, EncoderConfig, open_decoder, open_encoder
from gpu.errors import RelensError
from gpu.models.base import EditModel
from gpu.models.choice import AUTO, SMALL, choose
from gpu.models.registry import load_model
from gpu.types import Codec, Edit, Frame, ModelSpec
from server.config import Config
from server.doctor.finding import Finding

SIZE = (640, 480)  # what most cameras give
FRAMES = 12
CODECS: tuple[Codec, ...] = ENCODES
REMEDY = "run make setup"


def codec(codec: Codec) -> Finding:
    """Encode and decode moving pictures, and look at what comes out."""
    name = f"codec {codec}"
    remedy = "install relens again: its PyAV brings the codecs"
    try:
        encoder, decoder = open_encoder(EncoderConfig(codec=codec)), open_decoder(codec)
        try:
            decoded = [
                picture
                for source in _pictures(6)
                for encoded in encoder.encode(source)
                for picture in decoder.decode(encoded)
            ]
        finally:
            encoder.close()
            decoder.close()
    except RelensError as error:
        return Finding(name=name, ok=False, detail=str(error), remedy=remedy)
    good = bool(decoded) and (decoded[-1].width, decoded[-1].height) == SIZE
    detail = f"{len(decoded)} of 6 pictures came back from encoder and decoder"
    return Finding(name=name, ok=good, detail=detail, remedy=remedy)


def _pictures(count: int) -> list[Frame]:
    width, height = SIZE
    ramp = np.add.outer(np.arange(height), np.arange(width)).astype(np.uint8)
    grey = np.full((height // 2, width // 2), 128, np.uint8)
    return [Frame(y=np.roll(ramp, 4 * i, axis=1), u=grey, v=grey, pts=i * 3750) for i in range(count)]


@dataclass(frozen=True, slots=True)
class Trial:
    """A model that was tried. `device` in its own words; without a spec it did not load."""

    name: str
    finding: Finding
    device: str = ""
    spec: ModelSpec | None = None


def try_model(name: str, config: Config) -> Trial:
    """Load it, run it, and say what a step took here and now."""
    try:
        model = load_model(name, config.threads, config.models)
        try:
            step_ms, device, spec = _step_ms(model), model.device, model.spec
        finally:
            model.close()
    except RelensError as error:
        needed = name == (SMALL if config.model == AUTO else config.model)
        return Trial(
            name, Finding(name=f"model {name}", ok=False, detail=str(error), remedy=REMEDY, needed=needed)
        )
    rate = 1e3 / max(step_ms, 0.001)
    pace = f"{step_ms:.1f} ms a picture at {SIZE[0]}x{SIZE[1]}"
    pace += f" ({rate:.0f} a second)" if rate < 1e3 else ""
    return Trial(name, Finding(name=f"model {name}", ok=True, detail=f"{device}; {pace}"), device, spec)


def _step_ms(model: EditModel) -> float:
    """A picture's share of a step, the median of a few."""
    state = model.open_state(*SIZE)
    if model.spec.presets:
        model.set_edit(state, Edit(revision=1, prompt=model.spec.presets[0].prompt, transition_ms=0))
    frames = model.spec.frames_per_chunk
    pictures = _pictures(FRAMES * frames)
    took_s = []
    for i in range(0, len(pictures), frames):
        began_s = time.perf_counter()
        model.step(state, pictures[i : i + frames])
        took_s.append(time.perf_counter() - began_s)
    return statistics.median(took_s[2:]) * 1e3 / frames  # the first steps warm up


def chosen(config: Config) -> list[Finding]:
    """Which model the server would begin with, where it is to find out."""
    if config.model != AUTO:
        return []
    choice = choose(config.threads)
    if choice.model is not None:
        choice.model.close()
    return [Finding(name=f"model {AUTO}", ok=True, detail=f"{choice.name}: {choice.why}")]
