"""LlamaIndex's OpenAILike over chat completions."""

from typing import Any

import facts
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel


class Person(BaseModel):
    """A person."""

    name: str
    born: int


def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return facts.weather(city)


def model(name: str = facts.MODEL, key: str = facts.KEY) -> OpenAILike:
    capable = {"is_chat_model": True, "is_function_calling_model": True, "should_use_structured_outputs": True}
    return OpenAILike(model=name, api_key=key, api_base=facts.BASE_URL, max_retries=0, context_window=32_000, **capable)


def tool() -> dict[str, Any]:
    tools = [FunctionTool.from_defaults(get_weather)]
    history = [ChatMessage(facts.WEATHER)]
    answer = model().chat_with_tools(tools, chat_history=history)
    call = model().get_tool_calls_from_response(answer)[0]
    result = ChatMessage(
        get_weather(**call.tool_kwargs), role=MessageRole.TOOL, additional_kwargs={"tool_call_id": call.tool_id}
    )
    final = model().chat_with_tools(tools, chat_history=[*history, answer.message, result])
    return {"arguments": call.tool_kwargs, "final": final.message.content}


def structured() -> dict[str, Any]:
    answer = model().as_structured_llm(Person).chat([ChatMessage("Who was the first programmer?")])
    return answer.raw.model_dump()


def image() -> str:
    blocks = [TextBlock(text="What is it?"), ImageBlock(url=facts.IMAGE_URL)]
    return model().chat([ChatMessage(blocks=blocks)]).message.content


def cancel() -> int:
    chunks = model().stream_chat([ChatMessage(facts.COUNT)])
    for number, _ in enumerate(chunks):
        if number == 4:
            break
    chunks.close()
    return number


facts.report(
    chat=lambda: model().chat([ChatMessage(facts.QUESTION)]).message.content,
    stream=lambda: "".join(part.delta or "" for part in model().stream_chat([ChatMessage(facts.QUESTION)])),
    tool=tool,
    structured=structured,
    image=image,
    cancel=cancel,
    wrong_model=lambda: facts.error_of(lambda: model("no-such-model").chat([ChatMessage("x")])),
    wrong_key=lambda: facts.error_of(lambda: model(key="sk-wrong").chat([ChatMessage("x")])),
)
