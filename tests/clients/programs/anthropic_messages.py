"""The official Anthropic SDK over Messages."""

from typing import Any

import anthropic
import facts

ROOT = facts.BASE_URL.removesuffix("/v1")
client = anthropic.Anthropic(api_key=facts.KEY, base_url=ROOT, max_retries=0)
TOOL = {"name": "get_weather", "description": "The weather", "input_schema": facts.WEATHER_SCHEMA}


def create(content: Any, *, name: str = facts.MODEL, **more: Any) -> Any:
    messages = content if isinstance(content, list) else [{"role": "user", "content": content}]
    return client.messages.create(model=name, messages=messages, max_tokens=500, **more)


def stream() -> str:
    messages = [{"role": "user", "content": facts.QUESTION}]
    with client.messages.stream(model=facts.MODEL, messages=messages, max_tokens=500) as events:
        return "".join(events.text_stream)


def tool() -> dict[str, Any]:
    messages: list[Any] = [{"role": "user", "content": facts.WEATHER}]
    answer = create(messages, tools=[TOOL])
    use = next(block for block in answer.content if block.type == "tool_use")
    result = {"type": "tool_result", "tool_use_id": use.id, "content": facts.weather("Paris")}
    messages += [{"role": "assistant", "content": answer.content}, {"role": "user", "content": [result]}]
    return {"arguments": use.input, "final": create(messages, tools=[TOOL]).content[0].text}


def structured() -> str:
    wanted = {"format": {"type": "json_schema", "schema": facts.PERSON_SCHEMA}}
    return create("Who was the first programmer?", extra_body={"output_config": wanted}).content[0].text


def image() -> str:
    source = {"type": "base64", "media_type": "image/png", "data": facts.PNG}
    parts = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": source}]
    return create([{"role": "user", "content": parts}]).content[0].text


def cancel() -> int:
    count = 0
    messages = [{"role": "user", "content": facts.COUNT}]
    with client.messages.stream(model=facts.MODEL, messages=messages, max_tokens=500) as events:
        for _ in events.text_stream:
            count += 1
            if count == 4:
                break
    return count


facts.report(
    chat=lambda: create(facts.QUESTION).content[0].text,
    stream=stream,
    tool=tool,
    structured=structured,
    image=image,
    cancel=cancel,
    models=lambda: [model.id for model in client.models.list()],
    tokens=lambda: (
        client.messages.count_tokens(
            model=facts.MODEL, messages=[{"role": "user", "content": facts.QUESTION}]
        ).input_tokens
    ),
    wrong_model=lambda: facts.error_of(lambda: create("x", name="no-such-model")),
    wrong_key=lambda: facts.error_of(lambda: client.with_options(api_key="sk-wrong").models.list()),
)
