"""The SDKs' own test suites, from their published sources, against a real API process.

They send every parameter at once, with values that a schema allows. What this server refuses of them is in the tables
below, with the reason. Any other failure is a fault of ours.
"""

import json
import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from dev.postgres import EmbeddedPostgres
from tests.support import migrated
from tests.support.client_environments import PROGRAMS, environment, suite
from tests.support.doubles.entries import embedding_model, text_model
from tests.support.doubles.openai_server import OpenAIServer
from tests.support.stack import Stack

SECONDS = 300
INI = """[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = session
asyncio_default_test_loop_scope = session
"""
CATALOG = """
[providers.foreign]
kind = "openai"
base_url = "{url}"
capabilities = ["abort_stops_billing"]

[providers.texts]
kind = "openai"
base_url = "{url}"
capabilities = ["abort_stops_billing", "completions"]
"""
CHAT = ("gpt-6-astra", "gpt-5.6-sol", "gpt-5.4", "gpt-5.1", "gpt-4o", "gpt-4o-mini", "model", "claude-opus-5-5")
OLD_CLAUDES = (
    *("claude-mythos-preview", "claude-opus-4-5", "claude-sonnet-4-5"),
    *("claude-opus-4-5-20251101", "claude-sonnet-4-5-20250929"),
)
"""The SDK warns of these. A test of its suite calls each."""


@dataclass(frozen=True)
class Outcome:
    """How a test ends: by an error, or well once these parameters are left out, each with the code of its refusal."""

    why: str = ""
    refused: tuple[tuple[str, str], ...] = ()
    status: int | None = None
    code: str | None = None


def _not_priced(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, "unsupported_parameter") for name in names)


NOTHING_STORED = Outcome("nothing is stored by an id", status=404)
NO_METHOD = Outcome("these are not for clients to list or delete", status=405)
INPUT_MISSING = Outcome("OpenAI refuses it too: no input", status=400, code="missing_required_parameter")
ZERO = (("max_completion_tokens", "invalid_value"), ("max_tokens", "invalid_value"))
"""OpenAI refuses a limit of zero too."""
OF_CHAT = (*ZERO, *_not_priced("moderation", "web_search_options", "audio"))
STORED = _not_priced("previous_response_id", "conversation", "prompt", "background")
OPENAI: Mapping[str, Outcome] = {
    r"chat/test_completions.py::\w+_create_with_all_params_overload_\d": Outcome("no price, and zero", OF_CHAT),
    r"chat/test_completions.py::\w+_(retrieve|update|delete)": NOTHING_STORED,
    r"chat/test_completions.py::\w+_list(_with_all_params)?": NO_METHOD,
    r"chat/completions/test_messages.py::\w+_list(_with_all_params)?": NOTHING_STORED,
    r"test_responses.py::\w+_create_with_all_params_overload_\d": Outcome(
        "nothing is stored, and no price", (*STORED, *_not_priced("moderation"))
    ),
    r"test_responses.py::\w+_create_overload_\d": INPUT_MISSING,
    r"test_responses.py::\w+_(retrieve(_with_all_params)?_overload_\d|delete|cancel)": NOTHING_STORED,
    r"test_responses.py::\w+_compact": INPUT_MISSING,
    r"test_responses.py::\w+_compact_with_all_params": Outcome("nothing is stored", STORED[:1]),
    r"responses/test_input_items.py::\w+_list(_with_all_params)?": NOTHING_STORED,
    r"responses/test_input_tokens.py::\w+_count": INPUT_MISSING,
    r"responses/test_input_tokens.py::\w+_count_with_all_params": Outcome("nothing is stored", STORED[:2]),
    r"test_models.py::\w+_delete": NO_METHOD,
}
OF_MESSAGES = _not_priced("inference_geo", "container")
UNKNOWN_CURSOR = Outcome("the page begins at no model", status=400, code="invalid_value")
UNKNOWN_MODEL = Outcome("there is no such model", status=404, code="model_not_found")
ANTHROPIC: Mapping[str, Outcome] = {
    r"test_messages.py::\w+_create_with_all_params_overload_\d": Outcome("no price", OF_MESSAGES),
    r"beta/test_messages.py::\w+_create_with_all_params_overload_\d": Outcome(
        "no price", _not_priced("inference_geo", "mcp_servers", "container")
    ),
    r"beta/test_messages.py::\w+_count_tokens_with_all_params": Outcome(
        "no price", _not_priced("speed", "mcp_servers")
    ),
    r"(beta/)?test_models.py::\w+_retrieve(_with_all_params)?": UNKNOWN_MODEL,
    r"(beta/)?test_models.py::\w+_list_with_all_params": UNKNOWN_CURSOR,
}
"""By test, without its class and its parameters: what is not here passes as it is."""


@dataclass(frozen=True)
class Suite:
    environment: str
    sdk: str
    path: str
    files: tuple[str, ...]
    expected: Mapping[str, Outcome]


OPENAI_FILES = (
    *("chat/test_completions.py", "chat/completions/test_messages.py", "test_embeddings.py", "test_completions.py"),
    *("test_responses.py", "responses/test_input_items.py", "responses/test_input_tokens.py", "test_models.py"),
)
ANTHROPIC_FILES = ("test_messages.py", "test_models.py", "beta/test_messages.py", "beta/test_models.py")
SUITES = {
    "openai-3": Suite("openai3", "openai", "/v1", OPENAI_FILES, OPENAI),
    "openai-2": Suite("openai2", "openai", "/v1", OPENAI_FILES, OPENAI),
    "anthropic": Suite("openai3", "anthropic", "", ANTHROPIC_FILES, ANTHROPIC),
}


@pytest.fixture(scope="module")
def stack(postgres: EmbeddedPostgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    name = f"suites_{uuid.uuid4().hex}"
    migrated.clone(postgres, name)
    state = tmp_path_factory.mktemp("suites")
    with OpenAIServer() as provider:
        written = [text_model(model, "foreign/plain") for model in (*CHAT, *OLD_CLAUDES)]
        written += [text_model("gpt-3.5-turbo-instruct", "texts/text")]
        written += [embedding_model("text-embedding-3-small", "foreign/embed")]
        catalog = state / "catalog.toml"
        catalog.write_text(CATALOG.format(url=provider.url) + "".join(written))
        started = Stack.on(postgres, state, database=name, catalog=catalog)
        with started.running("api"):
            yield started


def run(tried: Suite, stack: Stack, folder: Path) -> dict[str, dict[str, Any]]:
    """Run the files of a suite in a copy with clients of ours, and return the result of each test."""
    source = suite(tried.environment, tried.sdk) / "tests"
    packages = {str(parent / "__init__.py") for name in tried.files for parent in Path("api_resources", name).parents}
    for name in ("utils.py", *packages, *(f"api_resources/{name}" for name in tried.files)):
        (folder / "tests" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / name, folder / "tests" / name)
    shutil.copy(PROGRAMS / "suite_conftest.py", folder / "tests" / "conftest.py")
    (folder / "pytest.ini").write_text(INI)
    ours = {
        "SDK": tried.sdk,
        "BASE_URL": stack.url + tried.path,
        "KEY": stack.account(credits=100_000_000),
        "REPORT": str(folder / "report.json"),
        "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
    }
    options = ["-q", "--tb=no", "-p", "pytest_asyncio.plugin", "-p", "no:cacheprovider", "tests"]
    done = subprocess.run(
        [str(environment(tried.environment).python), "-m", "pytest", *options],
        cwd=folder,
        env={**os.environ, **ours},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert (folder / "report.json").exists(), done.stdout + done.stderr
    report: dict[str, dict[str, Any]] = json.loads((folder / "report.json").read_text())
    return report


def known(test: str, expected: Mapping[str, Outcome]) -> Outcome:
    """The outcome of a test, by its file and name: `tests/api_resources/<file>::<class>::<name>[<parameters>]`."""
    file, _, rest = test.removeprefix("tests/api_resources/").partition("::")
    name = f"{file}::{rest.rpartition('::')[2].partition('[')[0]}"
    outcomes = [outcome for pattern, outcome in expected.items() if re.fullmatch(pattern, name)]
    return outcomes[0] if outcomes and "path_params" not in name else Outcome()


def differences(report: dict[str, dict[str, Any]], expected: Mapping[str, Outcome]) -> Iterator[str]:
    for test, result in report.items():
        outcome, error = known(test, expected), result["error"] or {}
        refused = tuple((each["param"], each["code"]) for each in result["refused"])
        ended = (result["outcome"] == "passed", error.get("status"), error.get("code"))
        if (refused, ended) != (outcome.refused, (outcome.status is None, outcome.status, outcome.code)):
            yield f"{test}: {refused} {ended} {error}"
        for each in (*result["refused"], *([error] if "status" in error else [])):
            if not each["request_id"] or not each["type"]:
                yield f"{test}: an error without a request id or a type"


@pytest.mark.parametrize("name", SUITES)
def test_the_suite_of_the_sdk_fails_only_as_expected(name: str, stack: Stack) -> None:
    tried = SUITES[name]
    with TemporaryDirectory() as folder:
        report = run(tried, stack, Path(folder))
    assert list(differences(report, tried.expected)) == []
    assert len(report) > 80
    for pattern in tried.expected:
        assert any(known(test, {pattern: Outcome("used")}).why for test in report), f"no test is {pattern}"
