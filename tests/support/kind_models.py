"""A model of each kind of chat provider for each case of a double: the base URL of its provider says which."""

from collections.abc import Iterable

from tests.support.adapter_cases import OURS

KINDS = sorted(OURS.keys() - {"demo", "vertex"})


def name(kind: str, case: object) -> str:
    return f"test-{kind.replace('_', '-')}-{case}"


def catalog(port: int, cases: Iterable[object], *, context_window: int, max_output_tokens: int) -> str:
    return "".join(
        f"""
[providers.{name(kind, case)}]
kind = "{kind}"
base_url = "http://127.0.0.1:{port}/{kind}/{case}"
api_key = "sk-SECRET"

[models.{name(kind, case)}]
context_window = {context_window}
max_output_tokens = {max_output_tokens}
credits_per_1k_input = 300
credits_per_1k_output = 1500
routes = [{{ provider = "{name(kind, case)}", model = "m" }}]
"""
        for case in cases
        for kind in KINDS
    )


def good(kind: str, *, stream: bool) -> bytes:
    """Return the first of the kind's good answers."""
    cases = OURS[kind]
    return next(iter(cases.streams.values())).raw if stream else next(iter(cases.answers.values()))
