"""A request on OpenAI's own wire: no tool that the provider runs goes unpaid, wherever it is written."""

from typing import Any

from providers.base import ChatCall, NativeRequest
from providers.openai_responses import native

FUNCTION = {"type": "function", "name": "find", "parameters": {"type": "object"}}
SPACE = {"type": "namespace", "name": "cities", "tools": [FUNCTION]}
PAID = [{"type": "code_interpreter", "container": {"type": "auto"}}, {"type": "mcp", "server_url": "https://x.test"}]


def sent(**fields: Any) -> tuple[dict[str, Any], tuple[str, ...]]:
    body = {"input": "Hi", **fields}
    chat = {"messages": [{"role": "user", "content": "Hi"}]}
    return native.payload(ChatCall("m", chat, 100, native=NativeRequest(native.WIRE, body)))


def test_tools_of_the_client_go_on_and_others_do_not() -> None:
    search = {"type": "tool_search", "execution": "client", "tools": [FUNCTION, *PAID, "x"]}
    space = {**SPACE, "tools": [FUNCTION, PAID[0]]}
    body, dropped = sent(tools=[FUNCTION, space, search, *PAID, {"type": "web_search"}])
    assert body["tools"] == [FUNCTION, SPACE, {**search, "tools": [FUNCTION]}]
    assert dropped == ("tools[1].tools[1]", "tools[2].tools[1]", "tools[2].tools[2]", "tools[2].tools[3]")


def test_a_search_for_tools_brings_none_that_costs() -> None:
    output = {"type": "tool_search_output", "call_id": "c", "execution": "client"}
    body, dropped = sent(input=[{"role": "user", "content": "Hi"}, {**output, "tools": [SPACE, *PAID]}])
    assert body["input"][1] == {**output, "tools": [SPACE]}
    assert dropped == ("input[1].tools[1]", "input[1].tools[2]")


def test_what_an_answer_cannot_include_is_named() -> None:
    included = ["file_search_call.results", "reasoning.encrypted_content", "odd"]
    body, dropped = sent(include=included)
    assert (body["include"], dropped) == ([included[1]], ("include[0]", "include[2]"))
