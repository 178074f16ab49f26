"""Models on their pages: each price stands under its own head, and each has a call that works."""

import json

import pytest

from catalog import files
from providers.registry import KINDS as PROVIDERS
from tests.unit.web.test_studio import all_keys, listed
from web import models

EVERY = files.load(None, all_keys, PROVIDERS).models
TEXT = {name: model for name, model in EVERY.items() if model.modality == "text"}


@pytest.mark.parametrize("name", sorted(TEXT))
def test_input_and_output_come_first(name: str) -> None:
    entry = listed(TEXT[name])
    first, second, *others = models.prices(entry, "credits")
    assert [(first[0], first[1]), (second[0], second[1])] == [
        ("Input", models.number(entry["prices"]["per_1k"]["input"])),
        ("Output", models.number(entry["prices"]["per_1k"]["output"])),
    ]
    assert len(others) == len(entry["prices"]["per_1k"]) - 2
    for tier in entry["prices"]["tiers"]:
        assert f"{models.number(tier['per_1k']['output'])} above" in second[2]


def test_searches_are_priced_by_their_number_whatever_the_length_of_the_input() -> None:
    entries = [listed(model) for model in TEXT.values()]
    priced = [one for one in entries if "web_search" in one["prices"]["per_1k"] and one["prices"]["tiers"]]
    assert priced
    for entry in priced:
        notes = {what: note for what, _, note in models.prices(entry, "credits")}
        assert notes["Web searches, per 1,000"] == ""


@pytest.mark.parametrize("name", sorted(EVERY))
def test_a_model_page_has_a_call_with_all_that_the_model_needs(name: str) -> None:
    entry = listed(EVERY[name])
    first, *rest = models.call(entry, "https://ai.example.com").split(" \\\n  ")
    assert first.startswith("curl https://ai.example.com/")
    if entry["modality"] == "transcription":
        assert rest[1:] == [f"-F model={name}", "-F file=@recording.mp3"]
        return
    body = json.loads(rest[-1].removeprefix("-d '").removesuffix("'"))
    needed = {
        *(entry["parameters"] or {}).get("required", ()),
        *(role for role, one in entry["inputs"].items() if one["required"]),
    }
    assert body["model"] == name
    assert needed <= body.keys()


def test_models_are_ordered_by_a_column() -> None:
    entries = [listed(model) for model in TEXT.values()]
    inputs = [one["prices"]["per_1k"]["input"] for one in models.ordered(entries, "-input")]
    assert inputs == sorted(inputs, reverse=True)
    assert inputs[0] > inputs[-1]
    windows = [one["context_window"] for one in models.ordered(entries, "context")]
    assert windows == sorted(windows)


@pytest.mark.parametrize("sort", ["price", "-price"])
def test_prices_of_one_unit_stay_together_in_order(sort: str) -> None:
    for kind in models.KINDS:
        entries = [listed(model) for model in EVERY.values() if model.modality == kind]
        firsts = [models.prices(one, "credits")[0] for one in models.ordered(entries, sort)]
        units = [what for what, _, _ in firsts]
        assert len(entries) == len(firsts)
        assert units == sorted(units, key=units.index)
        for unit in units:
            amounts = [float(amount.replace(",", "")) for what, amount, _ in firsts if what == unit]
            assert amounts == sorted(amounts, reverse=sort == "-price")


def test_what_has_no_number_in_the_column_comes_last() -> None:
    first, second, *_ = (listed(model) for model in TEXT.values())
    unknown = second | {"context_window": None}
    assert [models.ordered([unknown, first], sort)[-1] for sort in ("context", "-context")] == [unknown, unknown]
