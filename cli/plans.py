"""`yout plans`: what plans there are, and which accounts have one."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

import click

from cli import catalog
from cli.database import reading, writing_once
from cli.groups import Group
from cli.terminal import account, as_json, fail, print_json, print_table, say
from domain.counts import counted
from exits import CANNOT_RUN

if TYPE_CHECKING:
    from uuid import UUID

    from sqlmodel.ext.asyncio.session import AsyncSession

    from gateway.plans import Changed


def _time(_: click.Context, __: click.Parameter, given: str | None) -> datetime | None:
    """Read a UTC time, or a day, which stands for its first instant."""
    if given is None:
        return None
    try:
        time = datetime.fromisoformat(given)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        fail(f"'{given}' is no time: write 2026-12-31, or 2026-12-31T18:00:00Z", CANNOT_RUN)


@click.group(cls=Group)
def plans() -> None:
    """Plans of accounts, and the credits they give each month."""


@plans.command("list")
@as_json
def plans_list(as_json: bool) -> None:
    """The plans of the catalog, and how many accounts have each now."""
    from db import plans as stored

    offers = catalog.load().offers
    active = reading(stored.active)
    names = list(offers.plans) + sorted(active.keys() - offers.plans.keys())
    rows: list[dict[str, Any]] = [
        {
            "plan": name,
            "name": offers.plans[name].name if name in offers.plans else None,
            "credits_per_month": offers.plans[name].credits_per_month if name in offers.plans else None,
            "accounts": active.get(name, 0),
        }
        for name in names
    ]
    if as_json:
        print_json(rows)
        return
    print_table(
        ("plan", "name", "credits per month", "accounts"),
        [
            (
                row["plan"],
                row["name"] or "(not in the catalog)",
                f"{row['credits_per_month'] or 0:,}",
                f"{row['accounts']:,}",
            )
            for row in rows
        ],
        numbers=("credits per month", "accounts"),
    )


@plans.command("start")
@account
@click.argument("plan")
@click.option("--until", callback=_time, help="When it ends (UTC): a day or a time. A new plan without has no end.")
@click.option("--endless", is_flag=True, help="Take away the end that the plan has.")
@as_json
def plans_start(account: str, plan: str, until: datetime | None, endless: bool, as_json: bool) -> None:
    """Give an account a plan, and its first month's credits at once. The same command again changes nothing."""
    from db import accounts
    from gateway import plans as use_cases

    if until is not None and endless:
        fail("give --until or --endless, not both", CANNOT_RUN)

    offers = catalog.load().offers

    async def work(session: "AsyncSession") -> "tuple[tuple[UUID, Changed], bool]":
        account_id = await accounts.find(session, account)
        end: datetime | Literal["same", "never"] = until or ("never" if endless else "same")
        changed = await use_cases.start(session, offers, account_id, plan, until=end)
        return (account_id, changed), changed.repeated

    (account_id, changed), repeated = writing_once(work)
    _tell(account_id, replace(changed, repeated=repeated), ("started", "was started before"), as_json=as_json)


@plans.command("end")
@account
@click.option("--at", callback=_time, help="When it ends (UTC): a day or a time. Without, now.")
@as_json
def plans_end(account: str, at: datetime | None, as_json: bool) -> None:
    """End the plan that an operator has given an account. Its credits stay."""
    from db import accounts
    from gateway import plans as use_cases

    offers = catalog.load().offers

    async def work(session: "AsyncSession") -> "tuple[tuple[UUID, Changed], bool]":
        account_id = await accounts.find(session, account)
        changed = await use_cases.end(session, offers, account_id, at=at)
        return (account_id, changed), changed.repeated

    (account_id, changed), repeated = writing_once(work)
    _tell(account_id, replace(changed, repeated=repeated), ("ended", "nothing to end"), as_json=as_json)


def _tell(account_id: "UUID", changed: "Changed", words: tuple[str, str], *, as_json: bool) -> None:
    standing = changed.standing
    if as_json:
        print_json(
            {
                "account_id": account_id,
                "plan": standing.plan,
                "plan_active": standing.active,
                "plan_until": standing.until,
                "credits_given": changed.credits,
                "repeated": changed.repeated,
            }
        )
        return
    until = f", active until {standing.until:%Y-%m-%d %H:%M} UTC" if standing.until else ", without an end"
    end = until if standing.active else ""
    given = f", {counted(changed.credits, 'credit')} given" if changed.credits else ""
    say(f"{words[changed.repeated]}: {standing.plan or 'no plan'} of {account_id}{end}{given}")


@plans.command("show")
@account
@as_json
def plans_show(account: str, as_json: bool) -> None:
    """All terms in which an account had a plan, the latest first."""
    from db import accounts
    from db import plans as stored

    async def work(session: "AsyncSession") -> "tuple[UUID, accounts.Balance, list[Any]]":
        account_id = await accounts.find(session, account)
        return account_id, await accounts.balance(session, account_id), await stored.rows(session, account_id)

    account_id, balance, terms = reading(work)
    if as_json:
        print_json(
            {
                "account_id": account_id,
                "plan": balance.plan,
                "plan_active": balance.plan_active,
                "plan_until": balance.plan_until,
                "terms": [term.model_dump(exclude={"account_id"}) for term in terms],
            }
        )
        return
    state = f"{balance.plan} ({'active' if balance.plan_active else 'not active'})" if balance.plan else "no plan"
    say(f"{account_id}: {state}")
    print_table(
        ("plan", "begins", "ends", "months given", "next credits", "paid by"),
        [
            (
                term.plan,
                str(term.begins_at)[:19],
                str(term.ends_at or "")[:19],
                str(term.months_given),
                str(term.next_grant_at or "")[:19],
                term.payment_id or "the operator",
            )
            for term in terms
        ],
        numbers=("months given",),
    )
