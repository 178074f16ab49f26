"""LangChain's ChatOpenAI over chat completions."""

from typing import Any

import facts
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool as as_tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    born: int


@as_tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    return facts.weather(city)


def model(name: str = facts.MODEL, key: str = facts.KEY) -> ChatOpenAI:
    return ChatOpenAI(model=name, api_key=key, base_url=facts.BASE_URL, max_retries=0)


def tool() -> dict[str, Any]:
    bound = model().bind_tools([get_weather])
    messages: list[Any] = [HumanMessage(facts.WEATHER)]
    answer = bound.invoke(messages)
    call = answer.tool_calls[0]
    messages += [answer, ToolMessage(get_weather.invoke(call["args"]), tool_call_id=call["id"])]
    return {"arguments": call["args"], "final": bound.invoke(messages).content}


def structured() -> dict[str, Any]:
    return model().with_structured_output(Person).invoke("Who was the first programmer?").model_dump()


def image() -> str:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": facts.IMAGE_URL}}]
    return model().invoke([HumanMessage(content=parts)]).content


def cancel() -> int:
    chunks = model().stream(facts.COUNT)
    for number, _ in enumerate(chunks):
        if number == 4:
            break
    chunks.close()
    return number


facts.report(
    chat=lambda: model().invoke(facts.QUESTION).content,
    stream=lambda: "".join(chunk.content for chunk in model().stream(facts.QUESTION)),
    tool=tool,
    structured=structured,
    image=image,
    cancel=cancel,
    wrong_model=lambda: facts.error_of(lambda: model("no-such-model").invoke("x")),
    wrong_key=lambda: facts.error_of(lambda: model(key="sk-wrong").invoke("x")),
)
