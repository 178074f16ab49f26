"""What a media request must be, and what it costs: by the catalog's price and what is asked for."""

import math
from decimal import Decimal

from domain.catalog import Model, Prices
from domain.errors import RequestInvalid
from domain.media import Kind, MediaRequest
from domain.media_prices import EXACT, Counts
from domain.media_schema import MediaSchema
from domain.money import COST_PLACES, MINIMUM_CHARGE
from domain.pricing import FlatTerms
from domain.records import record


@record
class InputCounts:
    """What is priced of a request's input files."""

    images: int = 0
    seconds: Decimal | None = None
    """Of the audio of a transcription."""


NO_INPUTS = InputCounts()


def schema_of(model: Model, kind: Kind) -> MediaSchema:
    """Return what the model takes. Raises `RequestInvalid` for a model that makes something else."""
    if model.media is None or Kind(model.modality) is not kind:
        raise RequestInvalid(f"The model '{model.id}' makes {model.modality}, not {kind}.", param="model")
    return model.media


def price(model: Model, request: MediaRequest, inputs: InputCounts = NO_INPUTS) -> FlatTerms:
    """What the job costs, held at acceptance and captured when it succeeds.

    Raises `RequestInvalid` if what is counted is not known, as of audio whose length nobody can tell.
    """
    exact = model.prices.exact(request.parameters, _counts(request, inputs))
    if exact is None:
        raise RequestInvalid("This request has no price: it does not say how much is to be made.", param="model")
    return FlatTerms(max(MINIMUM_CHARGE, math.ceil(exact)), model.prices.version)


def cost(costs: Prices | None, request: MediaRequest, inputs: InputCounts = NO_INPUTS) -> int | None:
    """What the provider bills for the job, in billionths of a credit; None when that is not known."""
    exact = costs.exact(request.parameters, _counts(request, inputs)) if costs else None
    return None if exact is None else math.ceil(exact.scaleb(COST_PLACES, EXACT))


def _counts(request: MediaRequest, inputs: InputCounts) -> Counts:
    width, height, seconds = request.width, request.height, request.seconds
    return Counts(
        outputs=request.n,
        characters=len(request.prompt),
        seconds=inputs.seconds if seconds is None else Decimal(str(seconds)),
        size=(width, height) if width and height else None,
        input_images=inputs.images,
    )
