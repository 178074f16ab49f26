"""What a media request must be, and what it costs: flat per call, per image or per second, as the catalog says."""

import math
import re
from decimal import Decimal

from domain.catalog import Modality, Model, Prices, Unit
from domain.errors import RequestInvalid
from domain.media import Kind, MediaRequest
from domain.money import COST_PLACES, MINIMUM_CHARGE
from domain.pricing import FlatTerms

_SIZE = re.compile(r"([1-9][0-9]{1,3})x([1-9][0-9]{1,3})", re.ASCII)
MIN_SIDE_PIXELS = 16
MAX_SIDE_PIXELS = 4096
MAX_IMAGES = 10
MAX_VIDEO_SECONDS = 60
DEFAULT_SECONDS = 5.0
_MODALITIES = {Kind.IMAGE: Modality.IMAGE, Kind.VIDEO: Modality.VIDEO, Kind.SPEECH: Modality.SPEECH}


def size(text: str) -> tuple[int, int]:
    """`WxH` in pixels. Raises `RequestInvalid`."""
    match = _SIZE.fullmatch(text)
    width, height = (int(match[1]), int(match[2])) if match else (0, 0)
    if not (MIN_SIDE_PIXELS <= width <= MAX_SIDE_PIXELS and MIN_SIDE_PIXELS <= height <= MAX_SIDE_PIXELS):
        raise RequestInvalid(
            f"'size' must be WIDTHxHEIGHT with sides from {MIN_SIDE_PIXELS} to {MAX_SIDE_PIXELS}, such as 1024x1024.",
            param="size",
        )
    return width, height


def require_kind(model: Model, kind: Kind) -> None:
    if model.modality is not _MODALITIES[kind]:
        raise RequestInvalid(f"The model '{model.id}' makes {model.modality}, not {kind}.", param="model")


def price(model: Model, request: MediaRequest) -> FlatTerms:
    """What the job costs, held at acceptance and captured when it succeeds."""
    named = f"{request.width}x{request.height}" if request.width else None
    per_unit = model.prices.per_unit_at(named)
    exact = per_unit * _units(model.prices.unit, request)
    return FlatTerms(max(MINIMUM_CHARGE, math.ceil(exact)), model.prices.version)


def cost(costs: Prices | None, request: MediaRequest) -> int | None:
    """What the provider bills for the job, in billionths of a credit; None when that is not known."""
    if costs is None or costs.per_unit is None:
        return None
    return math.ceil((costs.per_unit * _units(costs.unit, request)).scaleb(COST_PLACES))


def _units(unit: Unit | None, request: MediaRequest) -> Decimal:
    match unit:
        case Unit.IMAGE:
            return Decimal(request.n)
        case Unit.SECOND:
            return Decimal(str(request.seconds or DEFAULT_SECONDS))
    return Decimal(request.n if request.kind is Kind.IMAGE else 1)
