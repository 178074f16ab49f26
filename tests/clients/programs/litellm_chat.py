"""LiteLLM's SDK, with this server as its OpenAI."""

from typing import Any

import facts
import litellm

litellm.num_retries = 0
litellm.suppress_debug_info = True
TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather", "parameters": facts.WEATHER_SCHEMA},
}
PERSON = {"type": "json_schema", "json_schema": {"name": "person", "schema": facts.PERSON_SCHEMA, "strict": True}}


def complete(content: Any, *, name: str = facts.MODEL, key: str = facts.KEY, **more: Any) -> Any:
    messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
    return litellm.completion(f"openai/{name}", messages, api_base=facts.BASE_URL, api_key=key, **more)


def stream() -> str:
    return "".join(chunk.choices[0].delta.content or "" for chunk in complete(facts.QUESTION, stream=True))


def tool() -> dict[str, Any]:
    messages: list[Any] = [{"role": "user", "content": facts.WEATHER}]
    message = complete(messages, tools=[TOOL]).choices[0].message
    call = message.tool_calls[0]
    messages += [message.model_dump(), {"role": "tool", "tool_call_id": call.id, "content": facts.weather("Paris")}]
    final = complete(messages, tools=[TOOL])
    return {"arguments": call.function.arguments, "final": final.choices[0].message.content}


def image() -> str:
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": facts.IMAGE_URL}}]
    return complete([{"role": "user", "content": parts}]).choices[0].message.content


def cancel() -> int:
    chunks = complete(facts.COUNT, stream=True)
    for number, _ in enumerate(chunks):
        if number == 4:
            break
    chunks.completion_stream.close()
    return number


facts.report(
    chat=lambda: complete(facts.QUESTION).choices[0].message.content,
    stream=stream,
    tool=tool,
    structured=lambda: complete("Who?", response_format=PERSON).choices[0].message.content,
    image=image,
    cancel=cancel,
    wrong_model=lambda: facts.error_of(lambda: complete("x", name="no-such-model")),
    wrong_key=lambda: facts.error_of(lambda: complete("x", key="sk-wrong")),
)
