"""The lengths of recordings, which prices follow. They are measured: what a head says is not believed."""

import asyncio
import sys
from datetime import timedelta
from decimal import Decimal

from programs import child
from storage import waves

PROGRAM = (sys.executable, "-m", "storage.length_program")
WAVE = "audio/wav"
TIMEOUT = timedelta(seconds=60)
_MICROSECONDS = Decimal("0.000001")


class Lengths:
    """Measures in programs of their own. Who calls it bounds how many run."""

    def __init__(self, *program: str, timeout: timedelta = TIMEOUT) -> None:
        self._program = program or PROGRAM
        self._timeout = timeout

    async def __call__(self, content: bytes, content_type: str) -> Decimal | None:
        """Return the seconds, rounded up to a microsecond. None for what has no sound, or cannot be measured."""
        if content_type == WAVE:
            exact = await asyncio.to_thread(waves.seconds, content)
            if exact is not None:
                return _seconds(-(-exact.numerator * 10**6 // exact.denominator))
        answer = await child.answer((*self._program, content_type), content, self._timeout)
        return _seconds(int(answer)) if answer.isdigit() else None


def _seconds(microseconds: int) -> Decimal | None:
    return microseconds * _MICROSECONDS if microseconds > 0 else None
