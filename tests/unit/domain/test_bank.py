"""The ledger's rules against the model of its books, without a database; and that the model notices mistakes."""

import pytest
from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from domain.decisions import Rule
from domain.operations import Operation
from tests.support.ledger import counterexamples
from tests.support.ledger.memory import MemoryMachine
from tests.support.ledger.mutants import MUTANTS


def test_the_rules_keep_the_books_as_the_model_does() -> None:
    chosen = settings(max_examples=40, stateful_step_count=40, derandomize=True, database=None, print_blob=False)
    runs = []

    class Counted(MemoryMachine):
        def teardown(self) -> None:
            runs.append(self)
            super().teardown()

    run_state_machine_as_test(Counted, settings=chosen)
    assert len(runs) >= 40


@pytest.mark.parametrize(("operation", "rule"), MUTANTS, ids=[rule.__name__ for _, rule in MUTANTS])
def test_a_mistake_in_a_rule_is_noticed(operation: type[Operation], rule: Rule) -> None:
    """By the steps that showed it before; if they do not any more, by chance."""
    mistaken = counterexamples.machine(operation, rule)
    chosen = settings(**counterexamples.SEARCH, phases=[Phase.reuse, Phase.generate], database=counterexamples.of(rule))
    with pytest.raises(AssertionError):
        run_state_machine_as_test(seed(0)(mistaken), settings=chosen)
