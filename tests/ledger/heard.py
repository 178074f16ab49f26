"""A verdict as a client hears it, in values that compare, and that a process can tell another."""

from functools import singledispatch
from typing import Any

from domain.errors import GatewayError, InsufficientCredits
from domain.ledger import Closed, Extended, Granted, Renewed, Replay, Reserved

Heard = tuple[Any, ...]


@singledispatch
def heard(verdict: object) -> Heard:
    raise TypeError(type(verdict))


@heard.register
def _(v: Reserved) -> Heard:
    return "Reserved", v.amount, v.output_limit, v.available, v.held, v.claimed


@heard.register
def _(v: Replay) -> Heard:
    return "Replay", v.hold_id, v.sealed, v.charged, v.available


@heard.register
def _(v: Extended) -> Heard:
    return "Extended", v.output_limit, v.amount, v.available


@heard.register
def _(v: Closed) -> Heard:
    return "Closed", v.state.value, v.charged, v.written_off, v.available, v.held, v.repeated


@heard.register
def _(v: Renewed) -> Heard:
    return "Renewed", v.lease_until is not None


@heard.register
def _(v: Granted) -> Heard:
    return "Granted", v.available, v.repeated


@heard.register
def _(v: GatewayError) -> Heard:
    return (type(v).__name__,)


@heard.register
def _(v: InsufficientCredits) -> Heard:
    return "InsufficientCredits", v.required, v.available, v.limit_source
