"""How media are priced: so much per unit, by the values of parameters. Exact: nothing is rounded before the end."""

from collections.abc import Iterable, Mapping
from decimal import Context, Decimal
from enum import StrEnum
from typing import Any

from domain.media_schema import Scalar, matches
from domain.records import record

EXACT = Context(prec=80)
"""Wide enough that no product of a price, a count and a number of seconds is ever rounded."""
PIXELS_PER_MEGAPIXEL = 1024 * 1024


class Unit(StrEnum):
    """The unit of a media model's price."""

    CALL = "call"
    """One output, whatever it is."""
    IMAGE = "image"
    SECOND = "second"
    """Of the output; of a transcription's input."""
    CHARACTERS = "1k_characters"
    """1,000 characters of the text. A part of a thousand costs its part."""
    MEGAPIXEL = "megapixel"
    """Of 1024 x 1024 pixels, rounded up for each image."""


@record
class Variant:
    """Another price per unit, for requests with all these values of parameters."""

    values: Mapping[str, Scalar]
    per_unit: Decimal


@record
class Counts:
    """What one job has of each unit."""

    outputs: int = 1
    characters: int = 0
    seconds: Decimal | None = None
    """None: not known."""
    size: tuple[int, int] | None = None
    input_images: int = 0

    def of(self, unit: Unit) -> Decimal | None:
        """Return how many units the job has. None if that is not known."""
        match unit:
            case Unit.CHARACTERS:
                return Decimal(self.characters * self.outputs).scaleb(-3, EXACT)
            case Unit.SECOND:
                return None if self.seconds is None else EXACT.multiply(self.seconds, Decimal(self.outputs))
            case Unit.MEGAPIXEL:
                return None if self.size is None else Decimal(megapixels(self.size) * self.outputs)
        return Decimal(self.outputs)


def megapixels(size: tuple[int, int]) -> int:
    """Of one image, rounded up."""
    return -(-size[0] * size[1] // PIXELS_PER_MEGAPIXEL)


def matching(variants: Iterable[Variant], parameters: Mapping[str, Any]) -> list[Variant]:
    """Return the variants that match with the most parameters: one at most, in a catalog that was checked."""
    every = [variant for variant in variants if matches(variant.values, parameters)]
    highest = max((len(variant.values) for variant in every), default=0)
    return [variant for variant in every if len(variant.values) == highest]
