"""Paraphrases written by rules of their own, made apart from the training sentences."""

from __future__ import annotations

import random
from itertools import product

from gpu.nano.edits import EDIT_NAMES, HUES
from tests.gpu.nano.paraphrases import Paraphrase, paraphrase

# What each edit is called here: as a noun phrase that follows "as", "like" or "into".
CALLED: dict[str, tuple[str, ...]] = {
    "starry_night": ("something Vincent van Gogh painted", "a swirling van Gogh canvas"),
    "ukiyo_e": ("a Japanese woodblock by Hokusai", "an ukiyo-e picture"),
    "impressionist": ("some impressionist work by Monet", "a Monet canvas"),
    "soft_pastel": ("a drawing done in soft pastels", "a chalk pastel picture"),
    "coloured_pencil": ("a drawing in coloured pencils", "a picture a child drew with crayons"),
    "expressionist": ("an expressionist work by Munch", "The Scream by Munch"),
    "cubist": ("a cubist work by Picasso", "some Picasso cubism"),
    "pop_art": ("a pop art picture by Warhol", "a Lichtenstein pop art panel"),
    "stained_glass": ("a stained glass church window", "the stained glass of a cathedral"),
    "mosaic": ("a mosaic of little tiles", "a Roman floor mosaic"),
    "woodcut": ("a woodcut from long ago", "a print carved in wood"),
    "engraving": ("an engraving on copper", "the engraving on a banknote"),
    "fresco": ("a fresco in an old church", "a faded Italian fresco"),
    "old_master": ("a portrait by an old master", "a Rembrandt canvas"),
    "lithograph": ("a lithograph from a stone", "an antique lithograph"),
    "linocut": ("a linocut print", "a print carved in lino"),
    "poster": ("a bold printed poster", "a loud yellow poster"),
    "ink_splash": ("splashes of coloured ink", "a splatter of ink"),
    "fauvist": ("a fauvist work by Matisse", "a Matisse canvas"),
    "post_impressionist": ("a post-impressionist work by Gauguin", "a Gauguin canvas"),
    "chiaroscuro": ("a chiaroscuro by Caravaggio", "a Caravaggio canvas"),
    "crimson_oil": ("a painting in dark red oils", "a crimson oil painting"),
    "watercolour": ("a watercolor on paper", "a soft watercolour painting"),
    "oil_painting": ("an oil painting on canvas", "a thick oil painting"),
    "pencil": ("a sketch in pencil", "a quick pencil drawing"),
    "charcoal": ("a sketch in charcoal", "a charcoal portrait on paper"),
    "ink": ("a drawing in pen and ink", "an ink drawing"),
    "line_and_wash": ("a line and wash sketch", "a watercolour with ink outlines"),
    "cartoon": ("a cartoon from TV", "an animated cartoon"),
    "comic": ("a page of a comic book", "a comic with halftone dots"),
    "neon": ("glowing neon outlines", "a neon sign"),
    "blueprint": ("an architect's blueprint", "a blueprint of a machine"),
    "chalkboard": ("a chalk drawing on a blackboard", "white chalk on a chalkboard"),
    "pixel_art": ("pixel art from an old game", "an 8-bit video game"),
    "night": ("a scene at night", "the middle of the night"),
    "golden_hour": ("a golden hour photo", "the golden hour"),
    "sunset": ("a red sunset", "a scene at sunset"),
    "blue_hour": ("the blue hour", "a scene at dusk"),
    "sepia": ("a sepia photo", "an old sepia print"),
    "black_and_white": ("a black and white photo", "a monochrome picture"),
    "noir": ("a film noir", "a noir detective film"),
    "vintage_film": ("some vintage film", "an old home movie from the seventies"),
    "teal_and_orange": ("a teal and orange film", "a teal and orange grade"),
    "cyberpunk": ("a cyberpunk film", "a cyberpunk city scene"),
    "bleach_bypass": ("a bleach bypass print", "some bleach bypass footage"),
    "cross_process": ("a cross-processed slide", "some cross processed film"),
    "vivid": ("a picture with vivid colours", "something with more saturated colours"),
    "pastel": ("a picture in pastel tones", "something in pale pastel colours"),
    "dream": ("a dreamy scene with a soft glow", "a hazy dream"),
    "high_key": ("a high key portrait", "a high-key studio photo"),
    "infrared": ("an infrared photo", "a shot on infrared film"),
    "night_vision": ("a view through night vision goggles", "green night vision"),
    "thermal": ("a thermal camera image", "a heat map"),
    "duotone": ("a duotone print", "a purple and yellow duotone"),
    "negative": ("a photographic negative", "an inverted photo"),
    "underwater": ("an underwater scene", "a dive under water"),
    "warm": ("a picture with warmer tones", "something in warmer colours"),
    "cool": ("a picture with cooler tones", "something in cooler colours"),
    "brighten": ("a brighter picture", "something brighter"),
    "darken": ("a darker picture", "something darker"),
    "rain": ("a rainy afternoon", "a scene in the pouring rain"),
    "snow": ("a snowy day", "a scene in falling snow"),
    "fog": ("a foggy day", "a scene in thick fog"),
    "autumn": ("an autumn day", "a day with autumn leaves"),
    "winter": ("a frosty winter day", "a day in icy winter"),
    "blur": ("a blurry picture", "something blurred"),
}
ORDERS = (
    "would you mind showing our call as {x}?", "my sister asks to see it as {x}",
    "reimagine what you see as {x}", "this evening I fancy {x}",
    "turn what the webcam sees into {x}, kindly", "could we all be seen as {x}",
    "we should really try {x} here", "how does {x} sound? do that", "ok then, {x} it is",
    "surprise them with {x}",
)  # fmt: skip
BEHIND = (
    "turn the background into {x}", "I want the room behind me to look like {x}, not myself",
    "show everything behind me as {x}", "as {x}, but leave me exactly as I am",
    "{x} for the background and nothing on me", "change all that is behind me to {x}",
)  # fmt: skip
ON_ME = (
    "show only me as {x}", "just me as {x}, please leave the room",
    "as {x}, but keep the background as it is", "{x} on the person only",
    "only the person should become {x}",
)  # fmt: skip
NOT = (
    "{x}, but certainly without {y}", "rather {x} than {y}", "do {x} and please no {y}",
    "don't give me {y}, give me {x}",
)  # fmt: skip
BOTH = ("{x} and also {y}", "mix {x} with {y}", "{x}, then {y} on top", "{x} together with {y}")
SLIGHTLY = ("ever so slightly like {x}", "{x}, but only a little", "a subtle hint of {x}", "30 percent {x}")
RECOLOURS = (
    "could the {f} car turn {t}?", "all the {f} objects ought to be {t}",
    "I'd rather have {t} where you see {f}", "swap every {f} for {t}",
    "please let my {f} pullover become {t}", "change the {f} curtains into {t} ones",
)  # fmt: skip
POPS = (
    "leave only the {f} in colour", "all in black and white except the {f} bits",
    "just keep {f}, the rest greyscale", "I only want the {f} things to have colour",
)  # fmt: skip
BACKDROPS = (
    "exchange my background for plain {t}", "put me before a {t} wall", "a simple {t} background would do",
    "the whole background in solid {t}", "replace what's behind me with a {t} screen",
)  # fmt: skip
BEYOND = (
    "put {z} next to me", "I'd like to own {z}", "could you draw {z} on the table", "swap me for {z}",
    "what does {z} cost?", "there should be {z} in my hand", "make {z} run through the picture",
)  # fmt: skip
THINGS = (
    "a giraffe", "a helicopter", "two penguins", "a treasure chest", "a violin", "my grandfather",
    "a hamburger", "a purple hippo", "an ice cream", "a motorbike", "a red tractor", "the pope",
)  # fmt: skip
BACK = (
    "please give me the plain picture again", "take all of the effects away", "back to how I normally look",
    "I want the original camera image back", "undo whatever you did", "no effects any more, please",
    "reset the picture to normal", "remove every filter", "stop all the editing",
    "turn the effects off again",
)  # fmt: skip


def by_rules() -> list[Paraphrase]:
    """Some 560 paraphrases, the same each time."""
    rng = random.Random(20)
    lines = [f"{rng.choice(ORDERS).format(x=x)}\t{name}" for name, ways in CALLED.items() for x in ways]
    names = [name for name in EDIT_NAMES if name in CALLED]
    for name in names:
        x, (other, second) = rng.choice(CALLED[name]), rng.sample([one for one in names if one != name], 2)
        y, z = rng.choice(CALLED[other]), rng.choice(CALLED[second])
        lines.append(f"{rng.choice(BEHIND).format(x=x)}\t{name}@background")
        lines.append(f"{rng.choice(ON_ME).format(x=x)}\t{name}@person")
        lines.append(f"{rng.choice(NOT).format(x=x, y=y)}\t{name}")
        lines.append(f"{rng.choice(SLIGHTLY).format(x=x)}\t{name}:less")
        if rng.random() < 0.6:
            lines.append(f"{rng.choice(BOTH).format(x=x, y=z)}\t{name},{second}")
    pairs = [(f, t) for f, t in product(HUES, (*HUES, "white", "black", "grey")) if f != t]
    for f, t in rng.sample(pairs, 30):
        lines.append(f"{rng.choice(RECOLOURS).format(f=f, t=t)}\trecolour[{f}>{t}]")
    lines += [f"{frame.format(f=f)}\tcolour_pop[{f}]" for f in HUES for frame in rng.sample(POPS, 2)]
    colours = (*HUES, "white", "grey", "black", "brown")
    lines += [f"{rng.choice(BACKDROPS).format(t=t)}\tbackdrop@background[{t}]" for t in colours]
    lines += [f"{rng.choice(BEYOND).format(z=z)}\tnone" for z in THINGS for _ in range(2)]
    lines += [f"{back}\tsource" for back in BACK]
    return [paraphrase(line) for line in dict.fromkeys(lines)]
