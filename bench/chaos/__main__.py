"""`python -m bench.chaos`: two API processes under load while parts are killed; then every credit is accounted for.

Exit 1 with each violation named.
"""

import asyncio
import shutil
import tempfile
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import Annotated

import aiohttp
import orjson
import typer
from rich.console import Console

from bench.chaos import scenes
from bench.chaos.calls import BEHAVIOURS, Call, Clients, script
from bench.chaos.nemesis import Nemesis, expire_stale
from bench.chaos.proof import ClientResult, Proof, prove
from bench.chaos.reckoning import Held, Totals, violations
from bench.chaos.scenes import Stage
from bench.stack import STATE, Stack, require_durable, start_upstream
from dev.errors import CannotStart
from domain.ids import chat_id

CREDITS = 10**12
QUIET_SECONDS = 90.0
REFUNDS = 1
"""Of each account, by the operator."""
out = Console(soft_wrap=True)


@dataclass(frozen=True, slots=True)
class Plan:
    seconds: float
    seed: int
    clients: int
    calls: int
    folder: Path = STATE
    keep: bool = False


def say(line: str) -> None:
    out.print(line, highlight=False)


def main(
    seconds: Annotated[float, typer.Option(help="Of load and faults; recovery and proof come on top.")] = 60.0,
    seed: Annotated[int, typer.Option(help="The same calls and faults for the same seed.")] = 1,
    clients: Annotated[int, typer.Option(help="At once.")] = 24,
    calls: Annotated[int, typer.Option(help="At most.")] = 5000,
    keep: Annotated[bool, typer.Option(help="Keep the state folder, to look into it.")] = False,
) -> None:
    """Break it on purpose, then prove that the money is right. Exit 1: it is not."""
    began = monotonic()
    try:
        faults = asyncio.run(run(Plan(seconds, seed, clients, calls, keep=keep)))
    except CannotStart as problem:
        say(f"[red]error:[/red] {problem}")
        raise typer.Exit(2) from None
    for fault in faults:
        say(f"[red]violation:[/red] {fault}")
    result = f"[red]{len(faults)} violations[/red]" if faults else "[green]no violation[/green]"
    say(f"seed {seed}: {result} in {monotonic() - began:.0f} s")
    raise typer.Exit(1 if faults else 0)


async def run(plan: Plan) -> list[str]:
    """Every violation."""
    plan.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=plan.folder))
    async with AsyncExitStack() as ending:
        if plan.keep:
            say(f"state: {folder}")
        else:
            ending.callback(shutil.rmtree, folder, ignore_errors=True)
        port, upstream = await start_upstream(folder / "upstream.log")
        ending.push_async_callback(upstream.end)
        stack = Stack(folder / "yout", port, (*BEHAVIOURS, *scenes.MODELS))
        ending.push_async_callback(stack.stop)
        await stack.start(2, CREDITS)
        say(f"two API processes, {plan.clients} clients, {plan.seconds:g} s")
        calls, nemesis = await _under_fire(stack, plan)
        stage = await Stage.built(stack)
        await stage.play()
        await _quiet(stack)
        say(_summary(calls, nemesis))
        faults = await _reckon(stack, calls)
        proof = await _prove(stack, calls, stage)
        say(str(proof))
        faults += proof.faults + proof.missing() + await _audit(stack)
        (plan.folder / "chaos.json").write_bytes(orjson.dumps({"violations": faults, "calls": len(calls)}))
        return faults


async def _under_fire(stack: Stack, plan: Plan) -> tuple[list[Call], Nemesis]:
    deadline = asyncio.get_running_loop().time() + plan.seconds
    clients = Clients(stack, script(plan.seed, plan.calls), deadline, plan.seed)
    nemesis = Nemesis(stack, plan.seed, say)
    async with asyncio.TaskGroup() as group:
        loading = group.create_task(clients.run(plan.clients))
        group.create_task(nemesis.run(deadline))
    return loading.result(), nemesis


async def _quiet(stack: Stack) -> None:
    """Until no process has a call and no hold is open. Leases that nobody renews are made to run out at once."""
    deadline = asyncio.get_running_loop().time() + QUIET_SECONDS
    while asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(1)
        live = 0.0
        for api in stack.apis:
            try:
                live += (await api.figures())["yout_live_calls"]
            except (aiohttp.ClientError, KeyError):
                live += 1
        if live == 0:
            await expire_stale(stack)
            if await stack.number("SELECT count(*) FROM holds WHERE state = 'open'") == 0:
                return


async def _reckon(stack: Stack, calls: Sequence[Call]) -> list[str]:
    durable = await require_durable(stack.postgres.url)
    say(f"PostgreSQL says: {', '.join(f'{name} {value}' for name, value in durable.items())}")
    account = stack.account
    held_by = "SELECT id, output_limit, state, charged, refunded FROM holds WHERE account_id = %s"
    charged = "SELECT count(*) FROM transactions WHERE kind = 'charge' AND account_id = %s"
    rows = await stack.rows(held_by, account)
    holds = [Held(chat_id(row[0]), *row[1:]) for row in rows]
    ((available, held),) = await stack.rows("SELECT available, held FROM accounts WHERE id = %s", account)
    totals = Totals(
        opening=CREDITS,
        available=available,
        held=held,
        usage_rows=await stack.number("SELECT count(*) FROM usage WHERE account_id = %s", account),
        charge_transactions=await stack.number(charged, account),
    )
    say(_books(holds, totals))
    return violations(calls, holds, totals)


async def _audit(stack: Stack) -> list[str]:
    """Last of all: of what the operator gave back, too."""
    audited = await stack.audit()
    problems = [
        f"audit: {finding['check']}, {finding['subject']}: {finding['detail']}" for finding in audited["findings"]
    ]
    if audited["drift_credits"]:
        problems.append(f"audit: the balances drift by {audited['drift_credits']} credits")
    say(f"audit of {audited['checks']} checks {'clean' if audited['clean'] else 'NOT clean'}")
    return problems


async def _prove(stack: Stack, calls: Sequence[Call], stage: Stage) -> Proof:
    """What the operator gives back comes first: what a client was told is compared with the ledger before that."""
    results = [
        ClientResult(call.stream, call.leaves_after is not None, attempt) for call in calls for attempt in call.attempts
    ]
    staged = [ClientResult(scene.stream, scene.leaves_after is not None, attempt) for scene, attempt in stage.attempts]
    for account in (stack.account, stage.account):
        charged = "SELECT id FROM holds WHERE account_id = %s AND charged > 0 AND refunded = 0"
        ordered = f"{charged} ORDER BY closed_by DESC, id LIMIT {REFUNDS}"  # what was swept comes first
        for (hold_id,) in await stack.rows(ordered, account):
            await stack.refund(chat_id(hold_id))
    owners = [(stack.token, _by_charge(results)), (stage.token, _by_charge(staged))]
    return await prove(stack.apis[0].url, owners)


def _by_charge(results: Sequence[ClientResult]) -> dict[str, ClientResult]:
    """By the charge's id; of a call that was answered again, what was heard at the end."""
    return {each.attempt.chat_id: each for each in results if each.attempt.chat_id is not None}


def _books(holds: Sequence[Held], totals: Totals) -> str:
    charged = sum(hold.net for hold in holds)
    refunded = sum(hold.refunded > 0 for hold in holds)
    return (
        f"{len(holds)} holds, {totals.usage_rows} charged ({refunded} of them given back), {charged:,} credits; "
        f"the balance fell by {totals.opening - totals.available:,}"
    )


def _summary(calls: Sequence[Call], nemesis: Nemesis) -> str:
    attempts = [attempt for call in calls for attempt in call.attempts]
    kinds = Counter(
        "broken" if attempt.status is None else f"{attempt.status}{'' if attempt.known else ' cut'}"
        for attempt in attempts
    )
    faults = ", ".join(f"{count} x {fault}" for fault, count in sorted(nemesis.done.items()))
    answers = ", ".join(f"{count} x {kind}" for kind, count in sorted(kinds.items()))
    replayed = sum(attempt.replayed for attempt in attempts)
    return f"faults: {faults}\n{len(calls)} calls, {len(attempts)} attempts: {answers}; {replayed} replayed"


if __name__ == "__main__":
    typer.run(main)
