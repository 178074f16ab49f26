"""The bank test: client processes against a real PostgreSQL, compared with the model step by step, faults included."""

import asyncio
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from domain.operations import Operation
from tests.conftest import IN_MEMORY
from tests.support import migrated
from tests.support.doubles.faulty_wire import Point, Way
from tests.support.ledger.operations import BATCH, calls
from tests.support.ledger.orders import Heeded
from tests.support.ledger.postgres import PostgresBank
from tests.support.ledger.purge_machine import PurgeMachine
from tests.support.ledger.world import ACCOUNTS
from tests.support.often_noted import OFTEN

FAULTS = ("kill_client", "terminate_backend", "lose_reply", "kill_backend")
STEADY: dict[str, Any] = {
    "deadline": None,
    "derandomize": True,
    "database": None,
    "print_blob": False,
    "suppress_health_check": list(HealthCheck),
}


class PostgresMachine(PurgeMachine):
    fault: str

    @initialize(call=calls(), point=st.builds(Point, st.sampled_from(Way), st.integers(1, 8), st.booleans()))
    def begin_with_a_fault(self, call: list[Operation], point: Point) -> None:
        """While a client connects, or soon after: so every run has one."""
        self.ask_through_a_fault([call], point)

    @rule(
        batches=st.lists(BATCH, min_size=1, max_size=3),
        point=st.builds(Point, st.sampled_from(Way), st.integers(1, 8) | st.integers(1, 40), st.booleans()),
    )
    def ask_through_a_fault(self, batches: list[list[Operation]], point: Point) -> None:
        """Whoever was interrupted asks again. An operation may so have happened twice, and must count once."""
        self.model.now = self.bank.now()
        results, repeated_results = self.postgres.at_once_with(self.fault, point, batches)
        heeded = [
            Heeded(*pair)
            for batch, of in zip(batches, results, strict=True)
            for pair in zip(batch, of, strict=True)
            if pair[1]
        ]
        again = [Heeded(*pair) for pair in zip(batches[0], repeated_results, strict=True)]
        unheard = [Heeded(operation, None) for batch in batches for operation in batch]
        self.explain([*heeded, *again, *unheard])

    def teardown(self) -> None:
        """End with the purge of an account: which steps chance chooses differs with the modules that are loaded."""
        try:
            self.purge_begins(ACCOUNTS[0])
            self.purge_completes(ACCOUNTS[0])
            self.books_are_as_they_must_be()
        finally:
            self.postgres.close()


@pytest.fixture(scope="module")
def fresh() -> Iterator[Callable[[], str]]:
    """Databases on a server of their own: some of its processes are killed."""
    with migrated.temporary(IN_MEMORY) as server:
        with psycopg.connect(server.url_of(migrated.TEMPLATE)) as connection:
            for statement in OFTEN:
                connection.execute(statement)

        def database_url() -> str:
            return migrated.clone(server, f"bank_{uuid.uuid4().hex}")

        yield database_url


@pytest.mark.parametrize("kind", FAULTS)
def test_the_ledger_keeps_the_books_as_the_model_does(fresh: Callable[[], str], kind: str) -> None:
    struck: Counter[str] = Counter()
    with asyncio.Runner() as runner:

        class Machine(PostgresMachine):
            fault = kind

            def __init__(self) -> None:
                super().__init__(PostgresBank(fresh(), runner, struck))

        runs = 3 if kind == "kill_backend" else 5  # a recovery takes a second
        chosen = settings(max_examples=runs, stateful_step_count=20, **STEADY)
        run_state_machine_as_test(Machine, settings=chosen)
    assert struck[kind] >= runs
    assert struck["purge"] >= runs, "too few purges were completed"
