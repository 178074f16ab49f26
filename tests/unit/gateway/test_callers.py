"""A call is opened for whoever makes it: a key, who is signed in, or a visitor. The ledger is asked once."""

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.caller import AnyCaller, Caller, PresentedKey, Visitor, WebSession
from domain.errors import CallerUnknown, ScopeMissing
from domain.keys import ENTROPY_BYTES, digest, mint
from domain.limits import Limits
from domain.operations import Operation, Reserve
from domain.results import Answer, Reserved
from domain.secrets import DerivedKeys
from gateway.calls import Calls
from gateway.idempotency import IdempotentRequests
from gateway.wire import ModelCall
from tests.support.doubles.chat_calls import CATALOG, MESSAGES, count, upstreams

TOKEN = mint(b"k" * ENTROPY_BYTES)
ANN = UUID(int=1)
SESSION = WebSession(session_id=UUID(int=8), user_id=UUID(int=6))
VISITOR = Visitor(visitor_id=UUID(int=7), network="192.0.2.7", limits=Limits(concurrent=4))


class GrantingLedger:
    """A ledger that grants whatever is asked."""

    def __init__(self) -> None:
        self.operations: list[Operation] = []

    async def ask(self, operation: Operation) -> Answer:
        self.operations.append(operation)
        assert isinstance(operation, Reserve)
        return Reserved(operation.hold_id, operation.account_id or uuid4(), None, 100, 50, 0, 100)


async def opened(caller: AnyCaller) -> list[Operation]:
    ledger = GrantingLedger()
    calls = Calls(ledger, lambda: CATALOG, upstreams(), count, Limits(requests=7))
    request = ModelCall(
        "demo-chat", {"model": "demo-chat", "messages": MESSAGES}, stream=False, choices=1, output_limit=5
    )
    first = IdempotentRequests(DerivedKeys(b"k" * 32)).first_attempt("chat", {}, caller.replay_secret)
    await calls.open(request, caller, first)
    return ledger.operations


@pytest.mark.parametrize(
    ("caller", "payer", "ceiling"),
    [
        (PresentedKey.of(TOKEN), (digest(TOKEN), None), Limits(requests=7)),
        (Caller(ANN, frozenset({"chat"}), SESSION), (None, ANN), Limits(requests=7)),
        (Caller(ANN, frozenset({"chat"}), VISITOR), (None, ANN), Limits(requests=7, concurrent=4)),
    ],
)
async def test_the_hold_is_asked_of_whoever_pays(
    caller: AnyCaller, payer: tuple[bytes | None, UUID | None], ceiling: Limits
) -> None:
    (reserve,) = await opened(caller)
    assert isinstance(reserve, Reserve)
    assert (reserve.digest, reserve.account_id) == payer
    assert (reserve.scope, reserve.ceiling) == ("chat", ceiling)


async def test_who_may_not_chat_holds_nothing() -> None:
    with pytest.raises(ScopeMissing):
        await opened(Caller(ANN, frozenset({"media"}), SESSION))


def test_what_cannot_be_a_key_is_nobodys() -> None:
    with pytest.raises(CallerUnknown):
        PresentedKey.of("yout-nonsense")
    presented = PresentedKey.of(TOKEN)
    assert (presented.payer(Limits(), datetime.now(UTC)).digest, presented.replay_secret) == (digest(TOKEN), TOKEN)
    assert TOKEN not in repr(presented)
