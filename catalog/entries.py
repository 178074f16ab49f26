"""The entries of a catalog file. The comment at the top of `catalog.toml` describes each key."""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, Strict

from catalog.media_entries import CostedByUnits, Excluded, Inputs, Parameters, PricedByUnits
from catalog.values import (
    BaseURL,
    Count,
    Drops,
    Duration,
    Entry,
    Flag,
    HeaderName,
    HeaderValue,
    KeyVariables,
    Passes,
    Price,
    Rate,
    Renames,
    ServiceTierName,
    Word,
)
from domain.catalog import Capability, InputModality, Modality
from domain.meters import Meter
from domain.plans import DEFAULT_PRIORITY, PLAN_SHARE
from domain.privacy import PrivacyClass


def _not_removed(capability: object) -> object:
    if capability == "stream_usage":
        raise ValueError("stream_usage is gone, usage is requested of every server: delete it here")
    return capability


Capabilities = frozenset[Annotated[Capability, BeforeValidator(_not_removed)]]


class ExchangeEntry(Entry):
    credits_per_usd: Rate = Decimal(100_000)
    markup: Rate = Decimal(1)


StripeId = Annotated[str, Field(pattern=r"^(price|prod|plink)_[A-Za-z0-9_]+$")]
"""The id of a price, a product or a payment link at Stripe."""
StripeIds = tuple[StripeId, ...]
Currency = Annotated[str, Field(pattern=r"^[a-z]{3}$")]
Credits = Annotated[int, Strict(), Field(ge=1, le=10**15)]


class OfferEntry(Entry):
    name: Annotated[str, Field(min_length=1)] | None = None
    stripe: StripeIds = ()


class PlanEntry(OfferEntry):
    credits_per_month: Annotated[int, Strict(), Field(ge=0, le=10**15)]
    output_lifetime_days: Annotated[int, Strict(), Field(ge=1, le=3650)] | None = None
    priority: Annotated[int, Strict(), Field(ge=1, le=5)] = DEFAULT_PRIORITY
    share: Annotated[int, Strict(), Field(ge=1, le=1000)] = PLAN_SHARE


class PackEntry(OfferEntry):
    credits: Credits


class PaymentsEntry(Entry):
    credits_per_unit: dict[Currency, Rate] = Field(default={})
    link: Annotated[str, Field(pattern=r"^https?://[^\s#]+$")] | None = Field(default=None, repr=False)


class TimeoutsEntry(Entry):
    connect: Duration | None = None
    first_byte: Duration | None = None
    idle: Duration | None = None
    total: Duration | None = None


class ProviderEntry(Entry):
    kind: Word
    enabled: Flag = True
    base_url: BaseURL | None = None
    api_key_env: KeyVariables = ()
    api_key: HeaderValue | None = None
    headers: dict[HeaderName, HeaderValue] = Field(default={}, repr=False)
    options: dict[str, Annotated[str, Field(min_length=1)]] = Field(default={})
    capabilities: Capabilities = frozenset()
    passes: Passes = frozenset()
    privacy: PrivacyClass = PrivacyClass.UNKNOWN
    drops: Drops = frozenset()
    route_class: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")] | None = None
    timeouts: TimeoutsEntry = TimeoutsEntry()
    max_concurrent: Count | None = None
    requests_per_minute: Count | None = None
    max_wait: Duration = timedelta(seconds=10)
    renames: Renames = Field(default={})

    @property
    def keyless(self) -> bool:
        return self.api_key is None and not self.api_key_env


class PricedByTokens(Entry):
    """Credits that clients pay, by meter, per 1,000 of what the meter counts."""

    credits_per_1k_input: Price | None = None
    credits_per_1k_output: Price | None = None
    credits_per_1k_cached_input: Price | None = None
    credits_per_1k_cache_write: Price | None = None
    credits_per_1k_cache_write_1h: Price | None = None
    credits_per_1k_audio_input: Price | None = None
    credits_per_1k_image_input: Price | None = None
    credits_per_1k_audio_output: Price | None = None
    credits_per_1k_image_output: Price | None = None
    credits_per_1k_web_search: Price | None = None
    credits_per_1k_request: Price | None = None

    def rates(self) -> dict[Meter, Decimal]:
        return _given(self, "credits_per_1k_")


class CostedByTokens(Entry):
    """Credits that a provider bills us, by meter, per 1,000 of what the meter counts."""

    cost_per_1k_input: Price | None = None
    cost_per_1k_output: Price | None = None
    cost_per_1k_cached_input: Price | None = None
    cost_per_1k_cache_write: Price | None = None
    cost_per_1k_cache_write_1h: Price | None = None
    cost_per_1k_audio_input: Price | None = None
    cost_per_1k_image_input: Price | None = None
    cost_per_1k_audio_output: Price | None = None
    cost_per_1k_image_output: Price | None = None
    cost_per_1k_web_search: Price | None = None
    cost_per_1k_request: Price | None = None

    def rates(self) -> dict[Meter, Decimal]:
        return _given(self, "cost_per_1k_")


def _given(entry: Entry, prefix: str) -> dict[Meter, Decimal]:
    prices = {meter: getattr(entry, f"{prefix}{meter}") for meter in Meter}
    return {meter: price for meter, price in prices.items() if price is not None}


class ServiceTierCosts(CostedByTokens):
    """What a provider bills us for a call that requests this `service_tier`."""

    cost_per_1k_input: Price
    cost_per_1k_output: Price


class RouteEntry(CostedByTokens, CostedByUnits):
    provider: str
    model: Annotated[str, Field(min_length=1)]
    priority: Annotated[int, Strict(), Field(ge=0, le=1_000_000)] = 0
    weight: Annotated[int, Strict(), Field(ge=0, le=1_000_000)] = 1
    timeouts: TimeoutsEntry = TimeoutsEntry()
    capabilities: Capabilities | None = None
    """None means those of the provider."""
    privacy: PrivacyClass | None = None
    drops: Drops = frozenset()
    service_tiers: dict[ServiceTierName, ServiceTierCosts] = Field(default={})


class TierEntry(PricedByTokens):
    above: Count
    credits_per_1k_input: Price
    credits_per_1k_output: Price


class ServiceTierEntry(PricedByTokens):
    """The prices of a call that requests this `service_tier`."""

    credits_per_1k_input: Price
    credits_per_1k_output: Price
    tiers: tuple[TierEntry, ...] = ()


class ModelEntry(PricedByTokens, PricedByUnits):
    name: Annotated[str, Field(min_length=1)] | None = None
    enabled: Flag = True
    description: str = ""
    modality: Modality = Modality.TEXT
    input_modalities: Annotated[tuple[InputModality, ...], Field(min_length=1)] = (InputModality.TEXT,)
    context_window: Count | None = None
    max_output_tokens: Count | None = None
    tiers: tuple[TierEntry, ...] = ()
    service_tiers: dict[ServiceTierName, ServiceTierEntry] = Field(default={})
    parameters: Parameters | None = None
    """Of a media model. None: what every model of its modality takes."""
    excluded: Excluded = ()
    inputs: Inputs = Field(default={})
    tags: tuple[Word, ...] = ()
    pro_only: Flag = False
    deadline: Annotated[int, Field(ge=30, le=86_400, strict=True)] | None = None
    supported_parameters: tuple[Word, ...] | None = None
    passes: Passes = frozenset()
    routes: Annotated[tuple[RouteEntry, ...], Field(min_length=1)]
