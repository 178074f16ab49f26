"""The catalog that ships: complete, priced, and priced by nobody's memory."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from itertools import pairwise

import pytest
from genai_prices import data_snapshot
from pydantic import SecretStr

from catalog import files, list_prices, media_margins
from catalog.builder import ProviderKeys
from domain.catalog import Catalog, InputModality, Modality, Model, ProviderKind
from domain.errors import ModelNotFound
from domain.meters import Meter, credits_per_thousand
from domain.money import MICRO
from providers.registry import KINDS

TODAY = datetime(2026, 11, 23, 2, tzinfo=UTC)
EVERYTHING = dict.fromkeys(KINDS, ProviderKind(frozenset(Modality), needs=frozenset()))


def no_keys(names: Iterable[str]) -> Mapping[str, SecretStr]:
    return {}


def all_keys(names: Iterable[str]) -> Mapping[str, SecretStr]:
    return {name: SecretStr("key") for name in names}


def only(variable: str) -> ProviderKeys:
    return lambda names: {variable: SecretStr("key")}


LEFT_TO_OPERATORS = {
    *((Modality.SPEECH, kind) for kind in ("fal", "replicate")),
    (Modality.VIDEO, "openai"),
}
"""What an adapter makes and no shipped model does."""


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return files.load(None, all_keys, EVERYTHING, at=TODAY)


def of(catalog: Catalog, modality: Modality) -> list[Model]:
    return [model for model in catalog.models.values() if model.modality is modality]


def test_without_any_key_the_demo_answers_and_nothing_else() -> None:
    catalog = files.load(None, no_keys, KINDS, at=TODAY)
    active = catalog.active_models()
    assert {model.modality for model in active} == set(Modality)
    for model in active:
        assert "demo" in model.id
        assert "demo" in model.name.lower()
        assert {route.provider.kind for route in model.routes} == {"demo"}
    with pytest.raises(ModelNotFound):
        catalog.find("anthropic-claude-sonnet-46")


def test_with_every_key_and_every_adapter_everything_is_active(catalog: Catalog) -> None:
    assert len(catalog.active_models()) == len(catalog.models)
    assert all(provider.active for provider in catalog.providers.values())


def test_one_key_is_enough_for_the_models_of_that_vendor() -> None:
    for variable, model_id in (
        ("OPENAI_API_KEY", "openai-gpt-6-sol"),
        ("ANTHROPIC_API_KEY", "anthropic-claude-sonnet-46"),
        ("GEMINI_API_KEY", "google-gemini-31-pro"),
        ("OPENROUTER_API_KEY", "anthropic-claude-sonnet-46"),
    ):
        model = files.load(None, only(variable), KINDS, at=TODAY).find(model_id)
        assert model.routes[0].provider.api_key == SecretStr("key")


def test_only_what_has_an_adapter_is_active() -> None:
    catalog = files.load(None, all_keys, KINDS, at=TODAY)
    kinds = {(model.modality, route.provider.kind) for model in catalog.active_models() for route in model.routes}
    shipped = {provider.kind for provider in catalog.providers.values()}
    able = {(modality, name) for name, kind in KINDS.items() if name in shipped for modality in kind.makes}
    assert kinds == able - LEFT_TO_OPERATORS


def test_there_is_a_lot_to_choose_from(catalog: Catalog) -> None:
    text = [model for model in of(catalog, Modality.TEXT) if model.vendor != "demo"]
    assert len(text) >= 40
    vendors = {"openai", "anthropic", "google", "xai", "deepseek", "mistral", "meta", "alibaba", "moonshot", "zai"}
    assert vendors <= {model.vendor for model in text}
    for modality in (Modality.IMAGE, Modality.VIDEO, Modality.SPEECH, Modality.EMBEDDING):
        assert len(of(catalog, modality)) >= 5


def test_ids_are_vendor_and_name_without_dots(catalog: Catalog) -> None:
    for model_id in catalog.models:
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)+", model_id), model_id


def test_every_model_is_described_and_priced(catalog: Catalog) -> None:
    for model in catalog.models.values():
        assert model.description.endswith("."), model.id
        assert model.tags, model.id
        if model.modality.priced_by_tokens:
            assert model.prices.tokens is not None
            assert model.prices.tokens.rates[Meter.INPUT] > 0, model.id
            assert model.context_window, model.id
        else:
            assert (model.prices.per_unit or 0) > 0, model.id
        if model.modality is Modality.TEXT:
            assert model.prices.tokens is not None
            assert model.prices.tokens.rates[Meter.OUTPUT] > 0, model.id
            assert 0 < (model.max_output_tokens or 0) <= (model.context_window or 0), model.id


def test_each_tier_begins_above_the_one_before(catalog: Catalog) -> None:
    for model in catalog.models.values():
        for lower, higher in pairwise(model.prices.tokens.tiers if model.prices.tokens else ()):
            assert lower.above < higher.above, model.id


@pytest.mark.parametrize(
    ("model_id", "credits_in", "credits_out"),
    [
        ("anthropic-claude-sonnet-46", "300", "1500"),
        ("openai-gpt-6-sol", "200", "1000"),
        ("openai-gpt-6-luna", "10", "50"),
        ("google-gemini-31-pro", "200", "1200"),
        ("deepseek-v41-flash", "30", "120"),  # the peak price, at whatever hour this is loaded
        ("demo-chat", "100", "200"),
    ],
)
def test_known_prices(catalog: Catalog, model_id: str, credits_in: str, credits_out: str) -> None:
    priced = catalog.models[model_id].prices.tokens
    assert priced is not None
    prices = [credits_per_thousand(priced.rates, meter) for meter in (Meter.INPUT, Meter.OUTPUT)]
    assert prices == [Decimal(credits_in), Decimal(credits_out)]


def test_veo_is_flat() -> None:
    catalog = files.load(None, no_keys, KINDS, at=TODAY)
    assert catalog.models["google-veo-31"].prices.per_unit_of({"size": "1920x1080"}) == 1_200_000


def test_list_prices_are_those_of_the_day() -> None:
    later = datetime(2026, 12, 1, tzinfo=UTC)
    prices = [files.load(None, no_keys, KINDS, at=at).models["google-gemini-4-argon"].prices for at in (TODAY, later)]
    assert [each.tokens.rates[Meter.INPUT] for each in prices if each.tokens] == [200 * MICRO, 400 * MICRO]
    assert prices[0].version != prices[1].version


def test_no_route_costs_more_than_the_model_does(catalog: Catalog) -> None:
    for model in catalog.models.values():
        for route in model.routes:
            writes = model.modality is Modality.TEXT
            listed = list_prices.find(route.provider, route.model, TODAY, writes=writes)
            if listed is not None and model.prices.tokens is not None:
                for meter in (Meter.INPUT, Meter.OUTPUT):
                    price = model.prices.tokens.rates[meter]
                    assert listed.base[meter] * 100_000 * MICRO <= price, (model.id, route.provider.name, meter)


def test_no_media_route_costs_more_than_the_model_does_at_any_edge(catalog: Catalog) -> None:
    routes = [(model, route) for model in catalog.models.values() if model.media for route in model.routes]
    for model, route in routes:
        if route.provider.kind != "demo":
            assert model.media
            assert route.costs, (model.id, route.provider.name)
            assert media_margins.loss(model.prices, route.costs, model.media) is None, (model.id, route.provider.name)


def media_rows(catalog: Catalog) -> str:
    rows = []
    for model in catalog.models.values():
        if model.media is not None and model.vendor != "demo":
            names = ", ".join(f"`{name}`" for name in (*model.media.parameters, *model.media.inputs))
            providers = ", ".join(dict.fromkeys(route.provider.name for route in model.routes))
            rows.append(f"| `{model.id}` | {model.modality} | {names} | {providers} |")
    return "\n".join(rows)


def test_the_documents_list_the_media_models(catalog: Catalog) -> None:
    document = (files.SHIPPED.parent.parent / "docs" / "media.md").read_text()
    assert media_rows(catalog) in document


def test_audio_is_read_only_where_it_costs_what_text_costs(catalog: Catalog) -> None:
    for model in of(catalog, Modality.TEXT):
        for route in model.routes if InputModality.AUDIO in model.input_modalities else ():
            address = route.provider.base_url
            _, known = data_snapshot.get_snapshot().find_provider_model(route.model, None, None, address)
            price = known.get_prices(TODAY)
            assert price.input_audio_mtok in (None, price.input_mtok), (model.id, route.provider.name)


RETIRED = {
    *("dall-e-2", "dall-e-3", "gpt-image-1", "gpt-image-1.5", "sora-2", "sora-2-pro", "whisper-1", "o3"),
    *("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-5", "gpt-5-mini", "gpt-5-nano", "gpt-5.1", "gpt-5.2"),
    *("veo-3.1-generate-preview", "imagen-4.0-generate-001", "gemini-2.5-flash-preview-tts", "gemini-2.5-flash-image"),
    *("claude-sonnet-4-5", "deepseek-chat", "deepseek-reasoner"),
}
"""Gone, or announced to go within weeks."""


def test_nothing_retired_is_listed_and_nothing_that_trains_on_prompts(catalog: Catalog) -> None:
    names = {route.model.rpartition("/")[2] for model in catalog.models.values() for route in model.routes}
    assert not names & RETIRED
    assert not [name for name in names if name.endswith(("-contributor", ":free"))]


def test_each_capability_of_the_file_is_explained_at_its_top() -> None:
    text = files.SHIPPED.read_text()
    document = tomllib.loads(text)
    used = {word for provider in document["providers"].values() for word in provider.get("capabilities", ())}
    explained = set(re.findall(r"^#     ([a-z_]+) {2,}", text.partition("[exchange]")[0], re.MULTILINE))
    assert used <= explained


MEDIA = ("image", "video", "speech", "transcription")


def test_every_demo_failure_can_be_tried(catalog: Catalog) -> None:
    wanted = {"demo-chat", "demo-chat-fail", "demo-chat-broken", "demo-chat-slow"}
    wanted |= {"demo-embedding", "demo-embedding-fail"}
    wanted |= {f"demo-{modality}{way}" for modality in MEDIA for way in ("", "-fail", "-slow")}
    assert wanted == {model.id for model in catalog.models.values() if model.vendor == "demo"}
    for model_id in wanted:
        assert catalog.models[model_id].routes[0].model == model_id.removeprefix("demo-")
