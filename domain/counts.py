"""Numbers with their nouns, as messages have them."""


def counted(number: int, noun: str) -> str:
    """Write a number of things, such as `1 credit` and `2,500 credits`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
