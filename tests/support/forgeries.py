"""What a genuine token, cursor or address becomes in the hands of somebody who tries."""

import itertools

MAX_FLIPS = 12
_BITS = (1, 2, 4, 8, 16, 32)


def forgeries(genuine: str) -> list[str]:
    """The value with one byte flipped, at places all over it, cut short at both ends, and with more at both."""
    step = -(-len(genuine) // MAX_FLIPS)
    places = {*range(0, len(genuine), step), len(genuine) - 1}
    flipped = [
        _flipped(genuine, place, bit) for place, bit in zip(sorted(places), itertools.cycle(_BITS), strict=False)
    ]
    half = len(genuine) // 2
    cut = ["", genuine[:-1], genuine[1:], genuine[:half], genuine[half:]]
    longer = [genuine + "A", genuine + "=", "A" + genuine, genuine + genuine]
    return [value for value in dict.fromkeys([*flipped, *cut, *longer]) if value != genuine]


def _flipped(genuine: str, place: int, bit: int) -> str:
    other = chr(ord(genuine[place]) ^ bit)
    if not other.isascii() or not other.isprintable() or other in ' ";,\\':  # what no cookie may have
        other = "x" if genuine[place] != "x" else "y"
    return genuine[:place] + other + genuine[place + 1 :]
