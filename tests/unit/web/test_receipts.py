"""Receipts in steps: of many calls by chance, closed by the ledger's own rules, every one adds up to its charge."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from random import Random
from typing import Any
from uuid import UUID

from api import receipts as public
from domain import pricing
from domain.ledger import Transaction
from domain.meters import Rates, Tier, TokenPrices, per_thousand
from domain.operations import Extend, Operation, Refund, Renew, Sweep
from domain.pricing import FlatTerms, Share, TextTerms, Usage, UsageSource
from domain.receipts import Movement, Receipt
from domain.usage import UsageEntry
from tests.support.ledger.cases import ANN, reserve, run, settle, state, void
from web.receipts import Explained, Part, explain

RECEIPTS = 1000
CALL = UUID(int=100)
SEEN = {
    *("open", "void", "settled", "flat", "share", "tier", "minimum", "capped", "written off", "refunded", "grew"),
    *("provider", "counted", "estimated", "beyond the hold", "cached_input", "web_search", "audio_input"),
}


def rates(chance: Random) -> Rates:
    def price(most: int) -> Decimal:
        return Decimal(chance.randrange(most * 1000)) / chance.choice((1, 10, 1000))

    own = {"input": price(9), "output": price(30)}
    own |= {name: price(9) for name in ("cached_input", "cache_write") if chance.random() < 0.5}
    own |= {name: price(9) for name in ("audio_input", "web_search", "request") if chance.random() < 0.4}
    return per_thousand(**own)


def terms(chance: Random) -> TextTerms:
    own = rates(chance)
    tiers = [
        Tier(above, {meter: rate * chance.randrange(1, 4) for meter, rate in own.items()}) for above in (100, 2000)
    ]
    prices = TokenPrices(own, tuple(tiers[: chance.randrange(3)]))
    given = chance.randrange(3000)
    return TextTerms(prices, "v1", given, given, chance.randrange(1, 900), 4096, chance.choice((1, 1, 2)))


def usage(chance: Random, most: int) -> Usage:
    source = chance.choice((UsageSource.PROVIDER, UsageSource.COUNTED))
    given = chance.choice((0, most, chance.randrange(most + 1)))
    cached, audio = chance.randrange(given + 1), chance.randrange(given + 1)
    searches = chance.choice((None, chance.randrange(12)))
    return Usage(given, chance.randrange(3000), source, cached, audio_input_tokens=audio, web_searches=searches)


def ends(chance: Random, most: int) -> Sequence[Operation]:
    """What happens to a call after its credits are held."""
    charged = settle(usage=usage(chance, most), minimum=chance.random() < 0.7)
    charged = replace(charged, share=Share(chance.randrange(1, 4), 4) if chance.random() < 0.3 else None)
    others: dict[int, list[Operation]] = {
        0: [],
        1: [void()],
        2: [charged, Refund(CALL, ANN, note="Our fault")],
        3: [Renew(CALL, chance.randrange(300)), Sweep(CALL, ANN)],
        4: [Extend(CALL, ANN, 1200), Extend(CALL, ANN, 1500), charged],
    }
    return others.get(chance.randrange(8), [charged])


def receipt(chance: Random) -> dict[str, Any]:
    """As the API answers. The account may have too little for more than what is held."""
    own = FlatTerms(chance.randrange(1, 9000), "v1") if chance.random() < 0.2 else terms(chance)
    bound = pricing.bound(own, 10**9).amount
    known = state(bound + chance.choice((0, 5, 10**6)))
    kind = "video" if isinstance(own, FlatTerms) else "chat"
    moved: list[Transaction] = []
    entries: list[UsageEntry] = []
    for operation in (reserve(terms=own, kind=kind), *ends(chance, 2999)):
        if isinstance(operation, Extend) and isinstance(own, FlatTerms):
            continue
        known.now += timedelta(minutes=1 if isinstance(operation, Sweep) else 0, milliseconds=1)
        _, changes = run(known, operation)
        moved += changes.transactions
        entries += changes.usage
    movements = [Movement(UUID(int=t.position), t.kind, t.created_at, t.note, t.postings) for t in moved]
    view = public.view(Receipt(known.holds[CALL], read(entries), tuple(movements)), None)
    shown: dict[str, Any] = json.loads(view.model_dump_json())
    return shown


def read(entries: Sequence[UsageEntry]) -> Usage | None:
    """The usage as it is read from its row."""
    if not entries:
        return None
    (row,) = entries
    base = {"cached_tokens": row.cached_tokens, "cache_write_tokens": row.cache_write_tokens}
    parts = base | pricing.parts(row.meters)
    return Usage(row.input_tokens, row.output_tokens, row.source, service_tier=row.service_tier, **parts)


def summed(explained: Explained, part: Part) -> Decimal:
    return sum((step.amount for step in explained.steps if step.part is part), Decimal(0))


def check(shown: dict[str, Any]) -> None:
    explained, amounts = explain(shown), shown["credits"]
    held, back = summed(explained, Part.HELD), summed(explained, Part.BACK)
    assert explained.sum_of_lines == 0
    if shown["state"] == "open":
        assert (held, back, explained.total) == (amounts["held"], Decimal(0), amounts["held"])
        return
    if shown["state"] == "void":
        assert (held, back, explained.total) == (amounts["held"], amounts["held"], 0)
        return
    calculation, exact = shown["calculation"], summed(explained, Part.METER)
    costs = [step.amount for step in explained.steps if step.part is Part.COST] or [exact]
    assert exact == Decimal(calculation["exact_cost"])
    assert costs[0] == exact.to_integral_value(ROUND_CEILING)
    assert costs[-1] == amounts["charged"] == explained.total
    assert held - (back - amounts["refunded"]) == amounts["charged"]


def features(shown: dict[str, Any]) -> set[str]:
    calculation, amounts = shown["calculation"] or {}, shown["credits"]
    meters = shown["usage"]["meters"] if shown["usage"] else {}
    flat = shown["price"]["flat"] is not None
    had = {
        shown["state"]: True,
        "flat": flat,
        "share": flat and shown["state"] == "settled" and amounts["charged"] < amounts["held"],
        "tier": shown["applied"] is not None and shown["applied"] != shown["price"]["rates"],
        "minimum": calculation.get("minimum_applied"),
        "capped": calculation.get("capped_at_hold"),
        "written off": amounts["written_off"],
        "refunded": amounts["refunded"],
        "grew": shown["extensions"],
        "beyond the hold": amounts["charged"] > amounts["held"],
        (shown["usage"] or {}).get("source"): True,
        **dict.fromkeys(meters, True),
    }
    return {name for name, has in had.items() if has}


def test_the_steps_of_receipts_by_chance_add_up_to_what_was_charged() -> None:
    chance, seen = Random(20260131), set[str]()
    for _ in range(RECEIPTS):
        shown = receipt(chance)
        check(shown)
        seen |= features(shown)
    assert seen >= SEEN


def test_a_reader_can_redo_a_simple_charge() -> None:
    own = TextTerms(TokenPrices(per_thousand(input=Decimal(300), output=Decimal(1500))), "v1", 412, 400, 800, 4096)
    known = state(10_000)
    moved: list[Transaction] = []
    entries: list[UsageEntry] = []
    for operation in (reserve(terms=own), settle(usage=Usage(388, 214, UsageSource.PROVIDER))):
        _, changes = run(known, operation)
        moved += changes.transactions
        entries += changes.usage
    movements = tuple(Movement(UUID(int=t.position), t.kind, t.created_at, t.note, t.postings) for t in moved)
    view = public.view(Receipt(known.holds[CALL], read(entries), movements), "Claude Sonnet 4.6")
    explained = explain(json.loads(view.model_dump_json()))
    assert [(step.title, step.written) for step in explained.steps] == [
        ("Held before the call", "1,324"),
        ("388 tokens in", "116.4"),
        ("214 tokens out", "321"),
        ("Rounded up, once", "438"),
        ("Came back", "886"),
    ]
    assert explained.steps[0].how == ("At most 412 tokens of input at 300 and 800 of output at 1,500, per 1,000")
    assert [line.amount for line in explained.lines] == [-1324, 1324, -1324, 438, 886]
