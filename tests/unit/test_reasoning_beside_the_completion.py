"""Some vendors (xAI, Gemini's compatible endpoint) tell reasoning beside `completion_tokens`, inside the total only."""

from domain import usage
from domain.usage import Bounds


def test_reasoning_that_only_the_total_has_is_billed() -> None:
    report = {
        "prompt_tokens": 10,
        "completion_tokens": 5,
        "total_tokens": 1015,
        "completion_tokens_details": {"reasoning_tokens": 1000},
    }
    found = usage.reported(report, Bounds(100_000, 8000))
    assert found is not None
    assert found.output_tokens == 1005
