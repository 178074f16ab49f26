"""OpenAI's shapes: what is counted of them, what is refused in them, and what is told in them."""

from domain import usage
from domain.pricing import Usage, UsageSource
from gateway import answers


def test_details_of_a_discarded_report_are_not_shown() -> None:
    shown = answers.usage_object(usage.counted(8, 1))
    assert shown == {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9}


def test_what_was_billed_is_told_in_detail_and_read_again() -> None:
    billed = Usage(10, 5, UsageSource.PROVIDER, 9, 1, reasoning_tokens=4, audio_input_tokens=2, audio_output_tokens=1)
    shown = answers.usage_object(billed)
    assert shown["prompt_tokens_details"] == {"cached_tokens": 9, "audio_tokens": 2, "cache_write_tokens": 1}
    assert shown["completion_tokens_details"] == {"reasoning_tokens": 4, "audio_tokens": 1}
    assert answers.usage_of(shown) == billed
