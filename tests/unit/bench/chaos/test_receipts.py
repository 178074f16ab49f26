"""What proves the receipts can fail: a receipt with anything changed in it is named."""

from copy import deepcopy
from typing import Any

import pytest

from bench.chaos.calls import Attempt
from bench.chaos.proof import KINDS, ClientResult, Proof, contradictions, kinds
from bench.chaos.receipts import faults, statement_faults

RATES = {"input": "300", "output": "1500", "cached_input": "30.5", "cache_write": "375"}
DEARER = {"input": "600", "output": "3000", "cached_input": "60", "cache_write": "750"}
TIMES = [f"2026-01-01T00:00:0{second}Z" for second in range(5)]


def moved(number: int, kind: str, **lines: int) -> dict[str, Any]:
    written = [{"book": book, "amount": amount} for book, amount in lines.items()]
    return {"id": f"t{number}", "kind": kind, "created_at": TIMES[number], "note": None, "lines": written}


def receipt() -> dict[str, Any]:
    """A stream that was extended, cost more than it held, was written off in part, and was refunded."""
    return {
        "id": "chatcmpl-1",
        "state": "settled",
        "closed_by": "call",
        "created_at": TIMES[0],
        "closed_at": TIMES[2],
        "price": {
            "version": "v",
            "flat": None,
            "rates": RATES,
            "tiers": [{"above_input_tokens": 900, "rates": DEARER}],
            "service_tiers": {},
        },
        "applied": DEARER,
        "usage": {
            "input_tokens": 1001,
            "cached_tokens": 11,
            "cache_write_tokens": 0,
            "output_tokens": 0,
            "source": "provider",
            "meters": {"input": 990, "cached_input": 11},
            "service_tier": None,
        },
        "bounds": {
            "input_tokens": 100,
            "input_estimate": 9,
            "output_limit": 200,
            "choices": 1,
            "web_searches": 0,
            "max_credits": None,
        },
        "held_at_first": 200,
        "extensions": [{"amount": 138, "created_at": TIMES[1]}],
        "credits": {"held": 338, "charged": 400, "written_off": 195, "refunded": 400},
        "calculation": {
            "exact_cost": "594.66",
            "rounded_cost": 595,
            "minimum_charge": 10,
            "minimum_applied": False,
            "capped_at_hold": False,
            "cost": 595,
        },
        "transactions": [
            moved(0, "hold", available=-200, held=200),
            moved(1, "extend", available=-138, held=138),
            moved(2, "charge", available=-62, held=-338, revenue=595, written_off=-195),
            moved(3, "refund", available=400, revenue=-595, written_off=195),
        ],
    }


def statement() -> dict[str, Any]:
    data = [
        {"id": f"t{number}", "charge": "chatcmpl-1", "kind": kind, "created_at": TIMES[number], "note": None}
        | {"balance": balance, "held": held}
        for number, kind, balance, held in [
            (0, "hold", -200, 200),
            (1, "extend", -138, 138),
            (2, "charge", -62, -338),
            (3, "refund", 400, 0),
        ]
    ]
    closing = {"balance": 500, "held": 0}
    return {"opening": {"balance": 500, "held": 0}, "closing": closing, "closings": [closing], "data": data}


def changed(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with one thing changed."""
    copy = deepcopy(document)
    *parents, last = [int(part) if part.isdigit() else part for part in path.split(".")]
    inner: Any = copy
    for part in parents:
        inner = inner[part]
    inner[last] = value
    return copy


def test_a_right_receipt_and_its_statement_have_no_fault() -> None:
    assert faults(receipt()) == []
    assert statement_faults(statement(), [receipt()]) == []
    assert set(kinds(receipt(), None)) == {"refunded", "written off", "extended"}


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("state", "open", "is open"),
        ("state", "void", "was released"),
        ("price.version", "", "no version"),
        ("price.rates.output", "1600", "bounds that come to"),
        ("applied", RATES, "other rates"),
        ("usage.cached_tokens", 10, "exactly"),
        ("usage.meters", {"input": 991, "cached_input": 10}, "not what its tokens come to"),
        ("usage.meters", {"input": 1001, "web_search": 1}, "not what its tokens come to"),
        ("usage.source", "estimated", "estimated tokens"),
        ("usage.source", "counted", "nobody counted"),
        ("closed_by", "sweeper", "by the sweeper"),
        ("bounds.choices", 2, "bounds that come to"),
        ("bounds.max_credits", 399, "at most 399"),
        ("extensions.0.amount", 137, "were set aside"),
        ("extensions.0.created_at", TIMES[0], "its extensions are of"),
        ("held_at_first", 199, "were set aside"),
        ("credits.charged", 401, "charged or written off"),
        ("credits.charged", 300, "still had credits"),
        ("credits.refunded", 399, "were refunded"),
        ("credits.refunded", 0, "its transactions are"),
        ("calculation.exact_cost", "594.661", "exactly"),
        ("calculation.rounded_cost", 594, "exactly"),
        ("calculation.capped_at_hold", True, "costs 338"),
        ("calculation", None, "without an explanation"),
        ("transactions.2.lines.2.amount", 596, "do not sum to zero"),
        ("transactions.1.created_at", TIMES[3], "order of their times"),
        ("transactions.3.kind", "charge", "its transactions are"),
        ("closed_at", "2025-12-31T23:59:59.5Z", "was closed at"),
    ],
)
def test_anything_that_does_not_add_up_is_named(path: str, value: object, expected: str) -> None:
    assert any(expected in fault for fault in faults(changed(receipt(), path, value)))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("data.0.balance", -201, "balance comes to"),
        ("data.1.held", 137, "in its receipt"),
        ("data.2.charge", None, "is None in the statement"),
        ("data.3.id", "t0", "twice"),
        ("closing.held", 1, "held comes to"),
        ("closings.0", {"balance": 1, "held": 0}, "a page"),
    ],
)
def test_a_statement_that_does_not_add_up_is_named(path: str, value: object, expected: str) -> None:
    assert any(expected in fault for fault in statement_faults(changed(statement(), path, value), [receipt()]))


def test_what_a_client_was_told_is_what_its_receipt_says() -> None:
    result = ClientResult(stream=True, left=False, attempt=Attempt(200, "chatcmpl-1", 400, whole=True))
    assert list(contradictions(receipt(), result)) == []
    assert "streamed" in kinds(receipt(), result)
    cheaper = changed(receipt(), "credits", {"charged": 9, "written_off": 0})
    assert len(list(contradictions(cheaper, result))) == 2


def searched() -> dict[str, Any]:
    """A call with a web search, for which a cheaper service tier was requested than the one that served it."""
    usual, flex = {**RATES, "web_search": "1000000"}, {**RATES, "output": "750", "web_search": "1000000"}
    document = receipt()
    document["price"] = {
        "version": "v",
        "flat": None,
        "rates": flex,
        "tiers": [],
        "service_tiers": {"default": {"rates": usual, "tiers": []}},
    }
    document["applied"] = usual
    document["usage"] |= {"input_tokens": 100, "cached_tokens": 0, "output_tokens": 100, "service_tier": "default"}
    document["usage"]["meters"] = {"input": 100, "output": 100, "web_search": 3}
    document["bounds"]["web_searches"] = 10
    document["credits"] = {"held": 10338, "charged": 3180, "written_off": 0, "refunded": 0}
    document["held_at_first"], document["extensions"] = 10338, []
    document["calculation"] |= {"exact_cost": "3180", "rounded_cost": 3180, "cost": 3180}
    document["transactions"] = [
        moved(0, "hold", available=-10338, held=10338),
        moved(2, "charge", available=7158, held=-10338, revenue=3180),
    ]
    return document


def test_every_meter_and_service_tier_is_computed_again() -> None:
    assert faults(searched()) == []
    for path, value in [
        ("usage.meters.web_search", 2),
        ("usage.service_tier", None),
        ("price.service_tiers.default.rates.output", "1501"),
        ("price.rates.web_search", "2000000"),
        ("bounds.web_searches", 9),
    ]:
        assert faults(changed(searched(), path, value)), path


def test_an_ending_without_a_receipt_is_a_fault() -> None:
    proof = Proof()
    proof.counts.update(kinds(receipt(), None))
    assert len(proof.missing()) == len(KINDS) - 3
