"""What is known of a model by its name."""

import pytest

from providers.anthropic.models import Thinking, rules


@pytest.mark.parametrize(
    ("names", "thinking", "sampling", "one_of", "strict"),
    [
        (("claude-3-7-sonnet-20250219", "claude-sonnet-4-20250514"), Thinking.MANUAL, True, False, False),
        (("claude-opus-4-1-20250805", "claude-opus-4-1"), Thinking.MANUAL, True, True, False),
        (("claude-haiku-4-5-20251001", "us.anthropic.claude-sonnet-4-5-v1:0"), Thinking.MANUAL, True, True, True),
        (("claude-sonnet-4-6", "anthropic/claude-opus-4.6"), Thinking.EITHER, True, True, True),
        (
            ("claude-opus-4-7", "claude-fable-5-2", "claude-opus-5", "claude-mythos"),
            Thinking.ADAPTIVE,
            False,
            True,
            True,
        ),
        (("kimi-k3", "glm-5"), Thinking.MANUAL, True, False, False),
    ],
)
def test_rules(names: tuple[str, ...], thinking: Thinking, sampling: bool, one_of: bool, strict: bool) -> None:
    for name in names:
        known = rules(name)
        assert (known.thinking, known.sampling) == (thinking, sampling), name
        assert (known.one_of_sampling, known.strict_tools) == (one_of, strict), name
