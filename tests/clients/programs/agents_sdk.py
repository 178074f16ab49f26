"""OpenAI's Agents SDK, over Responses (its default) and over chat completions: the agent calls the tool itself."""

import asyncio
from typing import Any

import facts
from agents import (
    Agent,
    OpenAIChatCompletionsModel,
    OpenAIResponsesModel,
    Runner,
    function_tool,
    set_tracing_disabled,
)
from openai import AsyncOpenAI
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    born: int


cities: list[str] = []


@function_tool
def get_weather(city: str) -> str:
    """Tell the weather in a city."""
    cities.append(city)
    return facts.weather(city)


set_tracing_disabled(True)
KINDS: dict[str, Any] = {"chat": OpenAIChatCompletionsModel, "responses": OpenAIResponsesModel}


def agent(kind: str, name: str = facts.MODEL, **more: Any) -> Agent[Any]:
    client = AsyncOpenAI(api_key=facts.KEY, base_url=facts.BASE_URL, max_retries=0)
    return Agent("Helper", model=KINDS[kind](name, openai_client=client), **more)


def answer(kind: str, text: str = facts.QUESTION, name: str = facts.MODEL, **more: Any) -> Any:
    return asyncio.run(Runner.run(agent(kind, name, **more), text)).final_output


def stream(kind: str) -> str:
    async def read() -> str:
        parts = []
        async for event in Runner.run_streamed(agent(kind), facts.QUESTION).stream_events():
            data = getattr(event, "data", None)
            if getattr(data, "type", "") == "response.output_text.delta":
                parts.append(data.delta)
        return "".join(parts)

    return asyncio.run(read())


def tool(kind: str) -> dict[str, Any]:
    cities.clear()
    final = answer(kind, facts.WEATHER, tools=[get_weather])
    return {"arguments": {"city": cities[0]}, "final": final}


facts.report(
    **{
        f"{kind}_{name}": attempt
        for kind in KINDS
        for name, attempt in {
            "text": lambda kind=kind: answer(kind),
            "stream": lambda kind=kind: stream(kind),
            "tool": lambda kind=kind: tool(kind),
            "structured": lambda kind=kind: answer(kind, "Who?", output_type=Person).model_dump(),
            "wrong_model": lambda kind=kind: facts.error_of(lambda: answer(kind, name="no-such-model")),
        }.items()
    }
)
