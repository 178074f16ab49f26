"""Pydantic AI over chat completions: the agent calls the tool itself."""

import base64
from typing import Any

import facts
from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider


class Person(BaseModel):
    name: str
    born: int


def model(name: str = facts.MODEL, key: str = facts.KEY) -> OpenAIChatModel:
    client = AsyncOpenAI(api_key=key, base_url=facts.BASE_URL, max_retries=0)
    return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client))


def stream() -> str:
    return "".join(Agent(model()).run_stream_sync(facts.QUESTION).stream_text(delta=True))


def tool() -> dict[str, Any]:
    agent = Agent(model())
    cities: list[str] = []

    @agent.tool_plain
    def get_weather(city: str) -> str:
        """Tell the weather in a city."""
        cities.append(city)
        return facts.weather(city)

    final = agent.run_sync(facts.WEATHER).output
    return {"arguments": {"city": cities[0]}, "final": final}


facts.report(
    chat=lambda: Agent(model()).run_sync(facts.QUESTION).output,
    stream=stream,
    tool=tool,
    structured=lambda: Agent(model(), output_type=Person).run_sync("Who?").output.model_dump(),
    image=lambda: (
        Agent(model())
        .run_sync(["What is it?", BinaryContent(base64.b64decode(facts.PNG), media_type="image/png")])
        .output
    ),
    wrong_model=lambda: facts.error_of(lambda: Agent(model("no-such-model")).run_sync("x")),
    wrong_key=lambda: facts.error_of(lambda: Agent(model(key="sk-wrong")).run_sync("x")),
)
