"""What a request asks for beside text is a meter that its model prices, or it is refused by its name."""

from decimal import Decimal
from typing import Any

import pytest

from domain.catalog import InputModality, Modality, Model, Prices, Provider, Route
from domain.errors import RequestInvalid
from domain.meters import BASE, Meter, TokenPrices, per_thousand
from gateway import request_meters

PRICES = TokenPrices(
    per_thousand(
        input=Decimal(10),
        output=Decimal(20),
        cache_write_1h=Decimal(30),
        audio_input=Decimal(40),
        image_input=Decimal(50),
        audio_output=Decimal(60),
        image_output=Decimal(70),
        web_search=Decimal(1000),
    ),
    service_tiers={
        "flex": TokenPrices(per_thousand(input=Decimal(5), output=Decimal(10), web_search=Decimal(1000))),
        "priority": TokenPrices(per_thousand(input=Decimal(20), output=Decimal(40), web_search=Decimal(1000))),
    },
)
PLAIN = TokenPrices(per_thousand(input=Decimal(10), output=Decimal(20)))


def model(
    *passes: frozenset[str], prices: TokenPrices = PRICES, reads: tuple[InputModality, ...] = tuple(InputModality)
) -> Model:
    provider = Provider(name="p", kind="openai", active=True)
    routes = [
        Route(provider=provider, model="m", weight=1, capabilities=frozenset(), passes=some)
        for some in passes or (frozenset[str](),)
    ]
    return Model(
        id="m",
        name="m",
        description="",
        modality=Modality.TEXT,
        input_modalities=reads,
        context_window=1000,
        max_output_tokens=100,
        prices=Prices(tokens=prices),
        tags=(),
        pro_only=False,
        supported_parameters=None,
        routes=tuple(routes),
    )


def asking(*parts: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "x"}, {"role": "user", "content": list(parts)}], **fields}


def part(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, **fields}


HOUR = {"cache_control": {"type": "ephemeral", "ttl": "1h"}}


@pytest.mark.parametrize(
    ("body", "meters"),
    [
        (asking(), set()),
        (asking(part("text", text="x")), set()),
        (asking(modalities=["text"], audio=None, web_search_options=None, service_tier="auto"), set()),
        (asking(web_search_options={}), {Meter.WEB_SEARCH}),
        (asking(audio={"voice": "alloy", "format": "mp3"}), {Meter.AUDIO_OUTPUT}),
        (asking(modalities=["text", "audio"]), {Meter.AUDIO_OUTPUT}),
        (asking(modalities=["image", "text"]), {Meter.IMAGE_OUTPUT}),
        (asking(part("input_audio", input_audio={})), {Meter.AUDIO_INPUT}),
        (asking(part("image_url", image_url={})), {Meter.IMAGE_INPUT}),
        (asking(part("text", text="x", **HOUR)), {Meter.CACHE_WRITE_1H}),
        (asking(tools=[{"type": "function", **HOUR}]), {Meter.CACHE_WRITE_1H}),
        (asking(**HOUR), {Meter.CACHE_WRITE_1H}),
        ({"messages": [{"role": "user", "content": "x", **HOUR}]}, {Meter.CACHE_WRITE_1H}),
        (asking(tools=[{"type": "function", "function": {"name": "f", **HOUR}}]), {Meter.CACHE_WRITE_1H}),
        (asking(functions=[{"name": "f", **HOUR}]), {Meter.CACHE_WRITE_1H}),
        (asking(part("refusal", content=[part("text", text="x", **HOUR)])), {Meter.CACHE_WRITE_1H}),
        (asking(part("text", text="x", uuid="1", image_url={})), {Meter.IMAGE_INPUT}),
        (asking(part("audio_embeds")), {Meter.AUDIO_INPUT}),
        (asking(part("video_url", video_url={})), {Meter.AUDIO_INPUT, Meter.IMAGE_INPUT}),
        (asking(part("text", text="x", cache_control={"type": "ephemeral"})), set()),
        (
            asking(part("input_audio"), web_search_options={}, modalities=["audio"]),
            {Meter.AUDIO_INPUT, Meter.WEB_SEARCH, Meter.AUDIO_OUTPUT},
        ),
    ],
)
def test_a_call_is_held_at_the_rates_of_what_it_can_use(body: dict[str, Any], meters: set[Meter]) -> None:
    assert set(request_meters.prices_of(model(), body).rates) == {*BASE, *meters}


def test_a_mark_for_an_hour_is_seen_at_any_depth_of_the_clients_own_request() -> None:
    inner = {"type": "tool_result", "content": [{"type": "text", "text": "x", **HOUR}]}
    for depth, meters in ((inner, {Meter.CACHE_WRITE_1H}), ({"type": "text", "text": "1h"}, set[Meter]())):
        native = {"messages": [{"role": "user", "content": [depth]}]}
        assert set(request_meters.prices_of(model(), asking(part("text")), native).rates) == {*BASE, *meters}


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"web_search_options": {}}, "web_search_options"),
        ({"audio": {"voice": "alloy"}}, "audio"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"modalities": ["image"]}, "modalities"),
        ({"modalities": ["smell"]}, "modalities"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"service_tier": "scale"}, "service_tier"),
        ({"search_parameters": {"mode": "on"}}, "search_parameters"),
        ({"search_settings": {"x": 1}}, "search_settings"),
        ({"enable_search": True}, "enable_search"),
        *(({name: {"any": 1}}, name) for name in sorted(request_meters.UNPRICED_FIELDS)),
    ],
)
def test_what_has_no_price_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid, match="not priced here") as refused:
        request_meters.prices_of(model(prices=PLAIN), asking(**fields))
    assert (refused.value.param, refused.value.code) == (param, "unsupported_parameter")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"web_search_options": True}, "web_search_options"),
        ({"audio": "alloy"}, "audio"),
        ({"modalities": "audio"}, "modalities"),
        ({"modalities": [["audio"]]}, "modalities"),
        ({"service_tier": ["flex"]}, "service_tier"),
        ({"service_tier": 1}, "service_tier"),
    ],
)
def test_what_is_of_a_wrong_type_is_refused_by_its_name(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(RequestInvalid) as refused:
        request_meters.prices_of(model(), asking(**fields))
    assert (refused.value.param, refused.value.code) == (param, "invalid_type")


@pytest.mark.parametrize("fields", [{"plugins": []}, {"best_of": 1}, {"enable_search": False}, {"models": None}])
def test_a_value_that_costs_nothing_needs_no_price(fields: dict[str, Any]) -> None:
    assert request_meters.prices_of(model(prices=PLAIN), asking(**fields)) == PLAIN


def test_a_field_without_a_meter_is_taken_where_every_route_passes_it_on() -> None:
    body, passes = asking(moderation={"model": "m"}), frozenset({"moderation"})
    assert request_meters.prices_of(model(passes, prices=PLAIN), body) == PLAIN
    for some in ((passes, frozenset[str]()), (frozenset({"*"}),)):
        with pytest.raises(RequestInvalid, match="'moderation' is not priced here"):
            request_meters.prices_of(model(*some, prices=PLAIN), body)


@pytest.mark.parametrize(
    ("tier", "rate"), [(None, 10), ("auto", 10), ("default", 10), ("flex", 5), ("priority", 20), ("fast", 20)]
)
def test_the_service_tier_that_is_requested_is_the_price(tier: str | None, rate: int) -> None:
    prices = request_meters.prices_of(model(), asking(service_tier=tier))
    assert prices.rates[Meter.INPUT] == rate * 10**6
    assert set(prices.service_tiers) == (set() if rate == 10 else {"default"})
    assert all(set(other.rates) == set(BASE) for other in prices.service_tiers.values())


@pytest.mark.parametrize(
    ("kind", "reads"),
    [
        ("image_url", InputModality.IMAGE),
        ("input_image", InputModality.IMAGE),
        ("input_audio", InputModality.AUDIO),
        ("audio_url", InputModality.AUDIO),
        ("file", InputModality.FILE),
        ("document_url", InputModality.FILE),
        ("video_url", InputModality.VIDEO),
    ],
)
def test_a_part_goes_to_a_model_that_reads_it_and_to_no_other(kind: str, reads: InputModality) -> None:
    body = asking(part("text", text="x"), part(kind))
    for prices in (PRICES, PLAIN):
        assert request_meters.prices_of(model(prices=prices, reads=(InputModality.TEXT, reads)), body)
    others = tuple(modality for modality in InputModality if modality is not reads)
    with pytest.raises(RequestInvalid, match=rf"is an? {reads} part, which the model 'm' does not read") as refused:
        request_meters.prices_of(model(reads=others), body)
    assert refused.value.param == "messages[1].content[1]"
