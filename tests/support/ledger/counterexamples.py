"""Steps in which each mistake of a rule was noticed, as Hypothesis writes them, as short as it could make them.

By chance alone one mistake was met after two runs of the machine, another after two hundred, or not at all. An example
that shows nothing any more does no harm: the test then looks for another by chance. That happens whenever the machine's
rules or strategies change, so what they can find is still tested. `python -m tests.support.ledger.counterexamples`
writes them anew, in minutes.
"""

import base64
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.database import ExampleDatabase
from hypothesis.stateful import run_state_machine_as_test

from domain.decisions import Rule
from domain.operations import Operation
from tests.support.ledger.memory import MemoryMachine
from tests.support.ledger.mutants import MUTANTS, mutant

FILE = Path(__file__).with_suffix(".json")
SEARCH: dict[str, Any] = {
    **{"max_examples": 200, "stateful_step_count": 40, "report_multiple_bugs": False},
    **{"deadline": None, "print_blob": False, "suppress_health_check": [HealthCheck.too_slow]},
}


class Examples(ExampleDatabase):
    """The examples of one mistake, whatever the test is called."""

    def __init__(self, examples: Iterable[bytes] = ()) -> None:
        super().__init__()
        self.examples = list(examples)

    def save(self, key: bytes, value: bytes) -> None:
        self.examples.append(value)

    def fetch(self, key: bytes) -> Iterable[bytes]:
        yield from list(self.examples)

    def delete(self, key: bytes, value: bytes) -> None:
        return None


def of(rule: Rule) -> Examples:
    written = json.loads(FILE.read_text()).get(rule.__name__)
    return Examples([base64.b64decode(written)] if written else [])


def machine(operation: type[Operation], rule: Rule) -> type[MemoryMachine]:
    """With this rule in place of the right one."""

    class Mistaken(MemoryMachine):
        def __init__(self) -> None:
            super().__init__(mutant(operation, rule))

    return Mistaken


def _shortest(operation: type[Operation], rule: Rule) -> bytes:
    examples = Examples()
    try:
        chosen = settings(**SEARCH | {"max_examples": 2000}, phases=[Phase.generate, Phase.shrink], database=examples)
        run_state_machine_as_test(machine(operation, rule), settings=chosen)
    except AssertionError:
        return min(examples.examples, key=lambda example: (len(example), example))
    raise SystemExit(f"{rule.__name__} was not noticed")


def main() -> None:
    written = {rule.__name__: base64.b64encode(_shortest(operation, rule)).decode() for operation, rule in MUTANTS}
    FILE.write_text(json.dumps(written, indent=1) + "\n")


if __name__ == "__main__":
    main()
