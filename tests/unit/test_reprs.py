"""What a value prints of itself, in a log or a traceback: never content, a secret or whom it is about."""

import asyncio
import collections.abc
import dataclasses
import importlib
import pkgutil
import types
import typing
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, NamedTuple, TypedDict
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, Field, SecretStr

from db.tables import UserRow
from domain.limits import Limits
from providers.base import Delta

PACKAGES = (
    *("activities", "api", "catalog", "cli", "db", "dev", "domain", "gateway", "outbound", "programs"),
    *("providers", "settings", "storage", "temporal", "tracing", "web", "workflows"),
)
SHOWN = {
    "the operator's catalog, prices and plans": """
        api_key_env applied base_url capabilities credits_per_unit description disabled_reason drops flat goods
        input_modalities modality model models needs options output_modalities packs parameters passed_on passes path
        per_1k plan plans price_version prices provider provider_model providers rates renames rounding service_tiers
        sold_as stripe supported_parameters tags unit variants version ChatModel.name Model.name ModelEntry.name
        OfferEntry.name Pack.name PackEntry.name Plan.name PlanEntry.name Provider.name Reserve.others
        Route.serves JobRoute.model MediaJobRow.routes _Source.name route_class shipped
        ChatModel.inputs Form.prefix Input.types InputEntry.types MediaSchema.text_name ModelEntry.inputs
        without MediaSchema.inputs Variant.values VariantEntry.key VariantEntry.values VariantPrice.values default enum
        excluded expects pattern title
    """,
    "the operator's settings and words": """
        api_url codec_origins contact demo_folder denied_networks folder host namespace Address.target Reference.text
        MailServer.scheme cors_origins failpoint mail_from media_origin operator_contact public_url ref
        referer refs state_dir storage_url temporal_address temporal_maintenance_namespace temporal_namespace
        trusted_proxies worker_queues Settings.catalog
    """,
    "a word out of a list of this program, of a protocol or of a provider's": """
        book closed_by code codec container content_type currency event events extension failure finish_reason format
        glyph kind limit_source method param part phase privacy purpose role scheme scope scopes service_tier
        source state status step task trouble type types voice whose Backlog.queue wire Dialect.count Dialect.names
        Dialect.seconds Dialect.text Endpoint.files Endpoint.needs Family.files Letter.subject Signal.body
        Signal.headers Throttle.name Voice.name prefix suffix Order.timestamps Page.methods
        LastRound.schedule _Links.inactive _Links.sort
    """,
    "a sentence of this program; it names settings, faults, tables and fields": """
        check dropped error faults problem remedy until what where Finding.detail Finding.subject Ended.end
        WorkerFaultRow.place
        MaintenanceTask.name Retained.fields Retained.reason StoredKind.name StoredKind.reason
        StoredKind.rule StoredKindView.name StoredKindView.reason StoredKindView.rule _Sentence.text
        Trait.filter Trait.tag Visit.places
    """,
    "SQL of this program, and what it is given: ids and times": """
        rewrap rows sql table Erased.name Erased.one Statement.name WrappedTable.name _Kind.first _Kind.forget
        _Kind.more _Kind.name _Kind.old
    """,
    "an id": """
        charge charges customer dispute disputes group id kid message_id payment_id provider_job_id reference
        request_id subscription subscription_id wrapped_by VideoList.first_id VideoList.last_id Addresses.cancel
        Addresses.result
    """,
    "a place in a list, signed": "cursor next",
    "a hash, or a key's mask": "checksum claims digest digests fingerprint masked owners slug_hash",
    "a public key, or what it signed: counts": "Purge.receipt PurgeView.receipt ReceiptKeyRow.public",
    "counts, sizes and amounts by such names": """
        bought counts erased exact_cost found limits meters provider_cost size ErrorAnswer.more MessageView.usage
        Standing.left retry_after
    """,
    "files of this program, and pictures or streams, which print no content": """
        mark masks slope sources Asset.packed Assets.files File.name OutputFile.chunks Streams.errors Streams.output
    """,
    "the documents of this program, and the place that shows them": """
        Field.about Field.fields Field.name Field.notes Field.objects Goal.address Goal.name Goal.note
        Operation.about Operation.callers Operation.errors Operation.summary Operation.tag Part.about Part.name
        Place.file Place.server Reference.about Section.heading Topic.about Topic.address Topic.file
    """,
    "commands of this program, without secrets": """
        account api command make migrate programs reset reset_link search_attributes worker Program.name
    """,
}
"""Why a field may be printed though it may hold a text: its name, or its class and name."""
SILENT = (int, float, UUID, date, timedelta, Decimal, Enum, SecretStr, types.NoneType, asyncio.Event, asyncio.Lock)
"""Numbers, times, ids and closed lists."""


def test_every_field_that_may_hold_a_text_is_withheld_or_harmless() -> None:
    every = list(classes())
    assert len(every) > 400
    telling = {one: names for one in every if (names := shown(one))}
    harmless = {name for names in SHOWN.values() for name in names.split()}
    faults = [
        f"{one.__module__}.{one.__qualname__}.{name}"
        for one, names in telling.items()
        for name in names
        if not {name, f"{one.__name__}.{name}"} & harmless
    ]
    assert faults == [], "give these fields repr=False, or say in SHOWN why they hold nothing of a user's"
    used = {one for cls, names in telling.items() for name in names for one in (name, f"{cls.__name__}.{name}")}
    assert harmless <= used, "SHOWN names fields that are no more"


def classes() -> Iterator[type]:
    for package in PACKAGES:
        inner = pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}.")
        for name in (package, *(info.name for info in inner)):
            if name.startswith("db.migrations") or name.endswith("__main__"):
                continue
            module = importlib.import_module(name)
            yield from (one for one in vars(module).values() if _is_value(one) and one.__module__ == name)


def _is_value(one: object) -> bool:
    return isinstance(one, type) and (dataclasses.is_dataclass(one) or issubclass(one, BaseModel) or _is_tuple(one))


def _is_tuple(one: type) -> bool:
    return issubclass(one, tuple) and hasattr(one, "_fields")


def shown(one: type) -> list[str]:
    """The fields in its repr that may hold a text."""
    fields: Mapping[str, Any]
    if issubclass(one, BaseModel):
        fields = {name: field.annotation for name, field in one.model_fields.items() if field.repr}
    elif _is_tuple(one):
        fields = typing.get_type_hints(one)
    elif one.__repr__ is object.__repr__:
        fields = {}
    else:
        assert dataclasses.is_dataclass(one)
        fields = {field.name: field.type for field in dataclasses.fields(one) if field.repr}
    return [name for name, kind in fields.items() if not _is_silent(kind)]


def _is_silent(kind: Any) -> bool:
    """Our own classes are silent too: each is looked at by itself. A dictionary of ours is not."""
    origin = typing.get_origin(kind)
    if origin in (collections.abc.Callable, typing.Literal) or kind is AwareDatetime:
        return True
    if origin is not None:
        parts = typing.get_args(kind)[:1] if origin is Annotated else typing.get_args(kind)
        return all(one is Ellipsis or _is_silent(one) for one in parts)
    if not isinstance(kind, type) or (issubclass(kind, str | bytes | dict) and not issubclass(kind, Enum)):
        return False
    return issubclass(kind, SILENT) or kind.__module__.partition(".")[0] in PACKAGES


class Named(TypedDict):
    name: str


class Pair(NamedTuple):
    first: str
    second: int


def test_a_field_that_shows_is_found() -> None:
    @dataclasses.dataclass(slots=True)
    class Plain:
        token: str
        slug: str = dataclasses.field(repr=False)
        email: list[str | None]
        messages: int
        transcript: object
        keys: dict[UUID, Limits]
        sealed: dict[UUID, bytes]
        named: Named

    @dataclasses.dataclass(repr=False)
    class Closed:
        token: str

    class Posted(BaseModel):
        prompt: Annotated[str, Field(min_length=1)]
        input: Annotated[str, Field(min_length=1, repr=False)]
        content: Any = None
        password: SecretStr = SecretStr("x")

    assert shown(Plain) == ["token", "email", "transcript", "sealed", "named"]
    assert shown(Closed) == []
    assert shown(Posted) == ["prompt", "content"]
    assert shown(Pair) == ["first"]
    assert "canary" not in repr(Posted(prompt="p", input="canary", password=SecretStr("canary")))
    assert "canary" not in repr(Delta({"content": "canary"}, text="canary"))
    assert "canary" not in repr(UserRow(id=UUID(int=1), account_id=UUID(int=2), email="canary", password="canary"))
