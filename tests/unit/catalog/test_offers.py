"""Plans, packs and prices of payments in a catalog file, and what is wrong with them."""

from decimal import Decimal
from pathlib import Path
from uuid import UUID

import pytest

from domain.payments import Pack
from domain.plans import Plan
from tests.unit.catalog.test_files import load, problems

FILE = """
[plans.pro]
name = "Pro"
credits_per_month = 5_000_000
stripe = ["price_1QsFm2", "prod_RkP0"]

[plans.staff]
credits_per_month = 0

[packs.small]
credits = 1_000_000
stripe = ["plink_1QsG"]

[payments]
credits_per_unit = { usd = 100000, jpy = 650.5, kwd = 300000, ugx = 27 }
"""


def test_what_is_for_sale(tmp_path: Path) -> None:
    offers = load(tmp_path, FILE).offers
    pro = Plan("pro", "Pro", 5_000_000)
    assert offers.plans == {"pro": pro, "staff": Plan("staff", "staff", 0)}
    assert offers.find(["price_of_something", "prod_RkP0"]) == offers.find(["pro"]) == pro
    assert offers.find(["plink_1QsG"]) == Pack("small", "small", 1_000_000)
    assert offers.find(["price_of_something"]) is offers.find([]) is None
    assert offers.credits_per_unit["jpy"] == Decimal("650.5")
    assert offers.link_of(UUID(int=7)) is None


def test_a_link_says_whose_account_is_paid_for(tmp_path: Path) -> None:
    account = UUID(int=7)
    for link, mark in (("https://buy.example/x", "?"), ("https://buy.example/x?locale=de", "&")):
        offers = load(tmp_path, f'[payments]\nlink = "{link}"\n').offers
        assert offers.link_of(account) == f"{link}{mark}client_reference_id={account}"


@pytest.mark.parametrize(
    ("amount", "currency", "credits"),
    [
        *((1999, "usd", 1_999_000), (3, "jpy", 1951), (1500, "kwd", 450_000), (1999, "eur", None), (0, "usd", 0)),
        (500, "ugx", 135),  # the provider counts its hundredths, which do not exist
    ],
)
def test_an_amount_buys_credits(tmp_path: Path, amount: int, currency: str, credits: int | None) -> None:
    assert load(tmp_path, FILE).offers.credits_for(amount, currency) == credits


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[plans.pro]\nname = 'Pro'", "my.toml:1: plans.pro.credits_per_month: is missing"),
        (
            "[plans.pro]\ncredits_per_month = 5.5",
            "my.toml:2: plans.pro.credits_per_month: must be a whole number",
        ),
        (
            "[plans.pro]\ncredits_per_mont = 5\ncredits_per_month = 5",
            "my.toml:2: plans.pro.credits_per_mont: is not a known key; did you mean credits_per_month?",
        ),
        (
            "[plans.pro]\ncredits_per_month = 5\nstripe = [\n  'price_1',\n  'sub_1',\n]",
            "my.toml:5: plans.pro.stripe.1: is not well-formed",
        ),
        ("[packs.small]\ncredits = 0", "my.toml:2: packs.small.credits: must be at least 1"),
        ("[plan.pro]\ncredits_per_month = 5", "my.toml:1: plan: is not a known key; did you mean plans?"),
        (
            "[plans.Pro]\ncredits_per_month = 5",
            "my.toml:1: plans.Pro: a plan's or pack's name has lower-case letters, digits and dashes only",
        ),
        (
            "[plans.a]\ncredits_per_month = 5\nstripe = ['price_1']\n[packs.b]\ncredits = 5\nstripe = ['price_1']",
            "my.toml:6: packs.b.stripe.0: 'price_1' stands for plans.a already",
        ),
        (
            "[plans.a]\ncredits_per_month = 5\n[packs.a]\ncredits = 5",
            "my.toml:3: packs.a: 'a' stands for plans.a already",
        ),
        (
            '[payments]\nlink = "javascript:x"',
            "my.toml:2: payments.link: is not well-formed",
        ),
        (
            "[payments]\ncredits_per_unit = { usd = -1 }",
            "my.toml:2: payments.credits_per_unit.usd: must be a decimal number > 0 with at most 12 places",
        ),
    ],
)
def test_an_error_is_one_line_that_names_file_line_and_key(tmp_path: Path, text: str, line: str) -> None:
    assert problems(tmp_path, text) == [line]
