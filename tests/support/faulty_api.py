"""An API process with faults of its own, which nothing from outside provokes. A name or a word asks for each."""

import sys
from typing import Any

import exits
from gateway.calls import Calls
from gateway.routing import Attempts
from gateway.stream_effects import Send
from gateway.streams import Stream
from providers.openai.adapter import OpenAIAdapter
from providers.openai.embeddings import OpenAIEmbeddings
from server import main

OURS, ADAPTERS = "fault-of-ours", "adapter-fault"
"""What a model is called for which this server fails; a provider's model for which its adapter fails."""
WORD = "FAULT"
"""An output that cannot be written to the client."""


def install() -> None:
    candidates, send = Calls.candidates, Stream._send

    async def choose(self: Calls, request: Any, payer: Any = None) -> Any:
        if request.model.endswith(OURS):
            raise ZeroDivisionError("SECRET")
        return await candidates(self, request, payer)

    def write(self: Stream, effect: Send) -> None:
        if WORD in effect.delta.text:
            raise ZeroDivisionError("SECRET")
        send(self, effect)

    def forget(self: Attempts) -> None:
        """Remember no provider that keeps what it must not."""

    Calls.candidates = choose  # type: ignore[method-assign]  # what is broken is this program
    Stream._send = write  # type: ignore[method-assign]  # the same
    Attempts.retained = forget  # type: ignore[method-assign]  # each call is the first that finds out
    for adapter in (OpenAIAdapter, OpenAIEmbeddings):
        _break(adapter)


def _break(adapter: Any) -> None:
    request = adapter.request

    def broken(self: Any, call: Any) -> Any:
        if call.model == ADAPTERS:
            raise ZeroDivisionError("SECRET")
        return request(self, call)

    adapter.request = broken


if __name__ == "__main__":
    install()
    sys.exit(exits.run(main))
