"""One request on each client wire, and what its answers must look like. A new wire is one more entry of `REQUESTS`."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2

from tests.support.doubles.misbehaviours import Misbehaviour, Outcome

SECRET = "SECRET"
TEXT = "Hello!"
MESSAGES = [{"role": "user", "content": TEXT}]


@dataclass(frozen=True)
class WireRequest:
    path: str
    fields: Mapping[str, Any]
    is_error: Callable[[Any], bool]
    """Whether an object is an error in this wire's envelope."""
    modes: tuple[bool, ...] = (False, True)
    """Whole and streamed; a wire may have streams only."""
    always_streams: bool = False

    def body(self, model: str, *, stream: bool) -> dict[str, Any]:
        return {"model": model, **self.fields} | ({"stream": True} if stream and not self.always_streams else {})

    def problems(self, answer: httpx2.Response, misbehaviour: Misbehaviour, *, stream: bool) -> Iterator[str]:
        """Everything that is wrong about the answer."""
        outcome = misbehaviour.outcome_of(stream=stream)
        shown = f"{answer.status_code} {answer.text[-300:]}"
        if SECRET in answer.text or SECRET in str(answer.headers):
            yield f"text of the upstream: {shown}"
        if answer.status_code == 200:
            failed = self.failed(answer)
            if outcome is Outcome.ERROR or (outcome is Outcome.ERROR_OR_CUT and not failed):
                yield f"an answer where there is none: {shown}"
            if outcome is Outcome.ANSWER and (failed or self.charged(answer) == 0):
                yield f"no answer, or nothing charged: {shown}"
        elif outcome is Outcome.ANSWER or answer.status_code not in misbehaviour.statuses:
            yield f"a wrong status: {shown}"
        elif not self.is_error(answer.json()):
            yield f"not this wire's error: {shown}"

    def failed(self, answer: httpx2.Response) -> bool:
        return any(self.is_error(event) for event in events(answer))

    def charged(self, answer: httpx2.Response) -> int:
        """Credits that the answer says it cost; 0 for an error."""
        if "x-yout-credits-charged" in answer.headers:
            return int(answer.headers["x-yout-credits-charged"])
        return sum(charge(event) for event in events(answer))


def charge(event: Any) -> int:
    """The charge in an event: each wire has it in a place of its own, by one of these names."""
    if not isinstance(event, dict):
        return 0
    if "credits_charged" in event:
        return int(event["credits_charged"])
    return sum(charge(value) for name, value in event.items() if name in ("yout", "error", "response", "usage"))


def events(answer: httpx2.Response) -> list[Any]:
    """The objects of a stream, or the one of a whole answer."""
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return [answer.json()]
    lines = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def openai_error(event: Any) -> bool:
    return isinstance(event.get("error"), dict) and {"message", "type", "code", "param"} <= event["error"].keys()


def anthropic_error(event: Any) -> bool:
    return bool(event.get("type") == "error" and {"type", "message"} <= event["error"].keys())


def responses_error(event: Any) -> bool:
    """An error's body, or the events `response.failed` and `error` of a stream."""
    return openai_error(event) or event.get("type") in ("response.failed", "error")


def native_error(event: Any) -> bool:
    return openai_error(event) or {"code", "message"} <= event.keys()


REQUESTS: Mapping[str, WireRequest] = {
    request.path: request
    for request in (
        WireRequest("/v1/chat/completions", {"messages": MESSAGES}, openai_error),
        WireRequest("/v1/completions", {"prompt": TEXT, "max_tokens": 500}, openai_error),
        WireRequest("/v1/responses", {"input": TEXT}, responses_error),
        WireRequest("/v1/responses/compact", {"input": TEXT}, openai_error, modes=(False,)),
        WireRequest("/v1/messages", {"messages": MESSAGES, "max_tokens": 500}, anthropic_error),
        WireRequest("/api/chat/stream/", {"message": TEXT}, native_error, modes=(True,), always_streams=True),
    )
}
