"""Words for colours: which of the colours of `gpu.nano.edits` a word of a prompt means. Knows no network."""

from __future__ import annotations

from functools import lru_cache

from gpu.nano.edits import COLOURS, HUES

# Each colour's own name comes first; the rest are what people say instead.
SHADES: dict[str, tuple[str, ...]] = {
    "red": (
        "red", "crimson", "scarlet", "ruby", "maroon", "burgundy", "vermilion", "carmine", "cherry",
        "bordeaux", "cardinal", "wine",
    ),
    "orange": ("orange", "tangerine", "apricot", "amber", "terracotta", "rust", "copper", "peach", "pumpkin"),
    "yellow": (
        "yellow", "gold", "golden", "lemon", "mustard", "canary", "saffron", "ochre", "straw", "banana",
    ),
    "green": (
        "green", "emerald", "lime", "olive", "mint", "jade", "moss", "pistachio", "chartreuse", "avocado",
    ),
    "cyan": ("cyan", "turquoise", "teal", "aqua", "aquamarine", "petrol", "turkis"),
    "blue": (
        "blue", "navy", "azure", "cobalt", "ultramarine", "indigo", "sapphire", "denim", "cerulean",
    ),
    "purple": (
        "purple", "violet", "lavender", "lilac", "mauve", "plum", "aubergine", "amethyst", "eggplant",
    ),
    "pink": ("pink", "magenta", "fuchsia", "rose", "salmon", "coral", "rosy"),
    "white": ("white", "ivory", "cream", "snow", "pearl", "eggshell"),
    "grey": ("grey", "gray", "silver", "ash", "slate", "graphite", "anthracite"),
    "black": ("black", "ebony", "jet", "onyx"),
    "brown": ("brown", "beige", "tan", "chocolate", "coffee", "caramel", "bronze", "chestnut", "khaki"),
}  # fmt: skip
_BY_WORD = {word: colour for colour, words in SHADES.items() for word in words}
_SHORTEST_SLIP = 4  # letters: a shorter word one slip from a colour is most likely another word
_NOT_SLIPS = frozenset({
    "bread", "greed", "greek", "great", "grew", "brow", "blank", "block", "back", "write", "while",
    "site", "kite", "line", "time", "like", "mind", "hint", "glue", "clue", "blur", "room", "rise",
    "rode", "real", "read", "wide", "pinch", "think", "cold", "bold", "told", "hold", "link",
    "sink", "drink", "range", "crown", "drown", "grown", "frown", "screen", "preen", "between",
    "slack", "track", "snack", "wire", "fine", "wind",
})  # fmt: skip


@lru_cache(maxsize=4096)
def colour_of(word: str) -> str | None:
    """The colour a lower-case word means: names, plurals, "reddish", and one slip of the finger."""
    for stem in _stems(word):
        if stem in _BY_WORD:
            return _BY_WORD[stem]
    if len(word) < _SHORTEST_SLIP or word in _NOT_SLIPS:
        return None
    near = [colour for colour in COLOURS if len(colour) >= _SHORTEST_SLIP and is_one_slip(word, colour)]
    near = near or [_BY_WORD[name] for name in _BY_WORD if len(name) > 5 and is_one_slip(word, name)]
    return near[0] if near else None


def hue_of(word: str) -> str | None:
    """The hue that can be found in a picture by that word: brown is dark orange, white has none."""
    colour = colour_of(word)
    colour = "orange" if colour == "brown" else colour
    return colour if colour in HUES else None


def _stems(word: str) -> tuple[str, ...]:
    stems = [word]
    if word.endswith("s"):
        stems.append(word[:-1])
    if word.endswith(("ish", "ier")):
        stem = word[:-3]
        stems += [stem, stem + "e", stem[:-1]]  # greenish, bluish, reddish
    if word.endswith(("y", "er")) and len(word) > 4:
        stems += [word.rstrip("y").removesuffix("er"), word.removesuffix("r")]
    return tuple(stems)


def is_one_slip(typed: str, meant: str) -> bool:
    """One letter lost, doubled or put in, wrong, or two neighbours swapped."""
    if abs(len(typed) - len(meant)) > 1 or typed[0] != meant[0]:
        return False
    at = 0
    while at < min(len(typed), len(meant)) and typed[at] == meant[at]:
        at += 1
    swapped = typed[at + 1 : at + 2] + typed[at : at + 1] + typed[at + 2 :]
    lost, put_in, wrong = meant[at + 1 :], typed[at + 1 :], typed[at + 1 :]
    return meant[at:] in (swapped, put_in) or typed[at:] == lost or wrong == lost
