"""Every operation of the OpenAPI document, with requests by chance: `make fuzz` in short."""

from random import Random

from tests.support.stack import Stack

CASES = 400


def test_no_request_is_a_fault_or_makes_the_books_wrong(stack: Stack) -> None:
    from tests.support.fuzz import Callers, Fuzz  # here: schemathesis takes every process of a run a second

    fuzz = Fuzz(stack, Random(7), Callers(stack))
    fuzz.run(CASES)
    assert fuzz.problems == []
    assert fuzz.unsettled() == []
    assert fuzz.cases >= CASES
    assert fuzz.statuses[200] > CASES // 20
