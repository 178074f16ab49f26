"""What the input of a request for embeddings may have at most."""

from typing import Any

import pytest

from gateway import embeddings
from gateway.wire import EmbeddingRequest
from providers import tokenizer
from tests.support.doubles.chat_calls import model

TEXT = "foo bar " * 500


@pytest.mark.parametrize(
    ("beside", "least"),
    [({}, 0), ({"instruction": TEXT}, 2 * 1000), ({"task": [TEXT]}, 2 * 1000), ({"input": [TEXT], "user": TEXT}, 0)],
    ids=["none", "instruction", "list", "not read"],
)
def test_a_text_before_each_input_is_held_for_as_often(beside: dict[str, Any], least: int) -> None:
    request, large = EmbeddingRequest(("one", "two")), model().model_copy(update={"context_window": 32_000})
    counted = embeddings.input_tokens(request, large, tokenizer.count, beside)
    assert counted.count == 2
    assert least <= counted.bound <= 2 * least + 10
