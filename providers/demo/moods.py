"""The colours of a landscape at different hours and places."""

import random
import re
from typing import NamedTuple

Colour = tuple[int, int, int]


class Mood(NamedTuple):
    """The colours of the sky (four, from zenith to horizon), of its light, and of the land from far to near."""

    sky: tuple[Colour, Colour, Colour, Colour]
    light: Colour
    far: Colour
    near: Colour
    stars: int = 0


MOODS = {
    "dawn": Mood(
        sky=((58, 76, 122), (143, 128, 168), (240, 170, 150), (255, 220, 178)),
        light=(255, 244, 214),
        far=(205, 150, 158),
        near=(38, 36, 66),
    ),
    "day": Mood(
        sky=((48, 118, 186), (104, 170, 220), (176, 216, 236), (232, 244, 244)),
        light=(255, 252, 236),
        far=(146, 184, 206),
        near=(22, 62, 78),
    ),
    "dusk": Mood(
        sky=((36, 26, 74), (112, 44, 110), (226, 88, 98), (255, 182, 106)),
        light=(255, 232, 170),
        far=(178, 76, 110),
        near=(26, 14, 46),
    ),
    "night": Mood(
        sky=((8, 12, 34), (16, 28, 66), (36, 60, 108), (86, 122, 160)),
        light=(238, 242, 255),
        far=(58, 86, 128),
        near=(6, 12, 28),
        stars=220,
    ),
    "forest": Mood(
        sky=((74, 130, 132), (136, 180, 166), (204, 220, 186), (248, 242, 212)),
        light=(255, 250, 222),
        far=(150, 186, 160),
        near=(12, 46, 42),
    ),
    "desert": Mood(
        sky=((64, 104, 150), (170, 168, 172), (244, 196, 142), (255, 228, 176)),
        light=(255, 248, 222),
        far=(230, 162, 116),
        near=(92, 34, 34),
    ),
    "aurora": Mood(
        sky=((6, 12, 38), (12, 50, 76), (26, 120, 116), (120, 204, 160)),
        light=(232, 255, 244),
        far=(36, 104, 112),
        near=(4, 16, 30),
        stars=160,
    ),
}

_WORDS = {
    "dawn": "dawn sunrise morning spring pink",
    "day": "day noon summer blue sea ocean beach",
    "dusk": "dusk sunset evening fire purple red autumn",
    "night": "night moon moonlight star stars starry midnight space dark galaxy",
    "forest": "forest tree trees wood woods jungle green garden",
    "desert": "desert sand dune dunes canyon mars gold golden",
    "aurora": "aurora borealis ice arctic winter snow teal magic",
}
_MOOD_OF = {word: mood for mood, words in _WORDS.items() for word in words.split()}


def suiting(prompt: str, dice: random.Random) -> Mood:
    """Return the mood that a word of the prompt names, else a random one."""
    for word in re.findall(r"[a-z]+", prompt.lower()):
        if word in _MOOD_OF:
            return MOODS[_MOOD_OF[word]]
    return MOODS[dice.choice(sorted(MOODS))]
