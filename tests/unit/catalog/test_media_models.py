"""Media models in a catalog file: their parameters, input files and prices, and what is wrong with them."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from pydantic import SecretStr

from catalog import files
from domain.catalog import Catalog, CatalogInvalid, Modality, Model, ProviderKind
from domain.media_prices import Unit, Variant
from domain.media_schema import Input, ParameterType
from providers.registry import KINDS

TODAY = datetime(2026, 11, 23, tzinfo=UTC)
EVERYTHING = dict.fromkeys(KINDS, ProviderKind(frozenset(Modality), needs=frozenset()))
ROUTES = 'routes = [{ provider = "demo", model = "image" }]'
QUALITY = 'quality = ["low", "high"]'


def all_keys(names: Iterable[str]) -> Mapping[str, SecretStr]:
    return {name: SecretStr("key") for name in names}


def load(folder: Path, text: str) -> Catalog:
    (folder / "my.toml").write_text(text)
    return files.load(folder / "my.toml", all_keys, EVERYTHING, at=TODAY)


def entry(*lines: str, modality: str = "image", routes: str = ROUTES) -> str:
    return "\n".join(["[models.lab-x]", f'modality = "{modality}"', routes, *lines])


def model(folder: Path, *lines: str, modality: str = "image", routes: str = ROUTES) -> Model:
    return load(folder, entry(*lines, modality=modality, routes=routes)).models["lab-x"]


def problems(folder: Path, text: str) -> list[str]:
    with pytest.raises(CatalogInvalid) as invalid:
        load(folder, text)
    return [problem.removeprefix(f"{folder}/my.toml:") for problem in invalid.value.problems]


def test_parameters_are_named_shortly_or_in_full(tmp_path: Path) -> None:
    media = model(
        tmp_path,
        "credits_per_image = 1",
        "inputs = { image = { max = 4, types = ['image/png'], max_bytes = 1000 } }",
        "[models.lab-x.parameters]",
        "prompt = { max_length = 500 }",
        QUALITY,
        "seed = true",
        "n = { maximum = 4 }",
        "steps = { enum = [4, 8] }",
        "zoom = { type = 'number', minimum = 0.5, maximum = 2, default = 1.0, title = 'Zoom' }",
        "tiled = { type = 'boolean', default = false, description = 'Without seams' }",
    ).media
    assert media is not None
    properties = media.published()["properties"]
    assert list(properties) == ["prompt", "quality", "seed", "n", "steps", "zoom", "tiled"]
    assert properties["prompt"]["maxLength"] == 500
    assert properties["quality"] == {"type": "string", "enum": ["low", "high"], "default": "low", "title": "Quality"}
    assert properties["n"] == properties["n"] | {"minimum": 1, "maximum": 4, "default": 1}
    assert properties["steps"] == properties["steps"] | {"type": "integer", "enum": [4, 8]}
    assert properties["zoom"] == {"type": "number", "minimum": 0.5, "maximum": 2, "default": 1, "title": "Zoom"}
    assert properties["tiled"] == {"type": "boolean", "default": False, "description": "Without seams"}
    assert media.inputs == {"image": Input(4, types=("image/png",), max_bytes=1000)}
    assert media.parameters["seed"].type is ParameterType.INTEGER


def test_a_model_that_names_nothing_takes_what_others_of_its_kind_do(tmp_path: Path) -> None:
    by_modality = {
        "image": ("prompt", {"size", "n", "seed"}),
        "video": ("prompt", {"seconds", "size", "seed"}),
        "speech": ("input", {"voice", "response_format", "speed"}),
        "transcription": ("prompt", {"language", "temperature"}),
    }
    for modality, (text_name, names) in by_modality.items():
        media = model(tmp_path, "credits_per_call = 1", modality=modality).media
        assert media is not None
        assert (media.text_name, set(media.parameters)) == (text_name, names)


def test_every_published_schema_of_the_shipped_catalog_is_one() -> None:
    catalog = files.load(None, all_keys, EVERYTHING, at=TODAY)
    schemas = [model.json_schema for model in catalog.models.values() if model.json_schema]
    assert len(schemas) > 20
    for schema in schemas:
        Draft202012Validator.check_schema(schema)
        assert schema["properties"].keys() >= set(schema["required"])


@pytest.mark.parametrize(
    "variants",
    [
        'variants = { "1024x1024" = 2 }',
        'variants = [{ size = "1024x1024", credits_per_image = 2 }]',
    ],
)
def test_prices_by_size_are_written_in_two_ways(tmp_path: Path, variants: str) -> None:
    prices = model(tmp_path, "credits_per_image = 1", variants).prices
    assert prices.variants == (Variant({"size": "1024x1024"}, Decimal(2)),)
    assert (prices.unit, prices.per_unit) == (Unit.IMAGE, Decimal(1))


def test_prices_may_be_those_of_variants_alone(tmp_path: Path) -> None:
    prices = model(
        tmp_path,
        'variants = [{ quality = "low", credits_per_image = 1 }, { quality = "high", credits_per_image = 2.5 }]',
        f"parameters = {{ {QUALITY} }}",
    ).prices
    assert (prices.unit, prices.per_unit) == (Unit.IMAGE, None)
    assert prices.per_unit_of({"quality": "high"}) == Decimal("2.5")


def test_a_list_price_is_exchanged_as_that_of_a_chat_model(tmp_path: Path) -> None:
    listed = (
        'routes = [{ provider = "demo", model = "slow" }, { provider = "demo", model = "image", usd_per_image = 0.05,'
        ' usd_per_input_image = 0.001, variants = [{ quality = "high", usd_per_image = 0.2 }] }]'
    )
    text = "[exchange]\ncredits_per_usd = 1000\nmarkup = 1.2\n" + entry(
        f"parameters = {{ {QUALITY} }}", "inputs = { image = {} }", routes=listed
    )
    priced = load(tmp_path, text).models["lab-x"]
    assert (priced.prices.per_unit, priced.prices.per_input_image) == (Decimal(60), Decimal("1.2"))
    assert priced.prices.per_unit_of({"quality": "high"}) == 240
    slow, image = priced.routes
    assert slow.costs is None
    assert image.costs is not None
    assert (image.costs.per_unit, image.costs.per_unit_of({"quality": "high"})) == (Decimal(50), Decimal(200))


def test_the_credits_and_costs_of_a_file_win_over_a_list_price(tmp_path: Path) -> None:
    listed = 'routes = [{ provider = "demo", model = "image", usd_per_image = 1, cost_per_call = 7 }]'
    priced = model(tmp_path, "credits_per_image = 9", routes=listed)
    assert priced.prices.per_unit == 9
    costs = priced.routes[0].costs
    assert costs is not None
    assert (costs.unit, costs.per_unit) == (Unit.CALL, Decimal(7))


P, X = "parameters.quality", "models.lab-x"
LOW, HIGH = '{ quality = "low", credits_per_image = 1 }', '{ quality = "high", credits_per_image = 2 }'
BOTH = f'parameters = {{ {QUALITY}, size = ["1x1", "2x2"] }}'


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("parameters = { quality = 5 }", f"{P}: must be a table"),
        ("parameters = { quality = [] }", f"{P}: must be a table"),
        ("parameters = { quality = { sort = 1 } }", f"{P}.sort: is not a known key"),
        ('parameters = { quality = { type = "text" } }', f"{P}.type: must be 'string', 'integer', 'number' or"),
        ('parameters = { quality = ["a", 5] }', f"{P}.enum.0: must be an integer"),
        ('parameters = { quality = ["a", "a"] }', f"{P}.enum: has a value twice"),
        ('parameters = { quality = { enum = ["a"], default = "b" } }', f"{P}.default: must be one of a"),
        ('parameters = { quality = { pattern = "(" } }', f"{P}.pattern: is not a regular expression"),
        ('parameters = { quality = { pattern = "a" } }', f"{P}.pattern: must begin with ^ and end with $"),
        ("parameters = { quality = { minimum = 1 } }", f"{P}.minimum: is not for a parameter of type string"),
        ("parameters = { quality = { default = [1] } }", f"{P}.default: must be a text, a number, true or false"),
        ("parameters = { quality = [[1]] }", f"{P}.enum.0: must be a text, a number, true or false"),
        ("parameters = { seed = { maximum = 'x' } }", "parameters.seed.maximum: must be a number"),
        ("parameters = { Wind = true }", "parameters.Wind.[key]: is not well-formed"),
        ('inputs = { image = {}, mask = { needs = ["picture"] } }', "inputs.mask.needs: names 'picture', which is no"),
        ('inputs = { image = { without = ["image"] } }', "inputs.image.without: names 'image', which is no other"),
        ("variants = [{ size = [1], credits_per_image = 1 }]", "variants.0.values.size: must be a text, a number"),
        ("parameters = { wind = {} }", "parameters.wind: needs a type or an enum"),
        ('parameters = { wind = { type = "number" } }', "parameters.wind: needs minimum and maximum, or an enum"),
        ("parameters = { seed = { minimum = 2, maximum = 1 } }", "parameters.seed.minimum: must not be above maximum"),
        ("parameters = { n = { maximum = 99 } }", "parameters.n.maximum: must be at most 16"),
        ('parameters = { n = ["a"] }', "parameters.n.type: must be integer"),
        ("parameters = { model = true }", "parameters.model: is a field of every request"),
        ('parameters = { prompt = { enum = ["a"] } }', "parameters.prompt.enum: is not a key of the text"),
        ("inputs = { image = { max = 0 } }", "inputs.image.max: must be at least 1"),
        ("inputs = { image = { types = ['text/html'] } }", "inputs.image.types.0: is not well-formed"),
        ('excluded = [{ size = "1x1" }]', "excluded.0.size: must be WIDTHxHEIGHT"),
        ('excluded = [{ size = "16x16" }]', "excluded.0: must name two parameters at least"),
        (f"variants = [{LOW}]", "variants.0: quality is not a parameter of this model"),
        ("variants = [5]", "variants.0: must be a table such as"),
        ('variants = [{ size = "16x16" }]', "variants.0: must have values of parameters and one price"),
        ("variants = [{ credits_per_image = 1 }]", "variants.0: must have values of parameters and one price"),
        ('variants = [{ size = "16x16", usd_per_image = 1 }]', "variants.0: usd_per_image is not a price here"),
        ('variants = [{ size = "big", credits_per_image = 1 }]', "variants.0: size must be WIDTHxHEIGHT"),
        ('variants = [{ size = "16x16", credits_per_image = -1 }]', "variants.0.price: must be a decimal number ≥ 0"),
        ("credits_per_input_image = 1", "credits_per_input_image: is for a model with input images"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, line: str, problem: str) -> None:
    named = problems(tmp_path, entry("credits_per_image = 1", line))
    assert any(each.startswith(f"5: {X}.{problem}") for each in named), named


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ((BOTH, f"variants = [{LOW}]"), "variants: have no price for quality high"),
        ((BOTH, f"variants = [{LOW}, {HIGH}, {LOW}]"), "variants.2: applies as much as the variant before it to"),
        (
            (BOTH, f'variants = [{LOW}, {HIGH}, {{ size = "1x1", credits_per_image = 3 }}]'),
            "variants.2: applies as much as the variant before it to quality low, size 1x1",
        ),
        (('parameters = { quality = { enum = ["low"] } }', f"variants = [{LOW}]"), "variants: have no price for a"),
        (("parameters = { quality = true }", f"variants = [{LOW}]"), "variants: have no price for quality of another"),
    ],
)
def test_every_request_has_one_price(tmp_path: Path, lines: tuple[str, ...], problem: str) -> None:
    first = problems(tmp_path, entry(*lines))[0]
    assert first.startswith(f"5: {X}.{problem}")


def test_a_combination_that_is_excluded_needs_no_price(tmp_path: Path) -> None:
    both = '{ quality = "high", size = "1x1", credits_per_image = 3 }'
    excluded = 'excluded = [{ quality = "high", size = "2x2" }]'
    assert model(tmp_path, BOTH, f"variants = [{LOW}, {both}]", excluded).prices.per_unit is None


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("credits_per_second = 1", "a price per second needs the parameter seconds"),
        (
            'credits_per_megapixel = 1\nparameters = { size = ["auto"] }',
            "a price per megapixel needs the parameter size",
        ),
        ("", "a media model has exactly one of credits_per_1k_characters, "),
    ],
)
def test_a_price_can_be_counted(tmp_path: Path, line: str, problem: str) -> None:
    assert problems(tmp_path, entry(line))[0].startswith(f"1: {X}: {problem}")


def test_too_many_combinations_are_refused(tmp_path: Path) -> None:
    names = "abcd"
    choices = ", ".join(f"{name} = {list(range(20))}" for name in names)
    variants = ", ".join(f"{{ {name} = 1, credits_per_image = 1 }}" for name in names)
    text = entry("credits_per_image = 1", f"parameters = {{ {choices} }}", f"variants = [{variants}]")
    assert "have 160000 combinations of values" in problems(tmp_path, text)[0]


def test_a_chat_model_has_no_parameters_of_media(tmp_path: Path) -> None:
    text = "[models.demo-chat]\nparameters = { quality = true }"
    assert problems(tmp_path, text) == [
        "2: models.demo-chat.parameters: is for models of images, video, speech and transcription"
    ]
