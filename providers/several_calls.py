"""Several calls for one job: each makes one of its outputs."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from domain.errors import ContentPolicyViolation, UpstreamBusy, UpstreamError, UpstreamRefused

Made = TypeVar("Made")


async def outputs_of(calls: Sequence[Coroutine[Any, Any, Sequence[Made]]]) -> list[Made]:
    """Make all calls at once. Return what came, in their order: those that failed are left out.

    If nothing came, the error is raised that leaves the most in doubt: only where no call was accepted may the job be
    submitted again.
    """
    results = await asyncio.gather(*calls, return_exceptions=True)
    outputs: list[Made] = []
    errors: list[UpstreamError] = []
    for result in results:
        if isinstance(result, UpstreamError):
            errors.append(result)
        elif isinstance(result, BaseException):
            raise result
        else:
            outputs += result
    if not outputs:
        raise max(errors, key=_doubt, default=UpstreamError())
    return outputs


def _doubt(error: UpstreamError) -> int:
    if isinstance(error, ContentPolicyViolation):
        return 3
    if isinstance(error, UpstreamRefused):
        return 2
    return 1 if isinstance(error, UpstreamBusy) or error.not_accepted else 4
