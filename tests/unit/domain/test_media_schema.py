"""A media model's schema as it is published, and as it is enforced, are one: whatever a request has."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from catalog.media_parameters import MAX_OUTPUTS, STANDARD, default_schema
from domain.catalog import Modality
from domain.errors import RequestInvalid
from domain.media_schema import PRICED, Input, MediaSchema, Parameter, ParameterType, Scalar

CHOICES: Mapping[ParameterType, st.SearchStrategy[Scalar]] = {
    ParameterType.STRING: st.sampled_from(["low", "high", "auto", "1024x1024"]),
    ParameterType.INTEGER: st.integers(-5, 40),
    ParameterType.NUMBER: st.integers(-20, 20).map(lambda number: number / 4),
    ParameterType.BOOLEAN: st.booleans(),
}
SIZE = r"^[1-9][0-9]{1,3}x[1-9][0-9]{1,3}$"
TEXT = Parameter(ParameterType.STRING, min_length=1, max_length=10, required=True)
ANYTHING = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-50, 50),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-20, 20).map(lambda number: number / 2),
    st.sampled_from(["low", "high", "auto", "1024x1024", "64x64", "", "1", "true"]),
    st.text(max_size=12),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)


@st.composite
def parameters(draw: st.DrawFn) -> Parameter:
    kind = draw(st.sampled_from(list(ParameterType)))
    enum = tuple(draw(st.lists(CHOICES[kind], max_size=3, unique_by=repr)))
    parameter = Parameter(kind, enum=enum, required=draw(st.booleans()))
    if kind is ParameterType.STRING:
        bound = draw(st.one_of(st.none(), st.integers(1, 12)))
        parameter = replace(parameter, max_length=bound, pattern=draw(st.sampled_from([None, SIZE])))
    elif kind is not ParameterType.BOOLEAN:
        low, high = draw(st.integers(-9, 9)), draw(st.integers(-9, 30))
        step = draw(st.sampled_from([None, None, 1, 2, 8]))
        parameter = replace(parameter, minimum=min(low, high), maximum=max(low, high), multiple_of=step)
    default = draw(st.one_of(st.none(), CHOICES[kind]))
    return replace(parameter, default=default if default is not None and _valid(parameter, default) else None)


def _valid(parameter: Parameter, value: object) -> bool:
    try:
        parameter.checked("x", value)
    except RequestInvalid:
        return False
    return True


@st.composite
def schemas(draw: st.DrawFn) -> MediaSchema:
    names = st.sampled_from(["size", "n", "quality", "seed", "voice"])
    known = draw(st.dictionaries(names, parameters(), max_size=4))
    pairs = []
    for name, parameter in known.items():
        values = [value for value in draw(st.lists(CHOICES[parameter.type], max_size=2)) if _valid(parameter, value)]
        pairs += [(name, value) for value in values]
    excluded = [dict(pairs[:2])] if len(dict(pairs[:2])) == 2 else []
    return MediaSchema("prompt", TEXT, known, excluded=excluded)


def accepted(schema: MediaSchema, body: dict[str, Any]) -> bool:
    given = dict(body)
    try:
        if "prompt" not in given:
            return False
        schema.checked_text(given.pop("prompt"))
        schema.validated(given)
    except RequestInvalid:
        return False
    return True


@given(schema=schemas(), data=st.data())
def test_a_published_schema_accepts_what_is_accepted(schema: MediaSchema, data: st.DataObject) -> None:
    published = schema.published()
    Draft202012Validator.check_schema(published)
    names = st.sampled_from(["prompt", "size", "n", "quality", "seed", "voice", "other"])
    body = data.draw(st.dictionaries(names, ANYTHING, max_size=6))
    for name, parameter in schema.parameters.items():  # most requests are nearly right
        if data.draw(st.booleans()):
            body[name] = data.draw(st.sampled_from(parameter.enum) if parameter.enum else CHOICES[parameter.type])
    body["prompt"] = data.draw(st.sampled_from(["a", "a lake", "", "x" * 11, 5]))
    assert Draft202012Validator(published).is_valid(body) == accepted(schema, body)


@given(schema=schemas(), data=st.data())
def test_what_is_validated_has_its_defaults_and_is_valid_again(schema: MediaSchema, data: st.DataObject) -> None:
    body = {
        name: data.draw(st.sampled_from(parameter.enum) if parameter.enum else CHOICES[parameter.type])
        for name, parameter in schema.parameters.items()
        if data.draw(st.booleans())
    }
    try:
        values = schema.validated(body)
    except RequestInvalid:
        return
    assert values == schema.validated(values)
    assert body.items() <= values.items()
    assert schema.defaults.keys() <= values.keys() <= schema.parameters.keys()


IMAGE = default_schema(Modality.IMAGE)
SPEECH = replace(
    default_schema(Modality.SPEECH),
    parameters={
        "voice": Parameter(ParameterType.STRING, enum=("alloy", "ash"), default="ash"),
        "speed": STANDARD["speed"],
        "language": replace(STANDARD["language"], required=True),
    },
)


@pytest.mark.parametrize(
    ("schema", "body", "param", "code", "sentence"),
    [
        (IMAGE, {"n": 11}, "n", "invalid_value", f"'n' must be an integer from 1 to {MAX_OUTPUTS}."),
        (IMAGE, {"n": "2"}, "n", "invalid_type", f"'n' must be an integer from 1 to {MAX_OUTPUTS}."),
        (IMAGE, {"n": True}, "n", "invalid_type", f"'n' must be an integer from 1 to {MAX_OUTPUTS}."),
        (IMAGE, {"n": None}, "n", "invalid_type", f"'n' must be an integer from 1 to {MAX_OUTPUTS}."),
        (IMAGE, {"n": math.nan}, "n", "invalid_type", f"'n' must be an integer from 1 to {MAX_OUTPUTS}."),
        (IMAGE, {"n": math.inf}, "n", "invalid_type", f"'n' must be an integer from 1 to {MAX_OUTPUTS}."),
        (IMAGE, {"n": 10**400}, "n", "invalid_value", f"'n' must be an integer from 1 to {MAX_OUTPUTS}."),
        (IMAGE, {"n": [[1]]}, "n", "invalid_type", f"'n' must be an integer from 1 to {MAX_OUTPUTS}."),
        (IMAGE, {"size": "1024x1024\n"}, "size", "invalid_value", "'size' must be WIDTHxHEIGHT with sides from 16 to"),
        (IMAGE, {"size": "5000x16"}, "size", "invalid_value", "'size' must be WIDTHxHEIGHT with sides from 16 to"),
        (IMAGE, {"size": "٦٤x٦٤"}, "size", "invalid_value", "'size' must be WIDTHxHEIGHT with sides from 16 to"),
        (IMAGE, {"hue": 1}, "hue", "unsupported_parameter", "'hue' is not a parameter of this model. Its parameters:"),
        (SPEECH, {"language": "en", "voice": "bob"}, "voice", "invalid_value", "'voice' must be one of alloy, ash."),
        (SPEECH, {"language": "en", "speed": 5}, "speed", "invalid_value", "'speed' must be a number from 0.25 to 4."),
        (SPEECH, {}, "language", "missing_required_parameter", "'language' is required: it must be a language's code"),
    ],
)
def test_an_error_names_the_field_and_what_it_may_be(
    schema: MediaSchema, body: dict[str, object], param: str, code: str, sentence: str
) -> None:
    with pytest.raises(RequestInvalid) as invalid:
        schema.validated(body)
    assert (invalid.value.param, invalid.value.code) == (param, code)
    assert str(invalid.value).startswith(sentence)


def test_an_error_has_the_callers_own_name_for_a_field() -> None:
    video = default_schema(Modality.VIDEO)
    with pytest.raises(RequestInvalid, match=r"^'duration' must be a number from 0\.1 to 60") as invalid:
        video.validated({"seconds": 0}, {"seconds": "duration"})
    assert invalid.value.param == "duration"


def test_a_long_name_is_cut() -> None:
    with pytest.raises(RequestInvalid) as invalid:
        IMAGE.validated({"x" * 10_000: 1})
    assert len(str(invalid.value)) < 300


@pytest.mark.parametrize("side", [1, 15, 16, 17, 99, 100, 999, 1000, 3999, 4000, 4089, 4090, 4096, 4097, 9999, 10_000])
def test_a_size_has_sides_from_16_to_4096(side: int) -> None:
    for size in (f"{side}x64", f"64x{side}"):
        assert _valid(STANDARD["size"], size) is (16 <= side <= 4096)
    assert not _valid(STANDARD["size"], f"0{side}x64")


def test_what_is_published_says_what_the_price_depends_on() -> None:
    schema = replace(IMAGE, inputs={"image": Input(max=4, types=("image/png",), max_bytes=1000)})
    properties = schema.published(frozenset({"n", "size"}))["properties"]
    assert [name for name, each in properties.items() if each.get(PRICED)] == ["size", "n"]
    assert properties["n"] == properties["n"] | {"type": "integer", "minimum": 1, "maximum": 10, "default": 1}
    assert schema.inputs["image"].published()["types"] == ["image/png"]


def test_what_is_mistyped_is_answered_with_the_inputs_too() -> None:
    schema = MediaSchema("prompt", TEXT, inputs={"image": Input(types=("image/png",), max_bytes=1)})
    with pytest.raises(RequestInvalid, match=r"Its parameters: image\."):
        schema.validated({"imag": "upload_x"})
