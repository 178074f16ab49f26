"""What is required of a value is worded by us: plainly, without Pydantic's words, and without the value."""

import re
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Literal, get_args
from uuid import UUID

import pytest
from pydantic import AfterValidator, AnyHttpUrl, AwareDatetime, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core.core_schema import ErrorType

from domain.validation import requirement


def _even(value: int) -> int:
    if value % 2:
        raise ValueError("must be even, as 2 is.")
    return value


class _Values(BaseModel):
    model_config = ConfigDict(extra="forbid")

    whole: Annotated[int, Field(ge=1, le=9)] = 1
    part: Annotated[float, Field(gt=0, lt=1, allow_inf_nan=False)] = 0.5
    price: Annotated[Decimal, Field(multiple_of=2)] = Decimal(2)
    even: Annotated[int, AfterValidator(_even)] = 2
    yes: bool = True
    name: Annotated[str, Field(min_length=1, max_length=9, pattern=r"^[a-z]*$")] = "a"
    long: Annotated[str, Field(min_length=8, max_length=200)] = "abcdefgh"
    words: Annotated[list[str], Field(min_length=1, max_length=2)] = ["a"]
    word: Literal["erase", "keep"] = "keep"
    fields: dict[str, int] = {}
    day: date = date(2026, 1, 31)
    at: AwareDatetime | None = None
    local: datetime | None = None
    for_: timedelta = timedelta()
    of: UUID | None = None
    to: AnyHttpUrl | None = None


def _each(field: str, words: str, *values: object) -> list[tuple[str, object, str]]:
    return [(field, value, words) for value in values]


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        *_each("whole", "must be a whole number", "canary", "12.5", 1.5, None, [], "9" * 5_000),
        ("whole", 0, "must be at least 1"),
        ("whole", 10, "must be at most 9"),
        *_each("part", "must be a number", "canary", float("nan"), float("inf")),
        ("part", 0, "must be more than 0.0"),
        ("part", 1, "must be less than 1.0"),
        ("price", "canary", "must be a number"),
        ("price", 3, "must be a multiple of 2"),
        ("even", 3, "must be even, as 2 is"),
        ("yes", "canary", "must be true or false"),
        ("yes", [], "must be true or false"),
        ("name", 1, "must be a string"),
        ("name", "", "must not be empty"),
        ("name", "canarycanary", "must have at most 9 characters"),
        ("name", "CANARY", "has characters that it may not have"),
        ("long", "canary", "must have at least 8 characters"),
        ("words", "canary", "must be an array"),
        ("words", [], "must not be empty"),
        ("words", ["a", "b", "canary"], "must have at most 2 items"),
        ("word", "canary", "must be 'erase' or 'keep'"),
        ("fields", "canary", "must be an object"),
        *_each("day", "must be a day, such as 2026-01-31", "canary", "2026-01-31T10:00:00"),
        *_each("at", "must be a time with its zone, such as 2026-01-31T12:00:00Z", "canary", "2026-01-31T12:00:00"),
        ("local", "canary", "must be a time with its zone, such as 2026-01-31T12:00:00Z"),
        ("for_", "canary", "must be a length of time"),
        ("of", "canary", "must be a UUID"),
        ("to", "canary", "must be a URL, such as https://example.com/path"),
        ("to", "ftp://canary", "must begin with 'http' or 'https'"),
        ("canary", 1, "is not a parameter of this endpoint"),
    ],
)
def test_a_value_is_required_to_be_something(field: str, value: object, words: str) -> None:
    with pytest.raises(ValidationError) as raised:
        _Values.model_validate({field: value})
    fault = raised.value.errors()[0]
    assert requirement(fault["type"], fault["msg"], fault.get("ctx", {})) == words


@pytest.mark.parametrize("kind", get_args(ErrorType))
def test_no_kind_of_fault_is_told_in_the_words_of_the_library(kind: str) -> None:
    numbers = dict.fromkeys(("gt", "ge", "lt", "le", "multiple_of", "min_length", "max_length"), 2)
    digits = dict.fromkeys(("max_digits", "decimal_places", "whole_digits"), 2)
    context = {**numbers, **digits, "expected": "'a' or 'b'", "expected_schemes": "'https'"}
    words = requirement(kind, "Value error, must be even", context)
    assert re.fullmatch(r"(is|has|must) [^{}]+[^.]", words)
    assert not re.search(r"\bvalid|invalid|Input|instance|should", words)
