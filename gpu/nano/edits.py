"""The edits `nano` can do: names, words for people, groups, and which network makes them.

Order is the order of the text tower's targets. Knows nothing of networks, text towers or teachers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

Group = Literal["art", "drawing", "looks", "weather", "room", "colour"]
Kind = Literal["paint", "draw", "look", "blur"]
Region = Literal["everywhere", "background", "person"]

REGIONS: tuple[Region, ...] = get_args(Region)
# what `recolour` and `colour_pop` find, and what `recolour` and `backdrop` paint
HUES: tuple[str, ...] = ("red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink")
COLOURS: tuple[str, ...] = (*HUES, "white", "grey", "black", "brown")


@dataclass(frozen=True, slots=True)
class EditInfo:
    """One edit: `name` in code and weights, `label` for people, `prompt` a sentence that asks for it, `hold`
    how much of its picture before a frame keeps where it fits: 1 is as much as of the source's, `sheet_moves`
    whether the sheet it is drawn on goes along with the picture (gpu.nano.sheet), `stiff` whether as one:
    what is ruled or printed in dots looks crumpled where it bends."""

    name: str
    label: str
    group: Group
    prompt: str
    kind: Kind = "look"
    hold: float = 0.0
    sheet_moves: bool = False
    stiff: bool = False


@dataclass(frozen=True, slots=True)
class Offer:
    """An instruction worth a tile on the page that is no plain edit: a region, a colour, a combination."""

    name: str
    label: str
    group: Group
    prompt: str


def _paint(name: str, label: str, prompt: str) -> EditInfo:
    return EditInfo(name, label, "art", prompt, "paint")


def _draw(
    name: str, label: str, prompt: str, hold: float = 0.0, sheet_moves: bool = False, stiff: bool = False
) -> EditInfo:
    return EditInfo(name, label, "drawing", prompt, "draw", hold, sheet_moves, stiff)


EDITS: tuple[EditInfo, ...] = (
    # art: strokes and textures of a painter's hand
    _paint("starry_night", "Starry night", "paint it like Van Gogh's Starry Night"),
    _paint("ukiyo_e", "Japanese woodblock print", "as a Japanese ukiyo-e print"),
    _paint("impressionist", "Impressionist", "as an impressionist painting"),
    _paint("soft_pastel", "Soft pastels", "drawn with soft pastels"),
    _paint("coloured_pencil", "Coloured pencils", "drawn with coloured pencils"),
    _paint("expressionist", "Expressionist", "as an expressionist painting"),
    _paint("cubist", "Cubist", "as a cubist painting"),
    _paint("pop_art", "Pop art", "as pop art"),
    _paint("stained_glass", "Stained glass", "as a stained glass window"),
    _paint("mosaic", "Mosaic", "as a mosaic"),
    _paint("woodcut", "Woodcut", "as a woodcut"),
    _paint("engraving", "Engraving", "as an old engraving"),
    _paint("fresco", "Fresco", "as a pale fresco"),
    _paint("old_master", "Old master", "painted by an old master"),
    _paint("lithograph", "Lithograph", "as a lithograph"),
    _paint("linocut", "Linocut", "as a linocut"),
    _paint("poster", "Bold poster", "as a bold yellow poster"),
    _paint("ink_splash", "Ink splash", "with splashes of coloured ink"),
    _paint("fauvist", "Fauvist", "as a fauvist painting"),
    _paint("post_impressionist", "Post-impressionist", "as a post-impressionist painting by Gauguin"),
    _paint("chiaroscuro", "Chiaroscuro", "as a chiaroscuro painting"),
    _paint("crimson_oil", "Crimson oils", "painted in dark red oils"),
    _paint("watercolour", "Watercolour", "turn it into a watercolour"),
    _paint("oil_painting", "Oil painting", "as an oil painting"),
    # drawing: lines
    _draw("pencil", "Pencil sketch", "as a pencil sketch", sheet_moves=True),
    _draw("charcoal", "Charcoal", "as a charcoal drawing", sheet_moves=True),
    _draw("ink", "Ink drawing", "as an ink drawing", sheet_moves=True),
    _draw("line_and_wash", "Line and wash", "watercolour with ink outlines", hold=0.64, sheet_moves=True),
    _draw("cartoon", "Cartoon", "turn it into a cartoon", hold=2.4),
    _draw(
        "comic", "Comic book", "as a comic book with halftone dots", hold=0.5, sheet_moves=True, stiff=True
    ),
    _draw("neon", "Neon", "glowing neon outlines", hold=1.27),
    _draw("blueprint", "Blueprint", "as a blueprint", hold=0.44, sheet_moves=True, stiff=True),
    _draw("chalkboard", "Chalkboard", "chalk on a blackboard", sheet_moves=True),
    _draw("pixel_art", "Pixel art", "as pixel art"),
    # looks: light and colour of every pixel
    EditInfo("night", "Night", "looks", "make it night", hold=0.7),
    EditInfo("golden_hour", "Golden hour", "looks", "golden hour light", hold=0.3),
    EditInfo("sunset", "Sunset", "looks", "a red sunset", hold=0.3),
    EditInfo("blue_hour", "Blue hour", "looks", "the blue hour after dusk", hold=0.3),
    EditInfo("sepia", "Sepia", "looks", "sepia tones", hold=0.3),
    EditInfo("black_and_white", "Black and white", "looks", "black and white", hold=0.3),
    EditInfo("noir", "Film noir", "looks", "film noir", hold=1.0),
    EditInfo("vintage_film", "Vintage film", "looks", "faded vintage film", hold=0.3),
    EditInfo("teal_and_orange", "Teal and orange", "looks", "teal and orange movie look", hold=0.3),
    EditInfo("cyberpunk", "Cyberpunk", "looks", "cyberpunk colours", hold=0.3),
    EditInfo("bleach_bypass", "Bleach bypass", "looks", "bleach bypass", hold=0.3),
    EditInfo("cross_process", "Cross-processed", "looks", "cross-processed film", hold=0.3),
    EditInfo("vivid", "Vivid", "looks", "vivid colours", hold=0.3),
    EditInfo("pastel", "Pastel tones", "looks", "pale pastel tones", hold=0.3),
    EditInfo("dream", "Dreamy glow", "looks", "a dreamy soft glow", hold=0.7),
    EditInfo("high_key", "High key", "looks", "bright high key photograph", hold=0.3),
    EditInfo("infrared", "Infrared", "looks", "infrared photograph", hold=0.5),
    EditInfo("night_vision", "Night vision", "looks", "green night vision goggles", hold=1.0),
    EditInfo("thermal", "Thermal camera", "looks", "thermal camera", hold=0.6),
    EditInfo("duotone", "Duotone", "looks", "purple and yellow duotone", hold=0.3),
    EditInfo("negative", "Negative", "looks", "photographic negative"),
    EditInfo("underwater", "Underwater", "looks", "under water", hold=0.7),
    EditInfo("warm", "Warmer", "looks", "warm colours"),
    EditInfo("cool", "Cooler", "looks", "make the colours cooler"),
    EditInfo("brighten", "Brighter", "looks", "a brighter picture", hold=0.3),
    EditInfo("darken", "Darker", "looks", "a darker picture", hold=0.5),
    # weather and seasons
    EditInfo("rain", "Rain", "weather", "make it rain", hold=0.3),
    EditInfo("snow", "Snow", "weather", "make it snow", hold=0.3),
    EditInfo("fog", "Fog", "weather", "thick fog", hold=1.7),
    EditInfo("autumn", "Autumn", "weather", "autumn leaves"),
    EditInfo("winter", "Winter", "weather", "a cold frosty winter", hold=0.3),
    # the room, and colours one by one
    EditInfo("blur", "Blur", "room", "blur the background", "blur", hold=1.4),
    EditInfo("backdrop", "Plain backdrop", "room", "replace the background with green", hold=1.3),
    EditInfo("recolour", "Recolour", "colour", "make the green things orange"),
    EditInfo("colour_pop", "Colour pop", "colour", "keep only the green in colour"),
)

OFFERS: tuple[Offer, ...] = (
    Offer("room_dark", "Darken the room", "room", "darken the background"),
    Offer("room_only_me", "Only me in colour", "room", "keep only me in colour"),
    Offer("room_night", "Night behind me", "room", "make the background night"),
    Offer("room_painted", "Painted room", "room", "paint the background like Starry Night, but not me"),
    Offer("me_sketched", "Sketch me", "room", "draw only me as a pencil sketch"),
    Offer("snowy_night_sketch", "Snowy night sketch", "weather", "snowy night, as a pencil sketch"),
    Offer("rainy_night", "Rainy night", "weather", "make it a rainy night"),
)

EDIT_NAMES: tuple[str, ...] = tuple(edit.name for edit in EDITS)
EDIT_BY_NAME: dict[str, EditInfo] = {edit.name: edit for edit in EDITS}
WEATHER_PARTICLES: tuple[str, ...] = ("rain", "snow")


def names_of(kind: Kind) -> tuple[str, ...]:
    """Names of the edits one network makes, in order: the order of its experts."""
    return tuple(edit.name for edit in EDITS if edit.kind == kind)


def moves_sheet(name: str) -> bool:
    """`EditInfo.sheet_moves` of an edit."""
    return EDIT_BY_NAME[name].sheet_moves


def bends_sheet(name: str) -> bool:
    """Whether its sheet bends with what moves by itself: the inverse of `EditInfo.stiff`."""
    return not EDIT_BY_NAME[name].stiff


def hold_of(name: str) -> float:
    """`EditInfo.hold` of an edit."""
    return EDIT_BY_NAME[name].hold
