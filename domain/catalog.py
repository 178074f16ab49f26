"""What clients may name: models, the routes that serve them, and exact prices."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import ROUND_CEILING, Decimal
from enum import StrEnum
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from domain.errors import ModelNotFound
from domain.media_prices import EXACT, Counts, Unit, Variant, matching
from domain.media_schema import MediaSchema
from domain.meters import TokenPrices
from domain.money import PRICE_PLACES
from domain.payments import NO_OFFERS, Offers
from domain.privacy import PrivacyClass

_STEP = Decimal(1).scaleb(-PRICE_PLACES)


class CatalogInvalid(Exception):
    """The catalog cannot be used. Each problem is one line that names the file, the line and the entry."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)


class Modality(StrEnum):
    """The kind of a model's output."""

    TEXT = "text"
    IMAGE = "image"
    VIDEO = "video"
    SPEECH = "speech"
    TRANSCRIPTION = "transcription"
    """Text, from audio."""
    EMBEDDING = "embedding"

    @property
    def priced_by_tokens(self) -> bool:
        return self in (Modality.TEXT, Modality.EMBEDDING)


ADDRESS, KEY = "base_url", "api_key"


@dataclass(frozen=True, slots=True)
class ProviderKind:
    """A kind of provider: its adapter, and the settings and fields that the catalog checks."""

    makes: frozenset[Modality] = frozenset()
    """The kinds of output that this program has an adapter for."""
    parameters: frozenset[str] = frozenset()
    """Fields of a chat request that its adapter sends upstream."""
    needs: frozenset[str] = frozenset({ADDRESS, KEY})
    """Settings that every provider of this kind must have: `ADDRESS`, `KEY` or names in `options`."""
    options: frozenset[str] = frozenset()
    """Names of further settings that its providers may have."""
    calls_each: frozenset[Modality] = frozenset()
    """Of what it makes, that of which each output is a call of its own: it reads, and bills, the input for each."""
    rereads: bool = False
    """Whether its models read, and bill, the whole input again after each of their own web searches."""
    problem: "Callable[[Provider], str | None] | None" = None
    """What is wrong with an active provider's key or options, in words without any of them. None: nothing."""


class InputModality(StrEnum):
    """A kind of a model's input."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"
    FILE = "file"


class Capability(StrEnum):
    """What an upstream can do beyond the least that every one of its kind can. `catalog.toml` explains each."""

    STORE = "store"
    METERABLE = "meterable"
    ABORT_STOPS_BILLING = "abort_stops_billing"
    MAX_COMPLETION_TOKENS = "max_completion_tokens"
    DEVELOPER_ROLE = "developer_role"
    COMPLETIONS = "completions"
    DISABLE_LOGGING = "disable_logging"
    ENABLE_THINKING = "enable_thinking"
    THINKING_TYPE = "thinking_type"
    TEMPLATE_THINKING = "template_thinking"
    JSON_OBJECT_ONLY = "json_object_only"
    SHORT_TOOL_IDS = "short_tool_ids"
    THINK_TAGS = "think_tags"


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ExchangeRate(Frozen):
    """What a dollar of list price costs in credits."""

    credits_per_usd: Decimal = Decimal(100_000)
    markup: Decimal = Decimal(1)

    def credits(self, usd: Decimal) -> Decimal:
        """Rounded up to the six places that a price has."""
        exact = EXACT.multiply(EXACT.multiply(usd, self.credits_per_usd), self.markup)
        return exact.quantize(_STEP, rounding=ROUND_CEILING, context=EXACT)

    def usd(self, credits: Decimal) -> Decimal:
        """The dollar value of credits, for display: to the eighteenth place."""
        return EXACT.divide(credits, self.credits_per_usd).quantize(Decimal("1e-18"), context=EXACT)


class Prices(Frozen):
    """Either `tokens` (text, embedding) or `unit` and `per_unit` (media)."""

    tokens: TokenPrices | None = None
    unit: Unit | None = None
    per_unit: Decimal | None = None
    """None: every request has a variant."""
    variants: tuple[Variant, ...] = ()
    """Media: the price per unit for requests with certain values of parameters, instead of `per_unit`."""
    per_input_image: Decimal = Decimal(0)
    """Media: for each input image, beside the price per unit."""
    per_1k_prompt_characters: Decimal = Decimal(0)
    """Media: for the prompt, beside the price per unit. A part of a thousand costs its part."""
    reads_inputs_once: bool = False
    """Media: a job of several outputs reads its prompt and its input images once. Else it does for each output."""

    @cached_property
    def text(self) -> TokenPrices | None:
        """Of a call that asks for nothing beyond text: computed once for all of them."""
        return self.tokens.requested(None).limited_to(frozenset()) if self.tokens else None

    def per_unit_of(self, parameters: Mapping[str, Any]) -> Decimal | None:
        """Credits per unit for a request with these parameters. None: it has no price."""
        variants = matching(self.variants, parameters)
        return variants[0].per_unit if variants else self.per_unit

    def exact(self, parameters: Mapping[str, Any], counts: Counts) -> Decimal | None:
        """What a media job costs, before it is rounded. None if it has no price, or if what is counted is not known."""
        per_unit, units = self.per_unit_of(parameters), counts.of(self.unit) if self.unit else None
        if per_unit is None or units is None:
            return None
        return EXACT.add(EXACT.multiply(per_unit, units), self._read(counts))

    def _read(self, counts: Counts) -> Decimal:
        """What the prompt and the input images cost."""
        images = EXACT.multiply(self.per_input_image, Decimal(counts.input_images))
        prompt = EXACT.multiply(self.per_1k_prompt_characters, Decimal(counts.characters).scaleb(-3, EXACT))
        return EXACT.multiply(EXACT.add(images, prompt), Decimal(1 if self.reads_inputs_once else counts.outputs))

    @property
    def varies_by(self) -> frozenset[str]:
        """The parameters that variants of the price name."""
        return frozenset(name for variant in self.variants for name in variant.values)

    @cached_property
    def version(self) -> str:
        """Names these prices in receipts: equal prices have equal versions, in every process and release."""
        by_tokens = self.tokens.plain() if self.tokens else {}
        by_unit = self.model_dump(exclude_defaults=True, exclude={"tokens", "variants"}) | self._plain_variants()
        written = json.dumps(by_unit | by_tokens, default=_plain, sort_keys=True)
        return hashlib.sha256(written.encode()).hexdigest()[:12]

    def _plain_variants(self) -> dict[str, Any]:
        """Those by size alone are written as earlier releases wrote them."""
        if not self.variants:
            return {}
        if all(variant.values.keys() == {"size"} for variant in self.variants):
            return {"variants": {str(variant.values["size"]): variant.per_unit for variant in self.variants}}
        written = [{"values": dict(variant.values), "per_unit": variant.per_unit} for variant in self.variants]
        return {"variants": sorted(written, key=lambda each: json.dumps(each["values"], sort_keys=True))}


class Provider(Frozen):
    """An upstream. Active when it can be called: it has its key, or needs none."""

    name: str
    kind: str
    active: bool
    base_url: str = ""
    api_key: SecretStr | None = None
    more_keys: tuple[SecretStr, ...] = ()
    """Further keys, which take turns with the first."""
    route_class: str = ""
    """What clients call it, in `provider` and in a header of their answers. Never the name of an operator's own."""
    max_concurrent: int | None = None
    """Calls of one process at a time. More wait, for `max_wait` at most."""
    requests_per_minute: int | None = None
    """Calls that one process sends in a minute."""
    max_wait: timedelta = timedelta(seconds=10)
    headers: Mapping[str, SecretStr] = Field(default={}, repr=False)
    options: Mapping[str, str] = {}
    """Further settings, as its kind names them."""
    capabilities: frozenset[Capability] = frozenset()
    passes: frozenset[str] = frozenset()
    privacy: PrivacyClass = PrivacyClass.UNKNOWN
    drops: frozenset[str] = frozenset()
    renames: Mapping[str, str] = {}
    """Fields of a request that this provider knows by another name."""


class RouteTimeouts(Frozen):
    """Timeouts of a route in place of the deployment's. None: the deployment's."""

    connect: timedelta | None = None
    first_byte: timedelta | None = None
    idle: timedelta | None = None
    total: timedelta | None = None


class Route(Frozen):
    """One way to serve a model: a provider, and that provider's own name of the model."""

    provider: Provider
    model: str
    serves: str = ""
    """The id of the model in the catalog that it serves."""
    priority: int = 0
    """Routes with a lower number are tried first."""
    weight: int = 1
    """Its share of the calls among the routes of its priority, where `Model.shared` says so."""
    timeouts: RouteTimeouts | None = None
    capabilities: frozenset[Capability]
    passes: frozenset[str] = frozenset()
    """Fields of a request that go upstream beside those that the adapter knows. `*`: every one."""
    privacy: PrivacyClass = PrivacyClass.UNKNOWN
    drops: frozenset[str] = frozenset()
    """Fields of a request that do not go upstream here."""
    rereads: bool = False
    """As its provider's kind has it."""
    costs: Prices | None = None
    """What this provider bills us, in credits. None: not known. Nobody but the operator sees it."""

    @cached_property
    def key(self) -> tuple[str, str]:
        """What names the route in the memory of a process: it is the same after the catalog was reloaded."""
        return self.provider.name, self.model


class Model(Frozen):
    """What a client names. `routes` are the active ones, best first; a model without any is not active."""

    id: str
    name: str
    description: str
    modality: Modality
    input_modalities: tuple[InputModality, ...]
    context_window: int | None
    max_output_tokens: int | None
    prices: Prices
    media: MediaSchema | None = None
    """What a media model takes. None for another."""
    tags: tuple[str, ...]
    pro_only: bool
    supported_parameters: tuple[str, ...] | None
    """None means that the catalog does not declare it."""
    passed_on: tuple[str, ...] = ()
    """Request fields that its first route sends upstream, but for those that the model does not price."""
    routes: tuple[Route, ...]
    deadline: timedelta | None = None
    """Of a media job, from its acceptance. None: what its kind has."""
    shared: bool = False
    """Routes of one priority share its calls by their weights. Else each comes after the one before it."""

    @property
    def active(self) -> bool:
        return bool(self.routes)

    @property
    def parameters(self) -> tuple[str, ...]:
        """Request fields that the model takes, as far as is known here: declared, else what is passed on."""
        if self.media is not None and self.supported_parameters is None:
            return (self.media.text_name, *self.media.parameters)
        return self.passed_on if self.supported_parameters is None else self.supported_parameters

    @property
    def priced_by(self) -> frozenset[str]:
        """Of a media model: the fields of a request on which the price depends."""
        if self.media is None:
            return frozenset()
        counted = {Unit.SECOND: "seconds", Unit.MEGAPIXEL: "size", Unit.CHARACTERS: self.media.text_name}
        names = {counted.get(unit, "") for unit in (self.prices.unit,) if unit} | {"n"} | self.prices.varies_by
        if self.prices.per_1k_prompt_characters:
            names |= {self.media.text_name}
        return frozenset(names & {self.media.text_name, *self.media.parameters})

    @cached_property
    def json_schema(self) -> Mapping[str, Any] | None:
        """The JSON Schema of what a media model takes. None for another."""
        return None if self.media is None else self.media.published(self.priced_by)

    @property
    def privacy(self) -> PrivacyClass:
        """The weakest class of its routes: what every call to it has."""
        return PrivacyClass.weakest(*(route.privacy for route in self.routes))

    @property
    def zero_retention(self) -> bool:
        """Whether a call with `privacy: "strict"` has a route."""
        return any(route.privacy is PrivacyClass.ZERO_RETENTION for route in self.routes)

    @property
    def vendor(self) -> str:
        """The vendor, from an id `<vendor>-<model name without dots>`."""
        return self.id.partition("-")[0]


class Catalog(Frozen):
    """Everything that this deployment knows, active or not. Never changes: a reload makes a new one."""

    exchange: ExchangeRate
    providers: Mapping[str, Provider]
    models: Mapping[str, Model]
    offers: Offers = NO_OFFERS
    """Plans, and what payments buy."""

    def active_models(self) -> tuple[Model, ...]:
        """In the order of the catalog file."""
        return tuple(model for model in self.models.values() if model.active)

    def find(self, model_id: str) -> Model:
        """The active model of that name. Raises `ModelNotFound`."""
        model = self.models.get(model_id)
        if model is None or not model.active:
            raise ModelNotFound(model_id)
        return model


def _plain(value: object) -> str:
    """One spelling for 300, 300.0 and 3E+2, which are one price."""
    return f"{value.normalize(EXACT):f}" if isinstance(value, Decimal) else str(value)
