"""What templates are given to write with."""

import pytest
from jinja2 import nodes

from web import templating
from web.icons import Icons


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


@pytest.mark.parametrize(
    ("event", "endpoint", "words"),
    [
        ("job.succeeded", None, "the webhook_url of a job"),
        ("job.succeeded", "an id", "an endpoint that is gone"),
        ("purge.completed", None, "an endpoint that is gone"),
    ],
)
def test_a_message_to_an_endpoint_that_a_purge_erased_went_to_no_job(
    event: str, endpoint: str | None, words: str
) -> None:
    template = templating._environment().get_template("webhook-parts.html")
    parts = template.make_module({"icons": Icons()})
    assert str(parts.elsewhere({"event": event, "endpoint_id": endpoint})).strip() == words  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", templating._environment().list_templates())
def test_a_template_imports_only_what_it_uses(name: str) -> None:
    tree = templating._environment().parse((templating.FOLDER / name).read_text("utf-8"))
    used = {one.name for one in tree.find_all(nodes.Name) if one.ctx == "load"}
    assert used.issuperset(name for imported in tree.find_all(nodes.FromImport) for name in imported.names)
