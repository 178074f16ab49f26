"""A charge explained in steps that a reader can redo. All of it comes from the receipt that the API answers with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from typing import Any

from domain.counts import counted
from web.numbers import credits, moment

Receipt = Mapping[str, Any]

_MINUS = "\N{MINUS SIGN}"
_TIMES = "\N{MULTIPLICATION SIGN}"
_PER = 1000
METERS = {
    "input": "tokens in",
    "cached_input": "tokens in, from a cache",
    "cache_write": "tokens in, written to a cache",
    "cache_write_1h": "tokens in, written to a cache for an hour",
    "audio_input": "tokens of audio in",
    "image_input": "tokens of images in",
    "output": "tokens out",
    "audio_output": "tokens of audio out",
    "image_output": "tokens of images out",
    "web_search": "web searches",
    "request": "answer of the provider",
}
SOURCES = {
    "provider": "Counted by the provider",
    "counted": "Counted by us, since the provider reported nothing usable",
    "estimated": "Estimated after a crash, from the last second that was noted",
    "flat": "All that was ordered was made",
}
KINDS = {
    "hold": "Held",
    "extend": "Held more",
    "charge": "Charged",
    "release": "Released",
    "refund": "Refunded",
    "grant": "Credits came in",
    "adjust": "Corrected",
    "purge": "Erased calls, their sum",
}
_BOOKS = {
    ("available", False): "from your balance",
    ("available", True): "to your balance",
    ("held", False): "from what was set aside",
    ("held", True): "set aside",
    ("revenue", False): "from the operator",
    ("revenue", True): "to the operator",
    ("written_off", False): "covered by the operator",
    ("written_off", True): "no longer covered by the operator",
    ("grants", False): "from the operator's grants",
    ("grants", True): "to the operator's grants",
    ("adjustments", False): "from the operator's corrections",
    ("adjustments", True): "to the operator's corrections",
}
_HELD_FOR = {
    "input": "{} tokens of input",
    "output": "{} of output",
    "web_search": "{} web searches",
    "request": "{} answer of the provider",
}
_WORKS = {"image": "image job", "video": "video job", "speech": "speech job", "transcription": "transcription"}


class Part(StrEnum):
    """What a step adds to. `METER` steps sum to the exact cost; `COST` steps change it to what is charged."""

    HELD = "held"
    METER = "meter"
    COST = "cost"
    BACK = "back"


@dataclass(frozen=True, slots=True)
class Step:
    part: Part
    title: str
    amount: Decimal
    """Of `COST`: the cost as it is after this step."""
    how: str = field(default="", repr=False)

    @property
    def written(self) -> str:
        return exact(self.amount)


@dataclass(frozen=True, slots=True)
class Line:
    """A posting of the ledger."""

    text: str = field(repr=False)
    amount: int


@dataclass(frozen=True, slots=True)
class Explained:
    receipt: Receipt = field(repr=False)
    question: str = field(repr=False)
    total: int
    of: str = field(repr=False)
    """What the total is for."""
    sentences: Sequence[str] = field(repr=False)
    """What is special about it."""
    steps: Sequence[Step] = field(repr=False)
    lines: Sequence[Line] = field(repr=False)
    bar: Sequence[tuple[str, int]] = field(repr=False)
    """What was charged is solid, what is held is hatched, what came back is open."""
    bar_text: str = field(repr=False)

    @property
    def sum_of_lines(self) -> int:
        return sum(line.amount for line in self.lines)

    @property
    def bar_width(self) -> int:
        return sum(amount for _, amount in self.bar)


def explain(receipt: Receipt) -> Explained:
    amounts = receipt["credits"]
    running = receipt["state"] == "open"
    total = amounts["held"] if running else amounts["charged"]
    bar, text = _bar(amounts, running=running)
    return Explained(
        receipt=receipt,
        question=_question(receipt["state"], total),
        total=total,
        of=_subject(receipt, receipt["model_name"] or receipt["model"]),
        sentences=tuple(_sentences(receipt)),
        steps=tuple(_steps(receipt)),
        lines=tuple(_lines(receipt)),
        bar=bar,
        bar_text=text,
    )


def _question(state: str, total: int) -> str:
    if state == "void":
        return "Why was nothing charged?"
    return f"What holds {counted(total, 'credit')}?" if state == "open" else f"Why {counted(total, 'credit')}?"


def _bar(amounts: Mapping[str, int], *, running: bool) -> tuple[Sequence[tuple[str, int]], str]:
    held, charged, refunded = amounts["held"], amounts["charged"], amounts["refunded"]
    if running:
        return [("wait", held)], f"{counted(held, 'credit')} held"
    back = max(0, held - charged)
    text = f"{credits(charged)} credits were charged of {credits(held)} that were held, {credits(back)} came back"
    text += f", {credits(refunded)} were refunded" if refunded else ""
    return [("spent", charged - refunded), ("back", back + refunded)], text


def exact(amount: Decimal) -> str:
    """Write an amount with all of its digits, such as `116.4`."""
    plain = f"{amount:,f}"
    if "." in plain:
        plain = plain.rstrip("0").rstrip(".")
    return plain.replace("-", _MINUS)


def clock(written: str) -> str:
    return f"{moment(written):%H:%M:%S}.{moment(written).microsecond // 1000:03d} UTC"


def _subject(receipt: Receipt, name: str) -> str:
    work = _WORKS.get(receipt["kind"])
    verb = "held" if receipt["state"] == "open" else "credits"
    if work is not None:
        return f"{verb} for one {work} of {name}"
    what = "embeddings" if receipt["kind"].startswith("embedding") else "answer"
    return f"{verb} for {'' if what == 'embeddings' else 'one '}{what} of {name}"


def _sentences(receipt: Receipt) -> Iterator[str]:
    amounts = receipt["credits"]
    if receipt["state"] == "open":
        yield f"It is still running. It holds {counted(amounts['held'], 'credit')}. What it does not need comes back."
    if receipt["state"] == "void" and amounts["held"]:
        yield f"Nothing was charged, and all {counted(amounts['held'], 'credit')} came back."
    if receipt["state"] == "void" and not amounts["held"]:
        yield "It never began. Nothing was held, and nothing was charged."
    if amounts["refunded"]:
        yield f"The operator gave {counted(amounts['refunded'], 'credit')} back after it was charged."
    if amounts["written_off"]:
        yield (
            f"It cost {counted(amounts['written_off'], 'credit')} more than you had or allowed. "
            "The operator pays them, not you."
        )
    if receipt["closed_by"] == "sweeper" and receipt["state"] == "settled":
        yield "The process that made this call died. What was delivered until then is charged."
    if receipt["state"] == "settled" and receipt["calculation"] is None:
        yield "What it used was erased, so that it cannot be computed again. What it moved is below."


def _steps(receipt: Receipt) -> Iterator[Step]:
    if not receipt["credits"]["held"] and receipt["state"] == "void":
        return
    yield from _held(receipt)
    if receipt["state"] == "open":
        return
    if receipt["calculation"] is not None:
        yield from _flat(receipt) if receipt["price"]["flat"] is not None else _metered(receipt)
    yield from _after(receipt)


def _held(receipt: Receipt) -> Iterator[Step]:
    amounts, first, more = receipt["credits"], receipt["held_at_first"], receipt["extensions"]
    what = "job" if receipt["price"]["flat"] is not None else "call"
    how = "For the beginning of an answer that had no limit of its own" if more else _bounds(receipt)
    yield Step(Part.HELD, f"Held before the {what}", Decimal(first), how)
    if more:
        times = "Once" if len(more) == 1 else f"{len(more)} times"
        how = f"{times}, last at {clock(more[-1]['created_at'])}. In all: {_bounds(receipt).lower()}"
        yield Step(Part.HELD, "Held more, while it ran", Decimal(amounts["held"] - first), how)


def _bounds(receipt: Receipt) -> str:
    """Say what the whole hold pays for, with the rates that give exactly it."""
    bounds, price = receipt["bounds"], receipt["price"]
    if price["flat"] is not None:
        return "Its price, which is known before it begins"
    counts = {"input": bounds["input_tokens"], "output": (bounds["output_limit"] or 0) * bounds["choices"]}
    counts |= {"web_search": bounds["web_searches"], "request": int("request" in price["rates"])}
    rates = _holding_rates(receipt, counts)
    parts = [
        f"{text.format(credits(counts[meter]))}{f' at {exact(rates[meter])}' if rates else ''}"
        for meter, text in _HELD_FOR.items()
        if counts[meter]
    ]
    sums = f"{', '.join(parts[:-1])} and {parts[-1]}" if len(parts) > 1 else "".join(parts) or "nothing"
    return f"At most {sums}{', per 1,000' if rates else ', at the highest prices that they can have'}"


def _holding_rates(receipt: Receipt, counts: Mapping[str, int]) -> Mapping[str, Decimal] | None:
    """The rates at which the counts are exactly what was held. None: of no tier alone, such as at the minimum."""
    price = receipt["price"]
    for priced in (price, *price["service_tiers"].values()):
        for rates in (priced["rates"], *(tier["rates"] for tier in priced["tiers"])):
            highest = {meter: Decimal(rates.get(meter, "0")) for meter in ("web_search", "request")}
            for side, of in (("input", _is_input), ("output", _is_output)):
                highest[side] = max((Decimal(rate) for meter, rate in rates.items() if of(meter)), default=Decimal(0))
            bound = sum((highest[meter] * count for meter, count in counts.items()), Decimal(0)) / _PER
            if bound.to_integral_value(ROUND_CEILING) == receipt["credits"]["held"]:
                return highest
    return None


def _is_input(meter: str) -> bool:
    return meter not in {"web_search", "request"} and not _is_output(meter)


def _is_output(meter: str) -> bool:
    return meter.endswith("output")


def _metered(receipt: Receipt) -> Iterator[Step]:
    used, applied, calculation = receipt["usage"], receipt["applied"], receipt["calculation"]
    source = SOURCES[used["source"]]
    for meter, count in used["meters"].items():
        rate = Decimal(applied.get(meter, "0"))
        how = f"{credits(count)} {_TIMES} {exact(rate)} / 1,000. {source}"
        yield Step(Part.METER, _counted(meter, count), rate * count / _PER, how)
    if not used["meters"]:
        yield Step(Part.METER, "Nothing was used", Decimal(0), source)
    rounded, cost = calculation["rounded_cost"], calculation["cost"]
    minimum = calculation["minimum_charge"]
    whole = Decimal(calculation["exact_cost"]) == rounded
    how = "It is whole already" if whole else f"{exact(Decimal(calculation['exact_cost']))} becomes {credits(rounded)}"
    beyond = rounded > minimum and not calculation["capped_at_hold"]
    yield Step(
        Part.COST, "Rounded up, once", Decimal(rounded), f"{how}. More than the minimum of {minimum}" if beyond else how
    )
    if calculation["minimum_applied"]:
        yield Step(Part.COST, "The minimum", Decimal(cost), f"Every successful call costs at least {minimum}")
    if calculation["capped_at_hold"]:
        how = "It broke off, or its reader left: then it never costs more than it held"
        yield Step(Part.COST, "Not more than was held", Decimal(cost), how)


def _counted(meter: str, count: int) -> str:
    name = METERS.get(meter, meter.replace("_", " "))
    if count == 1:
        name = name.replace("tokens", "token", 1).replace("searches", "search", 1)
    elif meter == "request":
        name = "answers of the provider"
    return f"{credits(count)} {name}"


def _flat(receipt: Receipt) -> Iterator[Step]:
    calculation, held = receipt["calculation"], receipt["credits"]["held"]
    part = calculation["cost"] < held
    how = "Fewer outputs were made than were ordered: their share of the price, rounded up" if part else SOURCES["flat"]
    yield Step(Part.METER, "The price", Decimal(calculation["exact_cost"]), how)


def _after(receipt: Receipt) -> Iterator[Step]:
    """Yield what became of the cost: who paid it, and what came back."""
    amounts = receipt["credits"]
    held, charged, lost = amounts["held"], amounts["charged"], amounts["written_off"]
    if lost:
        how = f"{credits(charged + lost)} {_MINUS} {credits(lost)}, which neither you nor the hold covered"
        yield Step(Part.COST, "Written off", Decimal(charged), how)
    if charged > held:
        how = f"{credits(charged)} {_MINUS} {credits(held)}, from your balance: it cost more than was held"
        yield Step(Part.HELD, "Taken beside what was held", Decimal(charged - held), how)
    if held > charged:
        how = f"{credits(held)} {_MINUS} {credits(charged)}"
        if receipt["closed_at"]:
            how += f", at {clock(receipt['closed_at'])}"
        yield Step(Part.BACK, "Came back", Decimal(held - charged), how)
    if amounts["refunded"]:
        how = "; ".join(_refund_notes(receipt)) or "All that was charged"
        yield Step(Part.BACK, "Refunded", Decimal(amounts["refunded"]), how)


def _refund_notes(receipt: Receipt) -> Iterator[str]:
    for movement in receipt["transactions"]:
        if movement["kind"] == "refund":
            yield f"{movement['note'] or 'All that was charged'}, at {clock(movement['created_at'])}"


def _lines(receipt: Receipt) -> Iterator[Line]:
    for movement in receipt["transactions"]:
        kind = KINDS.get(movement["kind"], movement["kind"])
        for line in sorted(movement["lines"], key=lambda line: int(line["amount"])):
            book = _BOOKS.get((line["book"], line["amount"] > 0), line["book"])
            yield Line(f"{kind}: {book}", line["amount"])
