"""Small answers in the words of OpenAI's Responses, for the adapter of the kind `openai_responses`."""

import json
from typing import Any

from providers.base import UpstreamRequest
from providers.openai_responses.adapter import ResponsesAdapter
from tests.support.adapter_case import SECRET, AdapterCases, Stream, provider, written

PAGE = b"<html>SECRET</html>"


def sent(request: UpstreamRequest) -> tuple[str, int]:
    body = json.loads(request.body)
    assert body["store"] is False
    return body["model"], body["max_output_tokens"]


def usage(given: int = 9, produced: int = 2, **fields: Any) -> dict[str, Any]:
    return {"input_tokens": given, "output_tokens": produced, "total_tokens": given + produced} | fields


def response(status: str = "in_progress", output: Any = (), **fields: Any) -> dict[str, Any]:
    return {
        "id": f"resp_{SECRET}",
        "object": "response",
        "status": status,
        "model": SECRET,
        "output": list(output),
        "error": None,
        "billing": {"payer": SECRET},
    } | fields


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def events(*all_events: dict[str, Any], named: bool = True) -> bytes:
    """`named`: as OpenAI's; without it as OpenRouter's, which begin with a comment and end with `[DONE]`."""
    lines = [f"event: {each['type']}\n" * named + f"data: {json.dumps(each)}\n\n" for each in all_events]
    return ("".join(lines) if named else ": processing\n\n" + "".join(lines) + "data: [DONE]\n\n").encode()


def message(text: str, **part: Any) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], **part}]
    return {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": content}


def call(arguments: str = "{}", at: str = "fc_1") -> dict[str, Any]:
    return {"id": at, "type": "function_call", "call_id": f"call_{at}", "name": "f", "arguments": arguments}


def thought(encrypted: str, *texts: str) -> dict[str, Any]:
    summary = [{"type": "summary_text", "text": text} for text in texts]
    return {"id": "rs_1", "type": "reasoning", "summary": summary, "encrypted_content": encrypted}


def word(text: str, at: int = 0, **fields: Any) -> dict[str, Any]:
    return event("output_text.delta", output_index=at, item_id="msg_1", content_index=0, delta=text, **fields)


def added(item: Any, at: int = 0) -> dict[str, Any]:
    return event("output_item.added", output_index=at, item=item)


def done(item: Any, at: int = 0) -> dict[str, Any]:
    return event("output_item.done", output_index=at, item=item)


BEGUN = (event("created", response=response()), event("in_progress", response=response()))
HM = event("reasoning_summary_text.delta", output_index=0, item_id="rs_1", summary_index=0, delta="hm")
COMPLETED = event("completed", response=response("completed", [message("ab")], usage=usage()))
BARE = event("completed", response=response("completed", usage=usage()))
LIMITED = response("incomplete", incomplete_details={"reason": "max_output_tokens"}, usage=usage())
ERROR = {"type": "error", "error": {"code": "rate_limit_exceeded", "message": SECRET, "param": None}}
FAILED = event("failed", response=response("failed", error={"code": "server_error", "message": SECRET}))
ARGUMENTS = event("function_call_arguments.delta", output_index=1, item_id="fc_1", delta="{}")
SEARCH = {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}}
LATE = event("function_call_arguments.done", output_index=0, arguments="{}")

STREAMS = {
    "usual": Stream(events(*BEGUN, added({**message(""), "content": []}), word("a"), word("b"), COMPLETED), "ab", 2),
    "without names, as OpenRouter": Stream(events(*BEGUN, word("a"), word("é😀"), COMPLETED, named=False), "aé😀", 2),
    "cut by its limit": Stream(events(*BEGUN, word("a"), event("incomplete", response=LIMITED)), "a", 2),
    "reasoning": Stream(
        events(added(thought("gAAAA0")), HM, done(thought("gAAAA1", "hm")), word("a", 1), COMPLETED), "hma", 2
    ),
    "a summary that was not streamed": Stream(events(done(thought("gAAAA1", "hm")), word("a", 1), COMPLETED), "hma", 2),
    "a call": Stream(events(word("a"), added(call(""), 1), ARGUMENTS, done(call(), 1), COMPLETED), "af{}", 2),
    "arguments in the last event, as LM Studio": Stream(events(added(call("")), LATE, done(call()), BARE), "f{}", 2),
    "two calls": Stream(events(done(call(at="fc_1")), done(call(at="fc_2"), 1), BARE), "f{}f{}", 2),
    "a refusal and a search": Stream(events(done(SEARCH), event("odd", x=SECRET), word("a", 1), COMPLETED), "a", 2),
    "a message that was not streamed": Stream(events(*BEGUN, done(message("ab")), COMPLETED), "ab", 2),
    "a whole answer": Stream(written(response("completed", [message("a")], usage=usage())), "a", 2, headers={}),
    "no usage": Stream(events(word("a"), event("completed", response=response("completed", usage=None))), "a"),
}
FAILING = {
    "nothing": b"",
    "cut": events(*BEGUN, word("a")),
    "only [DONE]": b"data: [DONE]\n\n",
    "an error event": events(*BEGUN, word("a"), ERROR, FAILED),
    "a failed response": events(*BEGUN, word("a"), FAILED),
    "a failure alone": events(*BEGUN, FAILED),
    "garbage": events(word("a")) + b"data: {SECRET\n\n",
    "a call from nowhere": events(ARGUMENTS),
    "a page": PAGE,
    "plain JSON": written({"error": {"message": SECRET, "code": 500}}),
}
ANSWERS = {
    "usual": written(response("completed", [message("a")], usage=usage())),
    "reasoning and a call": written(response("completed", [thought("gAAAA1", "hm"), call()], usage=usage())),
    "incomplete without output": written(LIMITED),
}
NO_ANSWERS = {
    "nothing": b"",
    "a page": PAGE,
    "queued": written(response("queued")),
    "no output": written(response("completed") | {"output": None}),
    "failed": written(response("failed", error={"code": "server_error", "message": SECRET})),
    "an error": written({"error": {"message": SECRET}}),
}


def error(text: str, param: str | None = None, code: Any = None) -> bytes:
    return written({"error": {"message": text, "type": "invalid_request_error", "param": param, "code": code}})


ERRORS = {
    "bad key": (401, error(f"Incorrect API key provided: sk-{SECRET}", code="invalid_api_key")),
    "bad value": (400, error(SECRET, f"input[0].{SECRET}", "invalid_value")),
    "too long": (400, error(SECRET, "input", "context_length_exceeded")),
    "no such model": (400, error(f"The requested model '{SECRET}' does not exist.", "model", "model_not_found")),
    "later": (429, error(SECRET)),
    "broken": (500, PAGE),
}
RESPONSES_CASES = AdapterCases(
    ResponsesAdapter(provider("openai_responses")), STREAMS, FAILING, ANSWERS, NO_ANSWERS, ERRORS, sent
)
