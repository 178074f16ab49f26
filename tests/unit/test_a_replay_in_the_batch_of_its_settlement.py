"""A retry that waits beside the settlement of its call, in one batch, finds the answer that is sealed with it."""

from dataclasses import replace
from uuid import UUID

from domain.ledger import Claim, Replay
from tests.unit.ledger_cases import reserve, run, settle, state


def test_a_retry_in_the_same_batch_is_replayed() -> None:
    claim = Claim(b"scope", b"fingerprint")
    settled = replace(settle(1), sealed=b"sealed")
    verdicts, _ = run(state(), reserve(1, claim=claim), settled, reserve(2, claim=claim))
    assert isinstance(verdicts[2], Replay)
    assert (verdicts[2].hold_id, verdicts[2].sealed) == (UUID(int=1), b"sealed")
