"""A text whose head is cheap and whose rest is dear is bounded by what it has, not by its head."""

from domain import tokens
from providers import tokenizer


def test_a_cheap_head_does_not_hide_a_dear_rest() -> None:
    rest = "你好龘" * 300_000
    body = {"messages": [{"role": "user", "content": " " * tokens.LONG_TEXT + rest}]}
    has = sum(tokenizer.count(rest[at : at + 90_000]) for at in range(0, len(rest), 90_000))
    assert tokens.of_request(body, tokenizer.count, family="openai").bound >= has
