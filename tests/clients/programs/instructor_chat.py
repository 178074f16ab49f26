"""instructor, which makes structured output from tool calls and from JSON."""

from typing import Any

import facts
import instructor
import openai
from pydantic import BaseModel


class Person(BaseModel):
    name: str
    born: int


def client(mode: instructor.Mode, key: str = facts.KEY) -> Any:
    return instructor.from_openai(openai.OpenAI(api_key=key, base_url=facts.BASE_URL, max_retries=0), mode=mode)


def create(mode: instructor.Mode, name: str = facts.MODEL, key: str = facts.KEY) -> dict[str, Any]:
    messages = [{"role": "user", "content": "Who was the first programmer?"}]
    answer = client(mode, key).chat.completions.create(
        model=name, messages=messages, response_model=Person, max_retries=0
    )
    return answer.model_dump()


def partial() -> dict[str, Any]:
    messages = [{"role": "user", "content": "Who was the first programmer?"}]
    parts = client(instructor.Mode.TOOLS).chat.completions.create_partial(
        model=facts.MODEL, messages=messages, response_model=Person
    )
    return list(parts)[-1].model_dump()


facts.report(
    structured=lambda: create(instructor.Mode.TOOLS),
    structured_json=lambda: create(instructor.Mode.JSON_SCHEMA),
    structured_stream=partial,
    wrong_model=lambda: facts.error_of(lambda: create(instructor.Mode.TOOLS, name="no-such-model")),
    wrong_key=lambda: facts.error_of(lambda: create(instructor.Mode.TOOLS, key="sk-wrong")),
)
