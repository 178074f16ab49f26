"""A deployment's own catalog file: what it changes, and what it is told when it is wrong."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from pydantic import SecretStr

from catalog import files
from catalog.builder import ProviderKeys
from catalog.media_price_checks import ONE_PRICE
from domain.catalog import Capability, Catalog, CatalogInvalid, Modality, Model, Prices, ProviderKind
from domain.media_prices import Unit
from domain.meters import BASE, Meter, TokenPrices, credits_per_thousand, per_thousand
from domain.money import MICRO
from providers.registry import KINDS

TODAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
OLLAMA = """
[providers.ollama]
kind = "openai"
base_url = "http://localhost:11434/v1/"

[models."llama3.2:3b"]
credits_per_1k_input = 0
credits_per_1k_output = 0.5
routes = [ { provider = "ollama", model = "llama3.2:3b" } ]
"""


def no_keys(names: Iterable[str]) -> Mapping[str, SecretStr]:
    return {}


def all_keys(names: Iterable[str]) -> Mapping[str, SecretStr]:
    return {name: SecretStr(f"value of {name}") for name in names}


def load(tmp_path: Path, text: str, keys: ProviderKeys = no_keys) -> Catalog:
    (tmp_path / "my.toml").write_text(text)
    return files.load(tmp_path / "my.toml", keys, KINDS, at=TODAY)


def tokens_of(model: Model) -> TokenPrices:
    assert model.prices.tokens is not None
    return model.prices.tokens


def problems(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(CatalogInvalid) as invalid:
        load(tmp_path, text)
    assert str(invalid.value) == "\n".join(invalid.value.problems)
    return [problem.removeprefix(f"{tmp_path}/") for problem in invalid.value.problems]


def test_a_server_without_a_key_works_as_it_stands(tmp_path: Path) -> None:
    catalog = load(tmp_path, OLLAMA)
    model = catalog.find("llama3.2:3b")
    assert tokens_of(model).rates == per_thousand(input=Decimal(0), output=Decimal("0.5"))
    assert (model.name, model.modality, model.pro_only) == ("llama3.2:3b", Modality.TEXT, False)
    assert (model.context_window, model.max_output_tokens) == (32_768, 4_096)
    (route,) = model.routes
    assert (route.provider.name, route.provider.api_key) == ("ollama", None)
    assert route.provider.base_url == "http://localhost:11434/v1"
    assert catalog.find("demo-chat").active


def test_the_same_file_works_alone(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text(OLLAMA)
    catalog = files.load(None, no_keys, KINDS, shipped=tmp_path / "my.toml")
    assert [model.id for model in catalog.models.values()] == ["llama3.2:3b"]


def test_a_model_is_changed_field_by_field(tmp_path: Path) -> None:
    shipped = files.load(None, all_keys, KINDS, at=TODAY).models["openai-gpt-6-sol"]
    changed = load(tmp_path, "[models.openai-gpt-6-sol]\npro_only = true\nname = 'Sol'", all_keys).models[shipped.id]
    assert changed == shipped.model_copy(update={"pro_only": True, "name": "Sol"})


def test_a_model_with_routes_replaces_the_shipped_one(tmp_path: Path) -> None:
    catalog = load(tmp_path, OLLAMA.replace("llama3.2:3b", "openai-gpt-6-sol", 1))
    model = catalog.find("openai-gpt-6-sol")
    assert [route.provider.name for route in model.routes] == ["ollama"]
    assert (model.name, model.tags, tokens_of(model).tiers) == ("openai-gpt-6-sol", (), ())


def test_a_provider_is_changed_field_by_field_and_replaced_by_its_kind(tmp_path: Path) -> None:
    moved = load(tmp_path, "[providers.openai]\nbase_url = 'http://127.0.0.1:9/v1'", all_keys).providers["openai"]
    assert (moved.base_url, moved.api_key) == ("http://127.0.0.1:9/v1", SecretStr("value of OPENAI_API_KEY"))
    assert Capability.STORE in moved.capabilities
    replaced = load(tmp_path, "[providers.openai]\nkind = 'openai'\nbase_url = 'http://127.0.0.1:9'").providers[
        "openai"
    ]
    assert (replaced.active, replaced.api_key, replaced.capabilities) == (True, None, frozenset())


def test_a_double_in_the_place_of_a_vendor_keeps_the_list_prices(tmp_path: Path) -> None:
    moved = load(tmp_path, "[providers.openai]\nkind = 'openai'\nbase_url = 'http://127.0.0.1:9'")
    shipped = files.load(None, no_keys, KINDS, at=TODAY)
    for model_id in ("openai-gpt-6-sol",):
        assert moved.find(model_id).prices == shipped.models[model_id].prices


def test_a_key_in_the_file_is_enough_and_headers_go_along(tmp_path: Path) -> None:
    text = "[providers.openai]\napi_key = 'sk-file'\nheaders = { X-Team = 'research' }"
    catalog = load(tmp_path, text)
    (provider,) = {route.provider.name: route.provider for route in catalog.find("openai-gpt-6-sol").routes}.values()
    assert provider.api_key == SecretStr("sk-file")
    assert provider.headers == {"X-Team": SecretStr("research")}
    assert "sk-file" not in repr(catalog)


def test_what_is_not_enabled_is_not_served(tmp_path: Path) -> None:
    catalog = load(tmp_path, "[providers.demo]\nenabled = false\n[models.openai-gpt-6-sol]\nenabled = false", all_keys)
    active = {model.id for model in catalog.active_models()}
    assert not any("demo" in model_id for model_id in active)
    assert "openai-gpt-6-sol" not in active
    assert "openai-gpt-6-luna" in active


def only_text_of(*names: str) -> dict[str, ProviderKind]:
    """Every kind, as if these alone had an adapter."""
    makes = {name: frozenset({Modality.TEXT}) if name in names else frozenset() for name in KINDS}
    return {name: ProviderKind(makes[name], needs=kind.needs) for name, kind in KINDS.items()}


def test_routes_are_listed_by_weight_then_in_order(tmp_path: Path) -> None:
    text = """
[models.m]
credits_per_1k_input = 1
credits_per_1k_output = 1
routes = [
    { provider = "openai", model = "last", weight = 0 },
    { provider = "demo", model = "second" },
    { provider = "openrouter", model = "third", capabilities = ["store"] },
    { provider = "xai", model = "first", weight = 10 },
    { provider = "anthropic", model = "no adapter" },
]
"""
    (tmp_path / "my.toml").write_text(text)
    kinds = only_text_of("openai", "demo", "openrouter")
    routes = files.load(tmp_path / "my.toml", all_keys, kinds).find("m").routes
    assert [route.model for route in routes] == ["first", "second", "third", "last"]
    assert routes[2].capabilities == {Capability.STORE}
    assert routes[3].capabilities == routes[3].provider.capabilities != frozenset()
    only = files.load(tmp_path / "my.toml", all_keys, only_text_of("anthropic"))
    assert [route.model for route in only.find("m").routes] == ["no adapter"]


MODEL = '[models.m]\nroutes = [{ provider = "anthropic", model = "claude-sonnet-4-6" }]\n'


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("", ("300", "1500", "30", "375")),
        ("credits_per_1k_output = 7", ("300", "7", "30", "375")),
        ("credits_per_1k_input = 0.000001", ("0.000001", "1500", "0.000001", "0.000001")),
        ("credits_per_1k_cached_input = 1", ("300", "1500", "1", "375")),
        ("credits_per_1k_input = 5\ncredits_per_1k_cache_write = 6", ("5", "1500", "5", "6")),
        ("[exchange]\nmarkup = 1.1", ("330", "1650", "33", "412.5")),
        ("[exchange]\ncredits_per_usd = 1", ("0.003", "0.015", "0.0003", "0.00375")),
    ],
)
def test_list_prices_fill_in_what_is_not_given(tmp_path: Path, given: str, expected: tuple[str, ...]) -> None:
    rates = tokens_of(load(tmp_path, MODEL + given).models["m"]).rates
    prices = (credits_per_thousand(rates, meter) for meter in BASE)
    assert tuple(prices) == tuple(map(Decimal, expected))


def test_tiers_come_with_list_prices_or_from_the_file(tmp_path: Path) -> None:
    sol = '[models.m]\nroutes = [{ provider = "openai", model = "gpt-6-sol" }]\n'
    listed = tokens_of(load(tmp_path, sol).models["m"])
    assert [(tier.above, tier.rates[Meter.INPUT]) for tier in listed.tiers] == [(272_000, 400 * MICRO)]
    assert tokens_of(load(tmp_path, sol + "credits_per_1k_input = 1").models["m"]).tiers == ()
    tier = "tiers = [{ above = 9, credits_per_1k_input = 2, credits_per_1k_output = 3 }]"
    (only,) = tokens_of(load(tmp_path, sol + tier).models["m"]).tiers
    assert (only.above, only.rates[Meter.CACHED_INPUT], only.rates[Meter.OUTPUT]) == (9, 2 * MICRO, 3 * MICRO)


def test_another_unit_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    prices = load(tmp_path, "[models.bytedance-seedance-2]\ncredits_per_call = 5").models["bytedance-seedance-2"].prices
    assert prices == Prices(unit=Unit.CALL, per_unit=Decimal(5))


NOT_A_PRICE = "must be a decimal number ≥ 0 with at most 6 places"


@pytest.mark.parametrize("price", ["-1", "0.0000001", '"5"', "true", "nan", "inf", "-inf", "[1]", "1e-7"])
def test_a_price_is_an_exact_number(tmp_path: Path, price: str) -> None:
    text = OLLAMA.replace("credits_per_1k_input = 0", f"credits_per_1k_input = {price}")
    assert problems(tmp_path, text) == [f"my.toml:7: models.llama3.2:3b.credits_per_1k_input: {NOT_A_PRICE}"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("colour = 1", "colour: is not a known key"),
        ("credit_per_call = 1", "credit_per_call: is not a known key; did you mean credits_per_call?"),
        ("modality = 'smell'", "modality: must be 'text', 'image', 'video', 'speech', 'transcription' or 'embedding'"),
        ("context_window = 0", "context_window: must be at least 1"),
        ("context_window = '9'", "context_window: must be a whole number"),
        ("pro_only = 1", "pro_only: must be true or false"),
        ("credits_per_call = 1", "credits_per_call: is not how a model of modality text is priced"),
        ("name = ''", "name: must not be empty"),
        ("tags = ['No Blanks']", "tags.0: is not well-formed"),
        ("input_modalities = []", "input_modalities: must not be empty"),
    ],
)
def test_a_bad_field_is_named_with_its_line(tmp_path: Path, line: str, problem: str) -> None:
    assert problems(tmp_path, OLLAMA + line) == [f"my.toml:10: models.llama3.2:3b.{problem}"]


ALL_WRONG = """[exchange]
markup = -1

[provider.x]

[providers.Bad_Name]
kind = "opena"

[providers.fal]
kind = "fal"
capabilities = ["stores"]

[providers.video]
kind = "replicate"
base_url = "ftp://user:secret@host"

[models.a]
routes = [
    { provider = "opnai", model = "x" },
    { provider = "openai", model = "" },
    { provider = "openai", model = "y", wieght = 2 },
]
[models.b]
modality = "video"
routes = [{ provider = "demo", model = "video" }, { provider = "demo", model = "video" }]
[models.c]
credits_per_1k_input = 1
routes = [{ provider = "opnai", model = "nobody-knows" }]
[models.d]
tags = ["x"]
[models."e e"]
modality = "image"
credits_per_image = 1
credits_per_1k_input = 1
tiers = []
routes = [{ provider = "demo", model = "image" }]
[models.f]
tiers = [
    { above = 2, credits_per_1k_input = 1, credits_per_1k_output = 1 },
    { above = 2, credits_per_1k_input = 1, credits_per_1k_output = 1, aboove = 2 },
]
routes = "none"
[models.g]
credits_per_1k_input = 1
routes = [{ provider = "openai", model = "nobody-knows" }]
"""


def test_a_capability_of_an_earlier_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    text = '[providers.fal]\ncapabilities = ["store", "stream_usage"]\n'
    sentence = "stream_usage is gone, usage is requested of every server: delete it here"
    assert problems(tmp_path, text) == [f"my.toml:2: providers.fal.capabilities.1: {sentence}"]


def test_everything_wrong_is_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    *kinds, last = sorted(KINDS)
    *abilities, last_ability = (f"'{capability}'" for capability in Capability)
    any_ability = f"{', '.join(abilities)} or {last_ability}"
    assert problems(tmp_path, ALL_WRONG) == [
        "my.toml:2: exchange.markup: must be a decimal number > 0 with at most 12 places",
        "my.toml:4: provider: is not a known key; did you mean providers?",
        "my.toml:6: providers.Bad_Name: a provider's name has lower-case letters, digits and dashes only",
        f"my.toml:7: providers.Bad_Name.kind: must be {', '.join(kinds)} or {last}",
        f"my.toml:11: providers.fal.capabilities.0: must be {any_ability}",
        "my.toml:15: providers.video.base_url: is not well-formed: it begins with http:// or https:// and a host, "
        "without spaces",
        "my.toml:20: models.a.routes.1.model: must not be empty",
        "my.toml:21: models.a.routes.2.wieght: is not a known key; did you mean weight?",
        f"my.toml:23: models.b: {ONE_PRICE}",
        "my.toml:25: models.b.routes.1: is the same as another route of this model",
        "my.toml:28: models.c.routes.0.provider: there is no provider 'opnai'; did you mean 'openai'?",
        "my.toml:29: models.d.routes: is missing",
        "my.toml:31: models.e e: a model's name has letters, digits and . _ : / @ + - only",
        "my.toml:34: models.e e.credits_per_1k_input: is not how a model of modality image is priced",
        "my.toml:35: models.e e.tiers: is not how a model of modality image is priced",
        "my.toml:40: models.f.tiers.1.aboove: is not a known key; did you mean above?",
        "my.toml:42: models.f.routes: must be a list",
        "my.toml:43: models.g: has no price: give credits_per_1k_output (0 is allowed); no list price is known for any "
        "of its routes",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[providers.x]\nkind = 'openai'", "my.toml:1: providers.x.base_url: is missing"),
        (
            "[providers.x]\nkind = 'fal'\nbase_url = 'https://x'",
            "my.toml:1: providers.x.api_key_env: is missing (or api_key): a provider of kind fal needs a key",
        ),
        ("[providers.openai]\nkind = 'openai'", "my.toml:1: providers.openai.base_url: is missing"),
        ("\n[providers.openai]\napi_key = ''", "my.toml:3: providers.openai.api_key: must not be empty"),
        ("[providers.openai]\nheaders = { 'a b' = 'c' }", "my.toml:2: providers.openai.headers.a b.[key]: is not"),
        ("providers = 1", "my.toml:1: providers: must be tables: [providers.<name>]"),
        ("[models]\nm = 1", "my.toml:2: models.m: must be a table"),
        (
            "[models.openai-gpt-6-sol]\nmodality = 'image'",
            "my.toml:1: models.openai-gpt-6-sol: a media model has exactly one of",
        ),
        ("[models.m]\nroutes = []", "my.toml:2: models.m.routes: must not be empty"),
        (
            "[models.m]\ntiers = [\n{ above = 9, credits_per_1k_input = 1, credits_per_1k_output = 1 },\n"
            "{ above = 8, credits_per_1k_input = 1, credits_per_1k_output = 1 }]\n"
            "routes = [{ provider = 'demo', model = 'chat' }]",
            "my.toml:2: models.m.tiers: must be in ascending order of `above`, each once",
        ),
        ("a = 1\na = 2", "my.toml:2: not valid TOML: Cannot overwrite a value"),
        ("[models.m]\n[models.m]", "my.toml:2: not valid TOML: Cannot declare ('models', 'm') twice"),
        ("\n\nkey value", "my.toml:3: not valid TOML: Expected '=' after a key in a key/value pair"),
        ("x = [1,\n", "my.toml:2: not valid TOML: Invalid value"),
        ("x = 1e9999999999999999999", "my.toml: holds a number that is out of all range"),
    ],
)
def test_what_is_wrong_is_said_with_file_and_line(tmp_path: Path, text: str, problem: str) -> None:
    assert problems(tmp_path, text)[0].startswith(problem)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(CatalogInvalid, match=r"/absent\.toml: cannot be read: FileNotFoundError$"):
        files.load(tmp_path / "absent.toml", no_keys, KINDS)
    (tmp_path / "my.toml").write_bytes(b"x = '\xff'")
    with pytest.raises(CatalogInvalid, match=r"/my\.toml: cannot be read: it is not UTF-8$"):
        files.load(tmp_path / "my.toml", no_keys, KINDS)


def test_no_problem_shows_a_key(tmp_path: Path) -> None:
    text = "[providers.x]\nkind = 'openai'\napi_key = ['sk-secret']\nheaders = { X-Key = 5 }\nsk-secret = 'sk-hidden'"
    text_ = problems(tmp_path, text)
    assert len(text_) >= 3
    assert "sk-hidden" not in "".join(text_)
    assert "['sk-secret']" not in "".join(text_)
