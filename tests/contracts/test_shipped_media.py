"""Whatever the schema of a shipped media model takes, the adapter of each of its routes writes: no job fails for it."""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx2
import pytest
from pydantic import SecretStr

from catalog import files
from domain.catalog import Model, Route
from domain.errors import RequestInvalid, UpstreamError
from domain.media import Kind, MediaInput, MediaRequest
from domain.media_files import ROLES
from domain.media_schema import Input, MediaSchema, Parameter, Parameters, ParameterType, Scalar
from domain.privacy import PrivacyClass
from providers.base import MediaProvider, MediaSubmission
from providers.demo import order
from providers.media_kinds import MEDIA, MediaUpstream
from providers.registry import KINDS
from tests.support.media_adapters import REFERENCE

TODAY = datetime(2026, 11, 23, tzinfo=UTC)
TEXTS = ("1024x1024", "16x16", "64x64", "64x2048", "2048x2048", "4096x4096", "1920x1088", "1088x1920", "16:9", "99:1")
"""Values for parameters that have a pattern and no list of values."""
WORDS = ("en", "pt-BR", "fil", "alloy", "rachel", "21m00Tcm4TlvDq8ikWAM", "x")


def all_keys(names: Iterable[str]) -> Mapping[str, SecretStr]:
    return {name: SecretStr("key") for name in names}


CATALOG = files.load(None, all_keys, KINDS, at=TODAY)
ROUTES = [
    pytest.param(model, route, id=f"{model.id}@{route.provider.name}")
    for model in CATALOG.models.values()
    if model.media is not None
    for route in model.routes
]


def edges(parameter: Parameter) -> list[Scalar | None]:
    """Return its default, each bound, and each value of a list. None: it is not given."""
    values: list[Scalar | None] = [None, *parameter.enum]
    match parameter.type:
        case ParameterType.BOOLEAN:
            values += [True, False]
        case ParameterType.STRING if not parameter.enum:
            values += [text for text in (*TEXTS, *WORDS) if allowed(parameter, text)]
        case _ if not parameter.enum:
            values += [parameter.minimum, parameter.maximum]
    return list(dict.fromkeys(values))


def allowed(parameter: Parameter, value: Scalar) -> bool:
    try:
        parameter.checked("", value)
    except RequestInvalid:
        return False
    return True


def requests(schema: MediaSchema) -> Iterator[Parameters]:
    """Yield each pair of edges of two parameters, beside the defaults of the others."""
    choices = {name: edges(parameter) for name, parameter in schema.parameters.items()}
    seen = set[str]()
    for names in itertools.combinations(choices, min(2, len(choices))):
        for values in itertools.product(*(choices[name] for name in names)):
            given = {name: value for name, value in zip(names, values, strict=True) if value is not None}
            try:
                valid = schema.validated(given)
            except RequestInvalid:
                continue  # an excluded combination
            if (known := repr(sorted(valid.items()))) not in seen:
                seen.add(known)
                yield valid


def inputs(schema: MediaSchema) -> Iterator[tuple[MediaInput, ...]]:
    """Yield input files of each set of roles that a request may have: one of each, and as many as may be."""
    roles = schema.inputs
    for count in range(len(roles) + 1):
        for names in itertools.combinations(roles, count):
            for most in (False, True):
                required = all(rule.required <= (role in names) for role, rule in roles.items())
                if required and all(_fits(roles[role], names) for role in names):
                    yield tuple(file for role in names for file in _files(role, schema, most=most))


def _fits(rule: Input, names: Sequence[str]) -> bool:
    return all(other in names for other in rule.needs) and not any(other in names for other in rule.without)


def _files(role: str, schema: MediaSchema, *, most: bool) -> list[MediaInput]:
    rule = schema.inputs[role]
    types = sorted(rule.types or ROLES[role])
    count = rule.max if most else 1
    return [MediaInput(role, types[index % len(types)], b"file") for index in range(count)]


def submissions(model: Model, route: Route) -> Iterator[MediaSubmission]:
    schema = model.media
    assert schema is not None
    classes = {PrivacyClass.UNKNOWN, route.privacy}
    text = "x" * (schema.text.max_length or 1)
    plain = schema.validated({name: each.checked(name, edges(each)[1]) for name, each in _required(schema)})
    for privacy, files_ in itertools.product(classes, inputs(schema)):
        for parameters in (plain,) if files_ else requests(schema):
            request = MediaRequest(
                kind=Kind(model.modality),
                model=route.model,
                prompt=text,
                parameters=dict(parameters),
                n=int(parameters.get("n", 1)),
                privacy=privacy,
            )
            yield MediaSubmission(request, REFERENCE, files_)


def _required(schema: MediaSchema) -> list[tuple[str, Parameter]]:
    return [(name, each) for name, each in schema.parameters.items() if each.required and each.default is None]


class Wire:
    """Takes requests, and is never reached: it counts those that were written."""

    def __init__(self) -> None:
        self.written = 0

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.written += 1
        raise httpx2.ConnectError("unreachable", request=request)


async def was_written(adapter: MediaProvider, wire: Wire, submission: MediaSubmission) -> bool:
    before = wire.written
    with pytest.raises(UpstreamError):
        await adapter.submit(submission)
    return wire.written > before


@pytest.mark.parametrize(("model", "route"), ROUTES)
async def test_what_a_schema_takes_is_written(model: Model, route: Route) -> None:
    if route.provider.kind == "demo":
        for submission in submissions(model, route):
            assert order.read(submission.request, submission.inputs).prompt
        return
    wire = Wire()
    async with httpx2.AsyncClient(transport=httpx2.MockTransport(wire)) as http:
        adapter = MEDIA[route.provider.kind].adapter(route.provider, MediaUpstream(http, Path("unused")))
        refused = [
            (each.request.parameters, each.request.privacy, [file.role for file in each.inputs])
            for each in submissions(model, route)
            if not await was_written(adapter, wire, each)
        ]
    assert refused == []
    assert wire.written
