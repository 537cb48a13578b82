"""What an edit owns of the networks, ready as engine inputs, from weights/experts.npz.

Stored as `kind/edit/tensor` in float16; the edits of local colour as `look/edit/hue/tensor`, mixed here for
the colour that is asked for. numpy only; knows nothing of plans and engines.
"""

from __future__ import annotations

import threading
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gpu.errors import ModelError
from gpu.nano.colour import rgb_to_planes
from gpu.nano.edits import EDIT_BY_NAME, HUES
from gpu.nano.palette import RGB, resolve, shaded

F32 = NDArray[np.float32]
Tensors = Mapping[str, F32]

FILE = "experts.npz"
BACKDROP_INPUTS = 8  # of the look network's inputs: four luma pixels, U, V, squared radius, height


def pack(stored: Tensors) -> dict[str, F32]:
    """A look's weights w1 [1,N,I], w2 [1,N,N], w3 [1,6,N] and biases b1, b2, b3 as the graph takes them: the
    last input is always one, and a last hidden unit carries it on, so that biases are weights. An engine
    fuses no bias that it is only given at run time: three passes over all activations saved."""
    packed = {}
    for layer, carried in ((1, True), (2, True), (3, False)):
        weights, bias = (np.asarray(stored[f"{kind}{layer}"], np.float32) for kind in "wb")
        rows, columns = weights.shape[1:]
        full = np.zeros((1, rows + carried, columns + 1), np.float32)
        full[:, :rows, :columns], full[:, :rows, columns:] = weights, bias
        if carried:
            full[:, rows, columns] = 1
        packed[f"w{layer}"] = full
    return packed


def planes_of_colour(rgb: Sequence[float]) -> tuple[float, float, float]:
    """A colour's Y, U, V as 0..1 of a byte."""
    luma, chroma = rgb_to_planes(np.full((2, 2, 3), rgb, np.float32))
    return float(luma[0, 0]), float(chroma[0, 0, 0]), float(chroma[1, 0, 0])


def mix_recolour(stored: Tensors, colour: str) -> dict[str, F32]:
    """The weights of one recolouring from those of its hue, whose ten outputs are: what leaves each of the
    four luma pixels, how much pigment each has, what leaves U and V. Pigment comes back as `colour`."""
    black = planes_of_colour((0, 0, 0))
    y, u, v = (a - b for a, b in zip(planes_of_colour(shaded(colour)), black, strict=True))
    blend = np.zeros((6, 10), np.float32)
    blend[:4, :4] = np.eye(4)
    blend[:4, 4:8] = y * np.eye(4)
    blend[4, 4:8], blend[5, 4:8] = u / 4, v / 4  # chroma is the mean of the four
    blend[4, 8] = blend[5, 9] = 1
    mixed = {name: np.asarray(tensor, np.float32) for name, tensor in stored.items()}
    mixed["w3"], mixed["b3"] = blend @ mixed["w3"], blend @ mixed["b3"]
    return mixed


def backdrop(colour: str, shapes: Tensors) -> dict[str, F32]:
    """The weights that put a sheet of `colour` paper, lit from above, in place of the picture: no training,
    the inputs pass both layers as they are and leave with a minus. `shapes`: any look's packed tensors."""
    made = {name: np.zeros_like(tensor) for name, tensor in shapes.items()}
    passed = np.arange(BACKDROP_INPUTS)
    made["w1"][0, passed, passed] = 1
    made["w2"][0, passed, passed] = 1
    made["w1"][0, -1, -1] = made["w2"][0, -1, -1] = 1
    top, below, aside = (
        planes_of_colour([light * channel for channel in RGB[colour]]) for light in (1.06, 0.96, 0.90)
    )
    for plane, outputs in enumerate(((0, 1, 2, 3), (4,), (5,))):
        for output in outputs:
            made["w3"][0, output, output] = -1
            made["w3"][0, output, 6] = aside[plane] - top[plane]
            made["w3"][0, output, 7] = below[plane] - top[plane]
            made["w3"][0, output, -1] = top[plane]
    return made


class Experts:
    """All edits' tensors. Safe to share between threads; what it returns is read-only."""

    def __init__(self, stored: Mapping[str, NDArray[np.floating]], source: str) -> None:
        self._source = source
        self._tensors: dict[str, dict[str, F32]] = {}
        for name, array in stored.items():
            edit, _, tensor = name.rpartition("/")
            self._tensors.setdefault(edit, {})[tensor] = _frozen(array)
        self._mixed: dict[tuple[str, tuple[str, ...]], dict[str, F32]] = {}
        self._lock = threading.Lock()

    @classmethod
    def load(cls, folder: Path) -> Experts:
        """From `folder`/experts.npz. Raises ModelError naming the remedy when it is missing or broken."""
        path = folder / FILE
        try:
            with np.load(path, allow_pickle=False) as stored:
                return cls({name: stored[name] for name in stored.files}, str(path))
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as exc:
            raise ModelError(
                f"{path} cannot be read ({exc}): reinstall relens, or run `relens distill`"
            ) from exc

    def tensors(self, name: str, colours: Sequence[str] = ()) -> dict[str, F32]:
        """Engine inputs of the edit `name`, float32, by the graph's input names.

        `colours` are the instruction's words for colours; where it names fewer than the edit takes, the
        edit's defaults stand in. Raises ModelError for an unknown edit or colour, and for missing weights."""
        if name not in EDIT_BY_NAME:
            raise ModelError(f"there is no edit {name!r}: use one of gpu.nano.edits")
        chosen = resolve(name, colours)
        with self._lock:
            made = self._mixed.get((name, chosen))
            if made is None:
                made = self._mixed[name, chosen] = {
                    k: _frozen(v) for k, v in self._make(name, chosen).items()
                }
        return dict(made)

    def _make(self, name: str, chosen: tuple[str, ...]) -> Tensors:
        if name == "backdrop":
            return backdrop(chosen[0], pack(self._stored(f"look/colour_pop/{HUES[0]}")))
        if name == "recolour":
            return pack(mix_recolour(self._stored(f"look/recolour/{chosen[0]}"), chosen[1]))
        kind = EDIT_BY_NAME[name].kind
        stored = self._stored("/".join((kind, name, *chosen)))
        return pack(stored) if kind == "look" else stored

    def _stored(self, edit: str) -> Tensors:
        if edit not in self._tensors:
            raise ModelError(
                f"{self._source} has no weights for {edit}: it belongs to another version; reinstall relens, "
                f"or run `relens distill`"
            )
        return self._tensors[edit]


def _frozen(array: NDArray[np.floating]) -> F32:
    """A read-only float32 copy."""
    own = np.array(array, np.float32)
    own.flags.writeable = False
    return own
