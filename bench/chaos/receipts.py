"""Charges computed again from the public JSON alone, in exact fractions. Each difference is a sentence.

Nothing of the gateway's own code is used here: what is shared with it would be wrong in both places.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any

Receipt = Mapping[str, Any]
BASE = frozenset({"input", "output", "cached_input", "cache_write"})
INPUT = frozenset({"input", "cached_input", "cache_write", "cache_write_1h", "audio_input", "image_input"})
OUTPUT = frozenset({"output", "audio_output", "image_output"})
ENDS = {"settled": "charge", "void": "release"}
"""Which transaction closes a hold that ended so."""


def faults(receipt: Receipt) -> list[str]:
    """What is wrong with the receipt of a call or job that has ended."""
    name = receipt["id"]
    if receipt["state"] not in ENDS:
        return [f"{name} is {receipt['state']}"]
    problems = [*_of_hold(receipt), *_of_books(receipt), *_of_times(receipt)]
    problems += _of_charge(receipt) if receipt["state"] == "settled" else _of_release(receipt)
    return [f"{name}: {fault}" for fault in problems]


def exact_cost(receipt: Receipt) -> Fraction:
    """By the rates that the input reached, before it is rounded."""
    used, price = receipt["usage"], receipt["price"]
    if price["flat"] is not None:
        return Fraction(price["flat"])
    rates = _applied(receipt)
    return sum((Fraction(rates.get(meter, 0)) * count for meter, count in _counts(used).items()), Fraction()) / 1000


def _counts(used: Mapping[str, Any]) -> dict[str, int]:
    """By meter, none of them zero: the sides of the call without their parts, and the parts."""
    others = {meter: count for meter, count in used["meters"].items() if meter not in BASE}
    parts = {"cached_input": used["cached_tokens"], "cache_write": used["cache_write_tokens"], **others}
    counts = {
        "input": used["input_tokens"] - sum(count for meter, count in parts.items() if meter in INPUT),
        "output": used["output_tokens"] - sum(count for meter, count in parts.items() if meter in OUTPUT),
        **parts,
    }
    return {meter: count for meter, count in counts.items() if count}


def _applied(receipt: Receipt) -> Mapping[str, str]:
    """The rates of the service tier that served the call, and of the tier that its input reached."""
    used, price = receipt["usage"], receipt["price"]
    return _rates_at(price["service_tiers"].get(used["service_tier"], price), used["input_tokens"])


def _rates_at(price: Mapping[str, Any], input_tokens: int) -> Mapping[str, str]:
    reached = [tier for tier in price["tiers"] if input_tokens > tier["above_input_tokens"]]
    rates: Mapping[str, str] = price["rates"]
    return max(reached, key=lambda tier: int(tier["above_input_tokens"]))["rates"] if reached else rates


def _max_cost(receipt: Receipt, minimum: int) -> int:
    """What the whole hold must be: the bounds at the highest rates by which they can be billed."""
    price, bounds = receipt["price"], receipt["bounds"]
    if price["flat"] is not None:
        return int(price["flat"])
    reachable = [
        rates
        for each in (price, *price["service_tiers"].values())
        for rates in (
            each["rates"],
            *(tier["rates"] for tier in each["tiers"] if bounds["input_tokens"] > tier["above_input_tokens"]),
        )
    ]
    output = (bounds["output_limit"] or 0) * bounds["choices"]
    costs = [
        max(Fraction(rate) for meter, rate in rates.items() if meter in INPUT) * bounds["input_tokens"]
        + max(Fraction(rate) for meter, rate in rates.items() if meter in OUTPUT) * output
        + Fraction(rates.get("web_search", 0)) * bounds["web_searches"]
        for rates in reachable
    ]
    highest: Fraction = max(costs) / 1000
    return max(minimum, math.ceil(highest))


def _of_hold(receipt: Receipt) -> Iterator[str]:
    held, max_credits = receipt["credits"]["held"], receipt["bounds"]["max_credits"]
    minimum = receipt["calculation"]["minimum_charge"] if receipt["calculation"] else 10
    if held != _max_cost(receipt, minimum):
        yield f"{held} are held for bounds that come to {_max_cost(receipt, minimum)}"
    grown = receipt["held_at_first"] + sum(more["amount"] for more in receipt["extensions"])
    if held != grown:
        yield f"{held} are held, {grown} were set aside"
    if max_credits is not None and max(held, receipt["credits"]["charged"]) > max_credits:
        yield f"holds {held} and costs {receipt['credits']['charged']}, at most {max_credits} were to be spent"
    if not receipt["price"]["version"]:
        yield "its prices have no version"


def _of_charge(receipt: Receipt) -> Iterator[str]:
    if receipt["calculation"] is None or receipt["usage"] is None:
        yield "was charged without an explanation"
        return
    if receipt["price"]["flat"] is None:
        yield from _of_tokens(receipt)
    credits, calculation, exact = receipt["credits"], receipt["calculation"], exact_cost(receipt)
    cost = math.ceil(exact)
    if exact != Fraction(calculation["exact_cost"]) or cost != calculation["rounded_cost"]:
        yield f"costs {exact} exactly, the receipt says {calculation['exact_cost']} and {calculation['rounded_cost']}"
    if calculation["minimum_applied"]:
        cost = max(cost, calculation["minimum_charge"])
    if calculation["capped_at_hold"]:
        cost = min(cost, credits["held"])
    paid = credits["charged"] + credits["written_off"]
    if not cost == calculation["cost"] == paid:
        yield f"costs {cost}, the receipt says {calculation['cost']}, and {paid} were charged or written off"
    yield from _of_remainders(credits)


def _of_remainders(credits: Mapping[str, int]) -> Iterator[str]:
    if credits["written_off"] and credits["charged"] < credits["held"]:
        yield f"{credits['written_off']} were written off while its hold still had credits"
    if credits["refunded"] not in (0, credits["charged"]):
        yield f"{credits['refunded']} of {credits['charged']} were refunded"


def _of_tokens(receipt: Receipt) -> Iterator[str]:
    used = receipt["usage"]
    if used["meters"] != _counts(used):
        yield f"counts {used['meters']}, which is not what its tokens come to"
    if unpriced := set(used["meters"]) - set(_applied(receipt)):
        yield f"counts {unpriced}, which have no price"
    if receipt["applied"] != _applied(receipt):
        yield "other rates were applied than its input reached"
    sources = ("estimated",) if receipt["closed_by"] == "sweeper" else ("provider", "counted")
    if used["source"] not in sources:
        yield f"was closed by the {receipt['closed_by']} with {used['source']} tokens"
    if used["source"] != "provider" and used["input_tokens"] != receipt["bounds"]["input_estimate"]:
        yield f"is billed for {used['input_tokens']} tokens of input, which nobody counted"


def _of_release(receipt: Receipt) -> Iterator[str]:
    credits = receipt["credits"]
    if credits["charged"] or credits["written_off"] or credits["refunded"] or receipt["calculation"]:
        yield f"was released, and yet it cost something: {credits}"


def _of_books(receipt: Receipt) -> Iterator[str]:
    """Every credit of it, followed through its transactions."""
    credits, books = receipt["credits"], dict[str, int]()
    for transaction in receipt["transactions"]:
        if sum(line["amount"] for line in transaction["lines"]):
            yield f"the lines of {transaction['id']} do not sum to zero"
        for line in transaction["lines"]:
            books[line["book"]] = books.get(line["book"], 0) + line["amount"]
    revenue, lost = credits["charged"] - credits["refunded"], credits["written_off"]
    lost = 0 if credits["refunded"] else lost
    wanted = {"available": -revenue, "held": 0, "revenue": revenue + lost, "written_off": -lost}
    moved = {book: books.get(book, 0) for book in wanted}
    if moved != wanted or set(books) - set(wanted):
        yield f"its transactions moved {books}, not {wanted}"
    kinds = [transaction["kind"] for transaction in receipt["transactions"]]
    refunds = ["refund"] if credits["refunded"] else []
    order = ["hold", *["extend"] * len(receipt["extensions"]), ENDS[receipt["state"]], *refunds]
    if kinds != order:
        yield f"its transactions are {kinds}, not {order}"


def _of_times(receipt: Receipt) -> Iterator[str]:
    written = [(transaction["kind"], _moment(transaction["created_at"])) for transaction in receipt["transactions"]]
    moments = [at for _, at in written]
    if any(one > other for one, other in pairwise(moments)):
        yield f"its transactions are not in the order of their times: {moments}"
    if not receipt["created_at"] or _moment(receipt["created_at"]) > _moment(receipt["closed_at"]):
        yield f"was closed at {receipt['closed_at']}, and began at {receipt['created_at']}"
    extended = [_moment(more["created_at"]) for more in receipt["extensions"]]
    if extended != [at for kind, at in written if kind == "extend"]:
        yield f"its extensions are of {extended}, its transactions say {written}"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def statement_faults(statement: Mapping[str, Any], receipts: Sequence[Receipt]) -> list[str]:
    """`statement` is all of its pages in one: every movement of the receipts is in it, once, and it adds up."""
    movements: Sequence[Mapping[str, Any]] = statement["data"]
    problems = []
    for side in ("balance", "held"):
        total = statement["opening"][side] + sum(movement[side] for movement in movements)
        if total != statement["closing"][side]:
            problems.append(f"the statement's {side} comes to {total}, it says {statement['closing'][side]}")
    problems += [
        f"a page of the statement closes with {page}" for page in statement["closings"] if page != statement["closing"]
    ]
    listed = {movement["id"]: _moved(movement) for movement in movements if movement["charge"]}
    explained = {
        transaction["id"]: _of_account(receipt, transaction)
        for receipt in receipts
        for transaction in receipt["transactions"]
    }
    if len(movements) != len({movement["id"] for movement in movements}):
        problems.append("the statement lists a movement twice")
    problems += [
        f"{id_} is {listed.get(id_)} in the statement and {explained.get(id_)} in its receipt"
        for id_ in listed.keys() | explained.keys()
        if listed.get(id_) != explained.get(id_)
    ]
    return problems


def _moved(movement: Mapping[str, Any]) -> tuple[Any, ...]:
    names = ("charge", "kind", "created_at", "note", "balance", "held")
    return tuple(movement[name] for name in names)


def _of_account(receipt: Receipt, transaction: Mapping[str, Any]) -> tuple[Any, ...]:
    lines = {line["book"]: line["amount"] for line in transaction["lines"]}
    amounts = lines.get("available", 0), lines.get("held", 0)
    return receipt["id"], transaction["kind"], transaction["created_at"], transaction["note"], *amounts
