"""`GET /v1/models`: what clients of OpenAI's and of OpenRouter's shape read in it."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from pydantic import SecretStr

from api.wire import models
from api.wire.media_models import number
from catalog import files
from domain.catalog import Catalog, ExchangeRate
from providers.registry import KINDS

TODAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
ROOT = Path(__file__).parents[4]
NO_ANSWERS = {
    *("/api/billing/quote/", "/api/chat/share/", "/v1/messages/count_tokens", "/v1/responses/input_tokens"),
    "/v1/responses/compact",
}
"""Endpoints whose body names a model that does not answer it, or whose answer is an item of another call's."""


def all_keys(names: Iterable[str]) -> Mapping[str, SecretStr]:
    return {name: SecretStr("a-secret-key") for name in names}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return files.load(None, all_keys, KINDS, at=TODAY)


def entry(catalog: Catalog, model_id: str) -> dict[str, Any]:
    return models.entry(catalog.models[model_id], catalog.exchange)


def takes_model(document: Mapping[str, Any], route: Mapping[str, Any]) -> bool:
    """Tell whether the body of a POST has a field for a model."""
    contents = route.get("post", {}).get("requestBody", {}).get("content", {})
    schemas = [content["schema"] for content in contents.values()]
    named = [document["components"]["schemas"].get(each.get("$ref", "").rpartition("/")[2], each) for each in schemas]
    return any("model" in each.get("properties", {}) for each in named)


def test_a_text_model_in_three_vocabularies(catalog: Catalog) -> None:
    sonnet = entry(catalog, "anthropic-claude-sonnet-46")
    openai = {"id": "anthropic-claude-sonnet-46", "object": "model", "created": models.CREATED, "owned_by": "anthropic"}
    ours = {
        "name": "Claude Sonnet 4.6",
        "modality": "text",
        "context_window": 1_000_000,
        "max_output_tokens": 64_000,
        "credits_per_1k_input": 300,
        "credits_per_1k_output": 1500,
        "credits_per_call": None,
        "pro_only": False,
        "tags": ["chat", "code", "vision", "tools", "reasoning"],
    }
    openrouter = {
        "context_length": 1_000_000,
        "architecture": {
            "modality": "text+image+file->text",
            "input_modalities": ["text", "image", "file"],
            "output_modalities": ["text"],
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {
            "prompt": "0.000003",
            "completion": "0.000015",
            "request": "0",
            "image": "0",
            "input_cache_read": "0.0000003",
            "input_cache_write": "0.00000375",
            "web_search": "0.01",
        },
    }
    assert sonnet == sonnet | openai | ours | openrouter
    assert {"tools", "temperature", "max_tokens"} <= set(sonnet["supported_parameters"])
    assert {"/v1/messages", "/v1/responses", "/v1/chat/completions"} <= set(sonnet["endpoints"])


@pytest.mark.parametrize(
    ("model_id", "credits", "usd", "modality"),
    [
        ("google-veo-31", {"credits_per_call": 1_200_000}, {"request": "12"}, "video"),
        ("openai-gpt-image-2", {"credits_per_image": 5300}, {"image": "0.053"}, "image"),
        ("bytedance-seedance-2", {"credits_per_second": 30_340}, {"second": "0.3034"}, "video"),
        ("demo-speech", {"credits_per_call": 500}, {"request": "0.005"}, "audio"),
    ],
)
def test_a_media_model(
    catalog: Catalog, model_id: str, credits: dict[str, int], usd: dict[str, str], modality: str
) -> None:
    media = entry(catalog, model_id)
    units = ("credits_per_call", "credits_per_image", "credits_per_second")
    assert {key: media[key] for key in units} == dict.fromkeys(units) | credits
    assert media["credits_per_1k_input"] is media["credits_per_1k_output"] is media["context_window"] is None
    assert media["pricing"] == media["pricing"] | usd
    assert media["architecture"]["output_modalities"] == [modality]
    assert any(endpoint.startswith("/api/media/") for endpoint in media["endpoints"])


def test_each_endpoint_that_a_model_answers_is_told_by_some_model(catalog: Catalog) -> None:
    document = orjson.loads((ROOT / "docs/openapi.json").read_bytes())
    named = {endpoint for model in catalog.models.values() for endpoint in entry(catalog, model.id)["endpoints"]}
    assert named == {path for path, route in document["paths"].items() if takes_model(document, route)} - NO_ANSWERS


@pytest.mark.parametrize(("model_id", "edits"), [("google-nano-banana-21", True), ("bfl-flux-schnell", False)])
def test_a_model_that_takes_no_picture_edits_none(catalog: Catalog, model_id: str, *, edits: bool) -> None:
    assert ("/v1/images/edits" in entry(catalog, model_id)["endpoints"]) is edits


@pytest.mark.parametrize(
    ("price", "shown"),
    [("300", 300), ("300.000000", 300), ("3E+2", 300), ("0", 0), ("0.000000", 0), ("7.5", 7.5), ("0.000001", 1e-6)],
)
def test_a_price_is_a_json_number_whole_where_it_is_whole(price: str, shown: float) -> None:
    assert number(Decimal(price)) == shown
    assert type(number(Decimal(price))) is type(shown)


def test_dollars_follow_the_exchange(catalog: Catalog) -> None:
    pricing = models.entry(catalog.models["demo-chat"], ExchangeRate(credits_per_usd=Decimal(3)))["pricing"]
    assert pricing["prompt"] == "0.033333333333333333"


def test_the_list_is_json_and_shows_no_key(catalog: Catalog) -> None:
    listing = models.listing(catalog.active_models(), catalog.exchange)
    assert (listing["total_count"], listing["links"]) == (len(listing["data"]), {"next": None})
    assert {each["canonical_slug"] for each in listing["data"]} == {each["id"] for each in listing["data"]}
    written = orjson.dumps(listing)
    assert listing["object"] == "list"
    assert [model["id"] for model in listing["data"]] == [model.id for model in catalog.active_models()]
    assert b"a-secret-key" not in written
    assert b"base_url" not in written


def test_a_model_that_declares_nothing_takes_what_its_adapter_passes_on(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(UNDECLARED)
    catalog = files.load(tmp_path / "my.toml", all_keys, KINDS, at=TODAY)
    listed = models.listing([catalog.find(name) for name in ("a", "b")], catalog.exchange)["data"]
    plain, priced = (set(model["supported_parameters"]) for model in listed)
    assert {"temperature", "tools", "max_tokens", "response_format", "top_k"} <= plain
    assert not plain & {"web_search_options", "audio", "modalities", "service_tier", "messages", "model", "*"}
    assert priced - plain == {"web_search_options", "audio", "modalities", "service_tier"}
    sonnet = catalog.models["anthropic-claude-sonnet-46"]
    assert sonnet.parameters == sonnet.supported_parameters


UNDECLARED = """
[providers.lab]
kind = "openai"
base_url = "http://lab/v1"
passes = ["top_k", "*"]

[models.a]
credits_per_1k_input = 1
credits_per_1k_output = 1
routes = [{ provider = "lab", model = "a" }]

[models.b]
credits_per_1k_input = 1
credits_per_1k_output = 1
credits_per_1k_web_search = 1000
credits_per_1k_audio_output = 5
service_tiers = { flex = { credits_per_1k_input = 1, credits_per_1k_output = 1 } }
routes = [{ provider = "lab", model = "b" }]
"""
