"""A stack whose only model behaves like a small one, for clients that talk to it as to any model."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from dev.postgres import EmbeddedPostgres
from tests.support.doubles.scripted_model import ScriptedModel
from tests.support.own_stack import own_stack
from tests.support.stack import Stack

MODEL = "test-scripted"
CATALOG = """
[providers.scripted]
kind = "openai"
base_url = "{url}"
capabilities = ["abort_stops_billing"]

[models.test-scripted]
context_window = 200000
max_output_tokens = 32000
input_modalities = ["text", "image"]
credits_per_1k_input = 300
credits_per_1k_output = 1500
routes = [{{ provider = "scripted", model = "scripted" }}]
"""


@contextmanager
def scripted_stack(postgres: EmbeddedPostgres, folders: pytest.TempPathFactory, name: str) -> Iterator[Stack]:
    with ScriptedModel() as server:
        stack = own_stack(postgres, folders, name, CATALOG.format(url=server.url))
        with stack.running("api"):
            yield stack
