"""The official OpenAI SDK, versions 2 and 3, over chat completions."""

from typing import Any

import facts
import openai
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    born: int


client = openai.OpenAI(api_key=facts.KEY, base_url=facts.BASE_URL, max_retries=0)
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather", "parameters": facts.WEATHER_SCHEMA},
}


def completion(text: str, **more: Any) -> Any:
    return client.chat.completions.create(model=facts.MODEL, messages=[{"role": "user", "content": text}], **more)


def stream() -> str:
    chunks = completion(facts.QUESTION, stream=True)
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def tool() -> dict[str, Any]:
    messages: list[Any] = [{"role": "user", "content": facts.WEATHER}]
    with client.chat.completions.stream(model=facts.MODEL, messages=messages, tools=[TOOL]) as events:
        message = events.get_final_completion().choices[0].message
    call = message.tool_calls[0]
    messages += [message.model_dump(exclude_none=True, exclude={"parsed"})]
    messages += [{"role": "tool", "tool_call_id": call.id, "content": facts.weather("Paris")}]
    final = client.chat.completions.create(model=facts.MODEL, messages=messages, tools=[TOOL])
    return {"arguments": call.function.arguments, "final": final.choices[0].message.content}


def structured() -> dict[str, Any]:
    messages: list[Any] = [{"role": "user", "content": "Who was the first programmer?"}]
    parsed = client.chat.completions.parse(model=facts.MODEL, messages=messages, response_format=Person)
    return parsed.choices[0].message.parsed.model_dump()


def image() -> str:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": facts.IMAGE_URL}}]
    answer = client.chat.completions.create(model=facts.MODEL, messages=[{"role": "user", "content": parts}])
    return answer.choices[0].message.content


def cancel() -> int:
    chunks = completion(facts.COUNT, stream=True)
    for number, _ in enumerate(chunks):
        if number == 4:
            break
    chunks.close()
    return number


def wrong_model() -> Any:
    return client.chat.completions.create(model="no-such-model", messages=[{"role": "user", "content": "x"}])


def wrong_key() -> Any:
    return client.with_options(api_key="sk-wrong").models.list()


facts.report(
    version=lambda: openai.__version__,
    chat=lambda: completion(facts.QUESTION).choices[0].message.content,
    stream=stream,
    tool=tool,
    structured=structured,
    image=image,
    cancel=cancel,
    models=lambda: [model.id for model in client.models.list()],
    wrong_model=lambda: facts.error_of(wrong_model),
    wrong_key=lambda: facts.error_of(wrong_key),
)
