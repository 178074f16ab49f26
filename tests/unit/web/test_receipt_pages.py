"""Receipts by chance as their page shows them: what a reader adds up is what was charged."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser
from random import Random
from typing import Any

from tests.unit.web.test_receipts import RECEIPTS, receipt
from web import templating
from web.api import Server
from web.numbers import credits
from web.receipts import explain
from web.visit import Account

PAGE = {
    **{
        "account": Account("0199c0de", "a@example.com", 49_000, 0, None, False, 0),
        "now": datetime(2026, 11, 30, tzinfo=UTC),
    },
    **{"theme": "", "address": "/activity", "path": "/activity", "places": ("/activity",), "fault": None},
    "server": Server("https://yout.example", None, 50_000),
}


def number(written: str) -> Decimal:
    return Decimal(written.replace(",", "").replace("\N{MINUS SIGN}", "-"))


@dataclass
class Shown(HTMLParser):
    """What the page of a charge says: its total, its steps by their titles, and the lines of the books."""

    total: str = ""
    steps: list[tuple[str, Decimal]] = field(default_factory=list)
    lines: list[tuple[str, Decimal]] = field(default_factory=list)
    _open: list[str] = field(default_factory=list)
    _words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        kinds = (dict(attributes).get("class") or "").split()
        self._open += [kind for kind in kinds if kind in ("total", "sum", "lines")]

    def handle_endtag(self, tag: str) -> None:
        place, words = (self._open or [""])[-1], self._words
        ended = {"total": "p", "sum": "ol", "lines": "table"}.get(place) == tag
        if place == "total" and ended:
            self.total = words[0]
        elif (place, tag) == ("sum", "li"):
            self.steps.append((words[0], number(words[1])))
        elif (place, tag) == ("lines", "tr"):
            self.lines.append((words[0], number(words[1])))
        if ended:
            self._open.pop()
        if tag in ("li", "tr", "caption") or ended:
            words.clear()

    def handle_data(self, data: str) -> None:
        if self._open and data.strip():
            self._words.append(data.strip())


def shown(of: dict[str, Any]) -> Shown:
    page = Shown()
    page.feed(templating.html("charge.html", PAGE | {"explained": explain(of)}))
    return page


def test_what_a_page_shows_of_a_charge_adds_up() -> None:
    chance, kinds = Random(20261130), set[str]()
    for _ in range(RECEIPTS):
        of = receipt(chance)
        page, amounts = shown(of), of["credits"]
        kinds.add(of["state"])
        *lines, (word, zero) = page.lines or [("Sum", Decimal(0))]
        assert word == "Sum"
        assert zero == sum(amount for _, amount in lines) == 0
        held = sum(amount for title, amount in page.steps if title.startswith(("Held", "Taken beside")))
        back = sum(amount for title, amount in page.steps if title == "Came back")
        charged = amounts["held"] if of["state"] == "open" else amounts["charged"]
        assert page.total == credits(charged)
        assert held - back == charged
    assert kinds == {"open", "settled", "void"}
