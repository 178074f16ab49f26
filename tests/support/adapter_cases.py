"""Every chat adapter, with small answers on its own wire. A new adapter is one more entry of `OURS`."""

import json
from collections.abc import Mapping
from typing import Any

from providers.base import ChatAdapter
from providers.demo.upstream import DemoAdapter
from providers.openai.adapter import OpenAIAdapter
from providers.openai.azure import AzureAdapter
from tests.support.adapter_case import SECRET, AdapterCases, Stream, provider, written
from tests.support.anthropic_cases import ANTHROPIC_CASES
from tests.support.gemini_cases import GEMINI_CASES, VERTEX_CASES
from tests.support.responses_cases import RESPONSES_CASES


def data(*events: Any, end: str = "\n\n", done: bool = True) -> bytes:
    written = [event if isinstance(event, str) else f"data: {json.dumps(event)}{end}" for event in events]
    return ("".join(written) + (f"data: [DONE]{end}" if done else "")).encode()


def part(delta: Any, finish: str | None = None, **beside: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": SECRET, "choices": [choice]} | beside


def call(name: str, arguments: str = "{}", **fields: Any) -> dict[str, Any]:
    """An element of `tool_calls`."""
    return fields | {"function": {"name": name, "arguments": arguments}}


def calls(*elements: dict[str, Any], finish: str | None = None) -> dict[str, Any]:
    return part({"tool_calls": list(elements)}, finish)


def usage(prompt: int = 9, completion: int = 2, **fields: Any) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion} | fields


def choices(*deltas: tuple[int, Any, str | None]) -> dict[str, Any]:
    return {"id": "c", "choices": [{"index": n, "delta": each, "finish_reason": end} for n, each, end in deltas]}


ROLE = part({"role": "assistant", "content": ""})
STOP = part({}, "stop")
REPORT = {"id": "c1", "choices": [], "usage": usage()}

A = part({"content": "a"})
A_STOP = part({"content": "a"}, "stop")
TOOLS_END = part({}, "tool_calls")
HALVES = [b'data: {"choices":[{"delta":{"content":"%b"}}]}\n\n' % half for half in (rb"\ud83d", rb"\ude00")]
NAN = b'data: {"choices":[{"delta":{"content":"a"},"logprobs":{"content":[{"logprob":NaN}]}}]}\n\n'
HIDDEN = {"choices": [], "usage": usage(completion=1) | {"total_tokens": 300}}
THINKING = part({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]})
ROLE_A = part({"role": "assistant", "content": "a"})
ROLE_B = part({"role": "assistant", "content": "b"}, "eos", usage=usage())
BOTH = choices((0, {"content": "a"}, None), (1, {"content": "b"}, None))
BOTH_END = choices((1, {}, "stop"), (0, {}, "length"))
WHOLE = {"choices": [{"message": {"content": "a"}}], "usage": usage()}
PAGE = b"<html>SECRET</html>"

OPENAI_STREAMS = {
    "usual": Stream(data(ROLE, part({"content": "one "}), part({"content": "two"}), STOP, REPORT), "one two", 2),
    "no usage, no [DONE]": Stream(data(ROLE, part({"content": "é😀"}), STOP, done=False), "é😀"),
    "CRLF, BOM, comments, empty events": Stream(
        b"\xef\xbb\xbf" + data(": hi\r\n\r\n", A, "data:\r\n\r\n", STOP, end="\r\n\r\n"), "a"
    ),
    "not labelled": Stream(data(A, STOP), "a", headers={}),
    "filters first, as Azure": Stream(data({"choices": [], "prompt_filter_results": []}, A, STOP), "a"),
    "usage in every chunk, as Perplexity": Stream(
        data(*[part({"content": w}, usage=usage(completion=n)) for n, w in ((1, "a"), (2, "b"))], STOP), "ab", 2
    ),
    "usage beside the finish, as Groq": Stream(
        data(A, part({}, "stop", usage=usage(), x_groq={"id": SECRET, "usage": usage()})), "a", 2
    ),
    "reasoning in the total alone, as xAI": Stream(
        data(part({"reasoning_content": "hm"}), A, STOP, HIDDEN), "hma", 291
    ),
    "cached beside the input": Stream(data(A, STOP, {"usage": usage(cached_tokens=900)}), "a", 2),
    "thinking as a list, as Mistral": Stream(data(THINKING, part({"content": "a"}, "stop", usage=usage())), "hma", 2),
    "a whole call in one delta, as Mistral": Stream(
        data(calls(call("f", id="Ab3", index=0), finish="tool_calls")), "f{}"
    ),
    "calls without an index, as Gemini": Stream(data(calls(call("f", id="")), calls(call("g", id="")), STOP), "f{}g{}"),
    "an empty id later, as Alibaba": Stream(
        data(calls(call("f", "", index=0, id="c1", type="function")), calls(call("", index=0, id="")), TOOLS_END), "f{}"
    ),
    "index 1 first, as layers over Anthropic": Stream(data(A, calls(call("f", index=1, id="c1")), TOOLS_END), "af{}"),
    "finish eos, role everywhere, as Together": Stream(data(ROLE_A, ROLE_B), "ab", 2),
    "finish twice and then text": Stream(data(A_STOP, part({"content": "b"}), STOP, REPORT), "ab", 2),
    "no finish at all": Stream(data(ROLE, A), "a"),
    "half a character": Stream(b"".join(HALVES) + data(STOP), "😀"),
    "NaN": Stream(NAN + data(STOP), "a"),
    "two choices": Stream(data(BOTH, BOTH_END), "ab", choices=2),
    "a whole answer": Stream(written(WHOLE), "a", 2, headers={}),
}
FAILING = {
    "nothing": b"",
    "only [DONE]": data(),
    "cut": data(ROLE, A, done=False),
    "an error": data(ROLE, A, {"error": {"message": SECRET, "code": 500}}),
    "an error event, as Groq": data(A, "event: error\n", {"error": {"message": SECRET}}, done=False),
    "an error after the finish, as OpenRouter": data(A_STOP, part({}, error={"message": SECRET}, usage=usage())),
    "plain JSON, as Gemini": data(A, '{\n "error": {\n "message": "SECRET"}}\n', done=False),
    "an error alone": written({"error": {"message": SECRET, "code": 429}}),
    "garbage": data(A, "data: {SECRET\n\n"),
    "a page": PAGE,
    "deep": data(A, part({"x": json.loads("[" * 200 + "]" * 200)})),
}
SPOKEN = {"role": "assistant", "content": "a"}
OPENAI_ANSWERS = {
    "usual": written({"choices": [{"index": 0, "message": SPOKEN, "finish_reason": "stop"}], "usage": usage()}),
    "as little as can be": b'{"choices":[{"message":{"content":"a"}}]}',
    "cached beside the input": written({"choices": [{"message": SPOKEN}], "usage": usage(cached_tokens=900)}),
    "half a character": b'{"choices":[{"message":{"content":"a\\ud83d"}}]}',
}
OPENAI_NO_ANSWERS = {
    "nothing": b"",
    "a page": PAGE,
    "no message": written({"choices": [{"index": 0, "message": None, "finish_reason": "stop"}], "usage": usage()}),
    "an error": written({"error": {"message": SECRET}}),
}


def error(message: str, param: str | None = None, code: Any = None) -> bytes:
    return written({"error": {"message": message, "param": param, "code": code}})


ERRORS = {
    "bad key": (401, error(f"Incorrect API key provided: sk-{SECRET}", code="invalid_api_key")),
    "bad value": (400, error(SECRET, SECRET, "invalid_value")),
    "too long": (400, error(f"{SECRET} maximum context length", code=400)),
    "later": (429, error(SECRET)),
    "broken": (500, PAGE),
}
OWN_ERRORS = {"bad value": (400, error("'n' must be less.", "n", "invalid_value")), "broken": (500, error(SECRET))}
"""What the demo says about a request is told: it is no vendor's text."""


def openai(adapter: ChatAdapter, errors: Mapping[str, tuple[int, bytes]] = ERRORS) -> AdapterCases:
    return AdapterCases(adapter, OPENAI_STREAMS, FAILING, OPENAI_ANSWERS, OPENAI_NO_ANSWERS, errors)


OURS: Mapping[str, AdapterCases] = {
    "openai": openai(OpenAIAdapter(provider("openai"))),
    "azure": openai(AzureAdapter(provider("azure"))),
    "openrouter": openai(OpenAIAdapter(provider("openrouter"), openrouter=True)),
    "gemini": GEMINI_CASES,
    "vertex": VERTEX_CASES,
    "demo": openai(DemoAdapter(provider("demo")), OWN_ERRORS),
    "anthropic": ANTHROPIC_CASES,
    "openai_responses": RESPONSES_CASES,
}
