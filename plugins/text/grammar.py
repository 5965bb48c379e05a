"""Short stories from a seeded grammar, in the TinyStories file format: the offline default.

The words and plots are the project's own. What comes out is called 'generated stories', never by
the name of a published data set.
"""

from __future__ import annotations

import random
from functools import lru_cache

from .files import SEPARATOR

_GIRLS = ("Anna", "Mia", "Lily", "Zoe", "Ruth", "Ida")
_BOYS = ("Tom", "Ben", "Max", "Leo", "Finn", "Otto")
_ANIMALS = ("cat", "dog", "duck", "frog", "bear", "hen", "fox", "pony")
_TRAITS = ("little", "kind", "brave", "shy", "happy", "clever", "sleepy")
_PLACES = ("the garden", "the forest", "the park", "the lake", "the farm", "the beach")
_THINGS = ("ball", "kite", "drum", "hat", "boat", "cake", "shell", "box", "lamp", "book")
_COLOURS = ("red", "blue", "green", "yellow", "big", "small", "shiny", "old")
_WEATHER = ("sunny", "rainy", "windy", "cold", "warm", "bright")
_FEELINGS = ("happy", "proud", "glad", "calm")
_TROUBLES = (
    "it fell into the water",
    "it was stuck in a tree",
    "it broke in two",
    "the wind took it away",
    "a bird flew off with it",
)
_HELP = (
    "{friend} climbed up and got it back",
    "they looked for it all day and found it",
    "{friend} fixed it with some glue",
    "they asked the farmer, and he helped them",
    "{friend} had a good idea and it worked",
)
_ENDINGS = (
    "They went home and had a nap.",
    "They were friends from that day on.",
    "Then they all had soup and went to bed.",
    "{hero} learned that it is good to share.",
    "{hero} never forgot that day.",
)
_OPENINGS = (
    "Once upon a time there was a {trait} {kind} called {hero}.",
    "One {weather} day, a {trait} {kind} named {hero} went to {place}.",
    "{hero} was a {trait} {kind} who lived near {place}.",
)
_MIDDLES = (
    "{He} had a {colour} {thing}. {He} liked to play with the {thing} every day.",
    'In {place}, {he} found a {colour} {thing}. "What a nice {thing}!" said {hero}.',
    '{His} friend {friend} gave {him} a {colour} {thing}. {hero} said, "Thank you!"',
)
_TURNS = (
    "But then {trouble}. {hero} was sad and began to cry.",
    "Oh no! While they were playing, {trouble}.",
    '"Can I play too?" asked {friend}. They played, but soon {trouble}.',
)
_PRONOUNS = {
    "girl": {"he": "she", "his": "her", "him": "her"},
    "boy": {"he": "he", "his": "his", "him": "him"},
}


def story(draw: random.Random) -> str:
    """One story of five or six sentences that speak of the same hero, friend, thing and place."""
    girl = draw.random() < 0.5
    kind = ("girl" if girl else "boy") if draw.random() < 0.6 else draw.choice(_ANIMALS)
    hero = draw.choice(_GIRLS if girl else _BOYS)
    friend = draw.choice([n for n in _GIRLS + _BOYS if n != hero])
    pronouns = _PRONOUNS["girl" if girl else "boy"]
    words = {
        "hero": hero,
        "friend": friend,
        "kind": kind,
        "trait": draw.choice(_TRAITS),
        "place": draw.choice(_PLACES),
        "thing": draw.choice(_THINGS),
        "colour": draw.choice(_COLOURS),
        "weather": draw.choice(_WEATHER),
        "feeling": draw.choice(_FEELINGS),
        **pronouns,
        **{k.capitalize(): v.capitalize() for k, v in pronouns.items()},
    }
    words["trouble"] = draw.choice(_TROUBLES)
    words["help"] = draw.choice(_HELP).format(**words)
    first = f"{draw.choice(_OPENINGS)} {draw.choice(_MIDDLES)}"
    second = f"{draw.choice(_TURNS)} Then {{help}}. {{hero}} was {{feeling}} again."
    return f"{first}\n{second} {draw.choice(_ENDINGS)}".format(**words)


@lru_cache(maxsize=4)
def generate(count: int, seed: int) -> str:
    """`count` stories, each followed by a line with the separator. The same for the same seed."""
    draw = random.Random(seed)
    return "".join(f"{story(draw)}\n{SEPARATOR}\n" for _ in range(count))
