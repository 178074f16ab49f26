"""What templates are given to write with."""

import pytest

from web import templating


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("'password' must have 8 to 200 characters.", "Must have 8 to 200 characters."),
        ("'limits.credits_day' must be positive.", "Must be positive."),
        ("'images[3]' must be a file.", "Must be a file."),
        ("'email': this address cannot be used.", "This address cannot be used."),
        ("This model takes no 'mask'.", "This model takes no 'mask'."),
        ("", ""),
    ],
)
def test_a_fault_beside_its_field_does_not_name_it_again(message: str, words: str) -> None:
    assert templating.beside(message) == words


def test_a_form_has_it_so() -> None:
    fault = {"message": "'password' is too easy to guess.", "param": "password", "retry_after": None}
    values = {"fault": fault, "address_given": "", "next": "/chat", "server": {"offer": ""}}
    assert "</svg>Is too easy to guess." in templating.html("sign-up.html", values)
