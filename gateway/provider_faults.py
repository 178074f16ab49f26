"""Tells the operator of providers that fail for everybody: a line for each, and one more when it answers again."""

import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from domain.faults import FaultLog, LastingFaults
from gateway.route_states import Failure

_LATER = (
    "it is tried again by itself, and other routes answer meanwhile; to take it out, `enabled = false` in your catalog"
)
WORDS: Mapping[Failure, tuple[str, str]] = MappingProxyType(
    {
        Failure.KEY: (
            "a provider does not accept our key, or our account there has nothing left",
            "look at the account there; set another key where it needs one, and restart",
        ),
        Failure.FORBIDDEN: (
            "a provider forbids what we ask",
            "look at the account there: its rights, its place, the models that it may use",
        ),
        Failure.RATE_LIMIT: (
            "a provider is at its limit for us",
            "what waits is tried again; if it lasts, have the limit raised there, name more keys, or lower "
            "`max_concurrent` and `requests_per_minute` in your catalog",
        ),
        Failure.CONNECTION: ("a provider cannot be reached", f"`yout doctor` tries the way to it; {_LATER}"),
        Failure.TIMEOUT: ("a provider does not answer in time", f"look at the provider's page of incidents; {_LATER}"),
        Failure.SERVER: ("a provider answers with errors", f"look at the provider's page of incidents; {_LATER}"),
        Failure.INVALID: ("a provider's answers cannot be used", f"look at the provider's page of incidents; {_LATER}"),
    }
)
"""What fails, and what to do. Other failures are of a request, or of this program."""


class ProviderFaults:
    """Of one process. Providers are named as in the catalog."""

    def __init__(self, log: FaultLog, clock: Callable[[], float] = time.monotonic) -> None:
        self._lasting = LastingFaults(log, clock)

    def failed(self, provider: str, why: Failure) -> bool:
        """Report it. False: it is not of the provider."""
        if why not in WORDS:
            return False
        what, remedy = WORDS[why]
        self._lasting.report(what, where=provider, remedy=remedy)
        return True

    def fails(self, provider: str) -> bool:
        """Whether the log has it as failing."""
        return self._lasting.lasts(provider)

    def works(self, provider: str) -> None:
        """Call it at each success, unless something of the provider is known to fail still."""
        self._lasting.works(provider)
