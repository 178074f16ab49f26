"""What happens at each step of a test: it waits, it fails, or it is as usual."""

import asyncio
from collections import defaultdict


class Gate:
    """A step that waits here: `reached` says that it does, `open` lets it go on."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()
        self.open = asyncio.Event()


class Script:
    """What happens at each step, by the step's name, beside what the fake does anyway."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self._gates: dict[str, Gate] = {}
        self._errors: dict[str, list[Exception]] = defaultdict(list)
        self._always: dict[str, Exception] = {}

    def hold(self, step: str) -> Gate:
        """The next such step waits."""
        self._gates[step] = gate = Gate()
        return gate

    def fail(self, step: str, *errors: Exception) -> None:
        """The next such steps raise these, in this order."""
        self._errors[step].extend(errors)

    def always_fail(self, step: str, error: Exception) -> None:
        self._always[step] = error

    async def reached(self, step: str) -> None:
        gate = self.hold(step)
        await gate.reached.wait()
        gate.open.set()

    async def at(self, step: str) -> None:
        self.calls.append(step)
        gate = self._gates.pop(step, None)
        if gate is not None:
            gate.reached.set()
            await gate.open.wait()
        if self._errors[step]:
            raise self._errors[step].pop(0)
        if step in self._always:
            raise self._always[step]
