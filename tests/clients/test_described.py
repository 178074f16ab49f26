"""What is sent is what the OpenAPI document describes, to the field."""

import importlib
from typing import Any

import httpx2
import orjson
import pytest

from tests.support.account_client import AccountClient
from tests.support.stack import ROOT

Validator = importlib.import_module("jsonschema").Draft202012Validator  # by name: it has no types
DOCUMENT = orjson.loads((ROOT / "docs/openapi.json").read_bytes())
CHAT = "/v1/chat/completions"


def described(path: str, answer: httpx2.Response, method: str = "get") -> set[str]:
    """The fields that the document names for an answer, which it has held to it."""
    media = answer.headers["content-type"].partition(";")[0]
    schema = DOCUMENT["paths"][path][method]["responses"][str(answer.status_code)]["content"][media]["schema"]
    assert list(Validator(schema | {"components": DOCUMENT["components"]}).iter_errors(answer.json())) == []
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return set(schema.get("properties", ()))


async def test_a_chat_answer_is_described(owner: AccountClient) -> None:
    answer = await owner.chat("test-plain")
    named = described(CHAT, answer, "post")
    assert {"id", "object", "created", "model", "choices", "usage", "yout"} <= named & set(answer.json())
    assert {"credits_charged", "balance"} == set(answer.json()["yout"])


async def test_a_refusal_for_want_of_credits_is_described(owner: AccountClient) -> None:
    answer = await owner.chat("test-plain", max_credits=1)
    assert answer.status_code == 402
    described(CHAT, answer, "post")
    error = DOCUMENT["components"]["schemas"]["Error"]["properties"]["error"]
    assert set(answer.json()["error"]) <= set(error["properties"])


async def test_metrics_are_described_as_text(owner: AccountClient) -> None:
    answer = await owner.http.get("/metrics")
    sent = answer.headers["content-type"].partition(";")[0]
    assert [sent] == list(DOCUMENT["paths"]["/metrics"]["get"]["responses"]["200"]["content"])
    for figure in ("yout_holds_overdue 0.0", "yout_jobs_overdue 0.0", "yout_outputs_overdue 0.0"):
        assert f"\n{figure}\n" in answer.text


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_is_no_error_object(owner: AccountClient, path: str) -> None:
    """`/readyz` says what is away in a body of its own also when it is 503, and `/healthz` never is."""
    answer = await owner.http.get(path)
    described(path, answer)
    failed: dict[str, Any] = DOCUMENT["paths"][path]["get"]["responses"].get("503", {})
    assert "Error" not in str(failed)
    assert bool(failed) == (path == "/readyz")
