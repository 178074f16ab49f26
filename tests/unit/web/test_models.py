"""Prices on the page of models: each stands under its own head."""

import pytest

from catalog import files
from providers.registry import KINDS as PROVIDERS
from tests.unit.web.test_studio import all_keys, listed
from web import models

TEXT = {model.id: model for model in files.load(None, all_keys, PROVIDERS).models.values() if model.modality == "text"}


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
