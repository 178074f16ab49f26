"""A quiet tune for the demo's videos: plucked notes of one pentatonic scale, without dissonance."""

import cmath
import math
import random
from array import array

RATE = 24_000
_BEAT = RATE // 2
_RING = RATE * 9 // 5
_SCALE = (0, 3, 5, 7, 10, 12, 15, 17)
_LOWEST = 220.0


def play(seed: str, seconds: float) -> bytes:
    """Return 16-bit mono samples at `RATE`, of exactly the requested length."""
    dice = random.Random(seed)  # noqa: S311  a tune, not a secret
    root = _LOWEST * 2 ** (dice.randint(0, 4) / 12)
    length = round(seconds * RATE)
    mixed = [0.0] * (length + _RING)
    notes: dict[float, list[float]] = {}
    step = dice.randrange(len(_SCALE))
    for beat, start in enumerate(range(0, length, _BEAT)):
        step = min(max(step + dice.choice((-2, -1, -1, 1, 1, 2)), 0), len(_SCALE) - 1)
        pitches = [root * 2 ** (_SCALE[step] / 12)] if dice.random() < 0.82 else []
        if beat % 4 == 0:
            pitches.append(root / 2)
        for pitch in pitches:
            note = notes[pitch] = notes.get(pitch) or _pluck(pitch)
            mixed[start : start + _RING] = map(float.__add__, mixed[start : start + _RING], note)
    return array("h", (round(32_000 * math.tanh(value)) for value in _faded(mixed[:length]))).tobytes()


def _pluck(pitch: float) -> list[float]:
    """Return a plucked note. Its overtone decays faster than its tone; each is a rotating vector that shrinks."""
    turn = 2 * math.pi * pitch / RATE
    string, overtone = complex(0.19), complex(0.07)
    string_step, overtone_step = cmath.exp(complex(-2 / RATE, turn)), cmath.exp(complex(-6 / RATE, 2 * turn))
    note = []
    for at in range(_RING):
        note.append((string.imag + overtone.imag) * min(at / 240, 1 - at / _RING, 1.0))
        string *= string_step
        overtone *= overtone_step
    return note


def _faded(samples: list[float]) -> list[float]:
    """Fade the samples out at the end, so that they end without a click."""
    fade = min(len(samples), RATE)
    begin = len(samples) - fade
    samples[begin:] = [value * (1 - at / fade) for at, value in enumerate(samples[begin:])]
    return samples
