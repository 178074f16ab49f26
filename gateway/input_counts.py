"""How many input tokens a request has, by this server's own count."""

from collections.abc import Callable, Coroutine
from typing import Any

from domain import tokens
from domain.catalog import Model
from domain.errors import ContextLengthExceeded
from domain.tokens import CountText, InputTokens
from gateway import completions, embeddings
from gateway.fair_turns import FairTurns, Result
from gateway.wire import ModelCall


class InputCounts:
    def __init__(self, count: CountText, turns: FairTurns) -> None:
        self._count = count
        self._turns = turns

    async def of(self, request: ModelCall, model: Model) -> InputTokens:
        """Count the input, a large one in a thread."""

        def count() -> InputTokens:
            if request.embedding is not None:
                return embeddings.input_tokens(request.embedding, model, self._count, request.body)
            if request.completion is not None:
                return completions.input_tokens(request, model, self._count)
            return tokens.of_request(request.body, self._count, family=model.vendor, beside=request.native_only)

        return await self.large(request, count)

    async def within_window(self, request: ModelCall, model: Model) -> InputTokens:
        """Count the input. Raises `ContextLengthExceeded` for more than the model can read."""
        counted = await self.of(request, model)
        if request.embedding is None and model.context_window is not None and counted.least > model.context_window:
            remedy = " Begin a new conversation, or choose a model that reads more." if request.continues else ""
            raise ContextLengthExceeded(
                f"The input has about {counted.count} tokens; the context window of this model is "
                f"{model.context_window} tokens (context_length_exceeded).{remedy}"
            )
        return counted

    def large(self, request: ModelCall, work: Callable[[], Result]) -> Coroutine[Any, Any, Result]:
        """Do work that reads all of a request: of a large one in a thread, in its account's turn."""
        return self._turns.run_large(request.big, request.admitted and request.admitted.account_id, work)
