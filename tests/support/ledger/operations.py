"""Every operation that the ledger knows, drawn so that most of them mean something."""

from dataclasses import replace

from hypothesis import strategies as st

from domain.operations import (
    Adjust,
    Admit,
    Extend,
    Grant,
    IdempotencyClaim,
    Operation,
    Refund,
    Renew,
    Reserve,
    Settle,
    Sweep,
    Void,
)
from domain.pricing import FlatTerms, TextTerms, Usage, UsageSource
from tests.support.ledger.facts import MAX_AMOUNT
from tests.support.ledger.world import ACCOUNTS, FLAT_HOLDS, HOLDS, LEASE, OTHERS, OWN, PRICES, STRANGER, TEXT_HOLDS

ACCOUNT = st.sampled_from((ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[0], ACCOUNTS[1], ACCOUNTS[1], STRANGER))
"""The first one owns most."""
DIGEST = st.sampled_from([key.digest for key in OWN] * 3 + [key.digest for key in OTHERS] + [b"no key"])
HOLD = st.sampled_from(HOLDS)
REF = st.sampled_from(("r", "s", "t", "u", "v", "w"))
TOKENS = st.integers(0, 900)
CLAIM = st.none() | st.builds(
    IdempotencyClaim,
    scope=st.sampled_from((b"one", b"two")),
    fingerprint=st.sampled_from((b"this", b"this", b"that")),
    adopts=st.sampled_from((True, True, False)),
    implicit=st.sampled_from((False, False, False, True)),
)
MAX_CREDITS = st.none() | st.integers(1, 1500)
TEXT = st.builds(
    TextTerms,
    prices=st.just(PRICES),
    version=st.just("v1"),
    input_bound=st.integers(20, 200),
    input_count=st.integers(0, 20),
    output_limit=st.none() | TOKENS,
    model_limit=st.just(4096),
    choices=st.sampled_from((1, 1, 2)),
)
FLAT = st.builds(FlatTerms, amount=st.sampled_from((10, 70, 700, MAX_AMOUNT + 1)), version=st.just("v1"))


def _reserve(**how: object) -> st.SearchStrategy[Reserve]:
    fixed = {"scope": "chat", "kind": "chat", "model": "m", "lease": LEASE}
    given = {name: value if isinstance(value, st.SearchStrategy) else st.just(value) for name, value in how.items()}
    return st.builds(Reserve, **{name: st.just(value) for name, value in fixed.items()}, **given)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    tokens_in = draw(st.integers(0, 400))
    cached = draw(st.sampled_from((0, 0, tokens_in // 2)))
    written = draw(st.sampled_from((0, 0, (tokens_in - cached) // 3)))
    return Usage(tokens_in, draw(st.integers(0, 2500) | st.just(20_000)), UsageSource.PROVIDER, cached, written)


GRANT = st.builds(Grant, ACCOUNT, st.sampled_from((-1, 0, 300, 900, 2000, 2000, 4000, 9000, MAX_AMOUNT + 1)), REF)
ADJUST = st.builds(
    Adjust, ACCOUNT, st.sampled_from((-3000, -900, -200, 0, 200, MAX_AMOUNT + 1)), REF, st.sampled_from(("", "why"))
)
RESERVE_TEXT = _reserve(
    hold_id=st.sampled_from(TEXT_HOLDS), terms=TEXT, digest=DIGEST, claim=CLAIM, max_credits=MAX_CREDITS
)
RESERVE_FLAT = _reserve(hold_id=st.sampled_from(FLAT_HOLDS), terms=FLAT, account_id=ACCOUNT) | _reserve(
    hold_id=st.sampled_from(FLAT_HOLDS), terms=FLAT, digest=DIGEST, claim=CLAIM
)
ADMIT = st.builds(Admit, DIGEST, st.sampled_from((None, "chat", "chat", "keys"))) | st.builds(Admit, account_id=ACCOUNT)
Later = Renew | Extend | Settle | Void | Refund
RENEW: st.SearchStrategy[Later] = st.builds(Renew, HOLD, TOKENS, st.just(LEASE))
EXTEND: st.SearchStrategy[Later] = st.builds(Extend, st.sampled_from(TEXT_HOLDS), ACCOUNT, st.integers(0, 2000))
SETTLE: st.SearchStrategy[Later] = st.builds(
    Settle, HOLD, ACCOUNT, st.none() | usages(), minimum=st.booleans(), sealed=st.sampled_from((None, b"an answer"))
)
VOID: st.SearchStrategy[Later] = st.builds(Void, HOLD, ACCOUNT, st.just("chat"), st.just("m"))
SWEEP = st.builds(Sweep, HOLD, ACCOUNT)
REFUND: st.SearchStrategy[Later] = st.builds(Refund, HOLD, ACCOUNT)
OPERATION: st.SearchStrategy[Operation] = st.one_of(
    RESERVE_TEXT, RESERVE_TEXT, RESERVE_FLAT, ADMIT, SETTLE, SETTLE, RENEW, EXTEND, VOID, SWEEP, REFUND, GRANT, ADJUST
)


EARLY = st.one_of(EXTEND, EXTEND, EXTEND, RENEW, SETTLE, VOID)
LATER = st.one_of(RENEW, EXTEND, SETTLE, SETTLE, SETTLE, VOID, REFUND, REFUND)


@st.composite
def calls(draw: st.DrawFn) -> list[Operation]:
    """A call as it should be, and more: begun, carried on, ended, perhaps ended again and again."""
    key = draw(st.sampled_from((OWN[0], OWN[1], OWN[3], OWN[3], OWN[4], OWN[4], OTHERS[1], OTHERS[3])))
    begun = draw(RESERVE_TEXT)
    sequence: list[Operation] = [replace(begun, digest=key.digest)]
    early, late = draw(st.lists(EARLY, max_size=2)), draw(st.lists(LATER, max_size=3))
    for later in (*early, draw(SETTLE), *late):
        mine = {} if isinstance(later, Renew) else {"account_id": key.account_id}
        sequence.append(replace(later, hold_id=begun.hold_id, **mine))
    return sequence


BATCH = st.lists(OPERATION, min_size=1, max_size=6) | calls()
