"""What the words for colours mean in RGB (0..1), and which colours a local-colour edit takes by default."""

from __future__ import annotations

from collections.abc import Sequence

from gpu.errors import ModelError
from gpu.nano.edits import COLOURS, HUES

# Colours a thing of that colour has in a photograph, not the corners of the cube: a pure (0, 0, 1) is dark
# and leaves no room for shading.
RGB: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.10, 0.12),
    "orange": (0.98, 0.50, 0.08),
    "yellow": (0.98, 0.86, 0.12),
    "green": (0.14, 0.64, 0.24),
    "cyan": (0.10, 0.76, 0.82),
    "blue": (0.12, 0.32, 0.88),
    "purple": (0.50, 0.20, 0.76),
    "pink": (0.98, 0.48, 0.70),
    "white": (0.95, 0.95, 0.94),
    "grey": (0.52, 0.52, 0.53),
    "black": (0.07, 0.07, 0.08),
    "brown": (0.46, 0.28, 0.15),
}
assert tuple(RGB) == COLOURS


def shaded(colour: str) -> tuple[float, float, float]:
    """The pigment of that colour: what a fully lit, fully saturated surface becomes when it is dyed so."""
    peak = max(*RGB[colour], 0.85)
    return tuple(channel / peak for channel in RGB[colour])  # type: ignore[return-value]


# per edit: the words it takes, in order, and what is meant where the instruction names none
TAKES: dict[str, tuple[tuple[str, ...], ...]] = {
    "recolour": (HUES, COLOURS),
    "colour_pop": (HUES,),
    "backdrop": (COLOURS,),
}
DEFAULTS: dict[str, tuple[str, ...]] = {
    "recolour": ("red", "blue"),
    "colour_pop": ("red",),
    "backdrop": ("green",),
}


def resolve(name: str, colours: Sequence[str]) -> tuple[str, ...]:
    """The colours the edit `name` works with: those given, then its defaults; () for one without colours.

    `backdrop` takes the last colour given. Raises ModelError for a word the edit does not take."""
    if name not in TAKES:
        return ()
    given = tuple(colours)[-1:] if name == "backdrop" else tuple(colours)[: len(TAKES[name])]
    chosen = given + DEFAULTS[name][len(given) :]
    for colour, known in zip(chosen, TAKES[name], strict=True):
        if colour not in known:
            raise ModelError(f"{name} does not know the colour {colour!r}: use one of {', '.join(known)}")
    return chosen
