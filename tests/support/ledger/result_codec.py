"""A verdict as a client hears it, in values that compare, and that a process can tell another."""

from functools import singledispatch
from typing import Any

from domain.errors import GatewayError, InsufficientCredits
from domain.results import Admitted, Closed, Extended, Granted, Renewed, Replay, Reserved

EncodedResult = tuple[Any, ...]


@singledispatch
def encode(result: object) -> EncodedResult:
    raise TypeError(type(result))


@encode.register
def _(v: Reserved) -> EncodedResult:
    return "Reserved", v.amount, v.output_limit, v.available, v.held, v.claimed


@encode.register
def _(v: Admitted) -> EncodedResult:
    return "Admitted", v.account_id, v.available, v.held


@encode.register
def _(v: Replay) -> EncodedResult:
    return "Replay", v.hold_id, v.sealed, v.charged, v.available


@encode.register
def _(v: Extended) -> EncodedResult:
    return "Extended", v.output_limit, v.amount, v.available


@encode.register
def _(v: Closed) -> EncodedResult:
    return "Closed", v.state.value, v.charged, v.written_off, v.available, v.held, v.repeated


@encode.register
def _(v: Renewed) -> EncodedResult:
    return "Renewed", v.lease_until is not None


@encode.register
def _(v: Granted) -> EncodedResult:
    return "Granted", v.available, v.repeated


@encode.register
def _(v: GatewayError) -> EncodedResult:
    return (type(v).__name__,)


@encode.register
def _(v: InsufficientCredits) -> EncodedResult:
    return "InsufficientCredits", v.required, v.available, v.limit_source
