"""What clients were told against what the ledger says, call by call. Each difference is a sentence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.chaos.calls import Attempt, Call


@dataclass(frozen=True, slots=True)
class Held:
    """One hold as the ledger has it at the end."""

    chat_id: str
    limit: int
    state: str
    charged: int
    refunded: int

    @property
    def net(self) -> int:
        return self.charged - self.refunded


@dataclass(frozen=True, slots=True)
class Totals:
    opening: int
    available: int
    held: int
    usage_rows: int
    charge_transactions: int


def violations(calls: Sequence[Call], holds: Sequence[Held], totals: Totals) -> list[str]:
    by_limit: dict[int, list[Held]] = {}
    for hold in holds:
        by_limit.setdefault(hold.limit, []).append(hold)
    by_id = {hold.chat_id: hold for hold in holds}
    problems = [fault for call in calls for fault in _of_call(call, by_limit.get(call.limit, []), by_id)]
    known = {call.limit for call in calls}
    problems += [f"{hold.chat_id} belongs to no call that was made" for hold in holds if hold.limit not in known]
    return problems + list(_of_totals(holds, totals))


def _of_call(call: Call, holds: Sequence[Held], by_id: dict[str, Held]) -> Iterator[str]:
    name = f"call {call.number} ({call.model}, {'stream' if call.stream else 'whole'}{', keyed' if call.key else ''})"
    for attempt in call.attempts:
        yield from (f"{name}: {fault}" for fault in _of_attempt(attempt, by_id))
    charged = [hold for hold in holds if hold.net > 0]
    if len(charged) > 1:
        yield f"{name} was charged {len(charged)} times: {', '.join(hold.chat_id for hold in charged)}"
    if len(holds) > len(call.attempts):
        yield f"{name} has {len(holds)} holds after {len(call.attempts)} attempts"
    if charged and all(attempt.status is not None and attempt.status >= 400 for attempt in call.attempts):
        codes = ", ".join(f"{attempt.status} {attempt.code}" for attempt in call.attempts)
        paid_before = any(attempt.code == "idempotency_conflict" for attempt in call.attempts)
        if not paid_before:
            yield f"{name} was answered {codes}, and is charged {charged[0].net} ({charged[0].chat_id})"


def _of_attempt(attempt: Attempt, by_id: dict[str, Held]) -> Iterator[str]:
    if attempt.status != 200:
        return
    if attempt.whole and attempt.charged is None:
        yield "answered whole, without what it cost"
    if attempt.charged is None:
        return
    hold = by_id.get(attempt.chat_id or "")
    if hold is None:
        yield f"was told {attempt.chat_id} costs {attempt.charged}, which the ledger does not know"
    elif hold.charged != attempt.charged or hold.refunded:
        yield (
            f"was told {attempt.charged} for {attempt.chat_id}, the ledger charged {hold.charged} "
            f"and refunded {hold.refunded} ({hold.state})"
        )


def _of_totals(holds: Sequence[Held], totals: Totals) -> Iterator[str]:
    still_open = [hold.chat_id for hold in holds if hold.state == "open"]
    if still_open or totals.held:
        yield f"{len(still_open)} holds are still open, {totals.held} credits held"
    net = sum(hold.net for hold in holds)
    if net != totals.opening - totals.available - totals.held:
        gone = totals.opening - totals.available - totals.held
        yield f"all charges come to {net}, the balance fell by {gone}"
    settled = sum(hold.state == "settled" for hold in holds)
    if not settled == totals.usage_rows == totals.charge_transactions:
        yield (
            f"{settled} settled holds, {totals.charge_transactions} charge transactions, {totals.usage_rows} usage rows"
        )
