"""A client's names of fields that the gateway names otherwise."""

import pytest

from api import errors
from api.model_calls import in_the_words_of
from domain.errors import RequestInvalid
from gateway.wire import ModelCall

NAMES = {"messages": "input", "messages[1]": "input[0]", "messages[1].tool_calls[0]": "input[3]", "max_tokens": "most"}
CALL = ModelCall("m", {}, places=NAMES)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("messages", "input"),
        ("messages[1].content[2].type", "input[0].content[2].type"),
        ("messages[1].tool_calls[0].function", "input[3].function"),
        ("messages[7].content", "input[7].content"),
        ("messages_of_others", "messages_of_others"),
        ("max_tokens", "most"),
        ("temperature", "temperature"),
    ],
)
def test_a_field_has_the_name_that_its_client_wrote(name: str, written: str) -> None:
    assert CALL.as_written(name) == written


def test_an_error_names_the_field_as_its_client_wrote_it() -> None:
    with pytest.raises(RequestInvalid) as caught, in_the_words_of(CALL):
        raise RequestInvalid("'messages[1].content' must be a text.", param="messages[1].content")
    assert (caught.value.param, caught.value.message) == ("input[0].content", "'input[0].content' must be a text.")
    answer = errors.of(caught.value)
    assert (answer.param, answer.code) == ("input[0].content", "invalid_value")
