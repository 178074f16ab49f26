"""`yout catalog check`: what it says of media models."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from cli import catalog as command
from exits import Failure

DEARER = """
[models.lab-image]
modality = "image"
credits_per_image = 5
credits_per_1k_prompt_characters = 2
parameters = { quality = ["low", "high"] }
inputs = { image = { max = 2 } }
variants = [{ quality = "high", credits_per_image = 7 }]
routes = [{ provider = "demo", model = "image", cost_per_image = 6 }]
"""


def output(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, *options: str) -> str:
    (folder / "my.toml").write_text(text)
    monkeypatch.setenv("YOUT_CATALOG", str(folder / "my.toml"))
    result = CliRunner().invoke(command.catalog, ["check", *options])
    assert result.exit_code == 0, result.output
    return result.output


def test_it_names_prices_parameters_and_input_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = output(tmp_path, monkeypatch, DEARER)
    assert "5 to 7 credits per image, 2 per 1k prompt characters; quality; image (up to 2)" in text
    facts = json.loads(output(tmp_path, monkeypatch, DEARER, "--json"))["media"]["lab-image"]
    assert facts["parameters"] == {"quality": "one of low, high"}
    assert (facts["unit"], facts["credits"], facts["inputs"]) == ("image", [5, 7], {"image": 2})


def test_it_warns_of_a_route_that_costs_more_than_callers_pay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = output(tmp_path, monkeypatch, DEARER)
    assert "warning: lab-image at demo costs more than its price for " in text
    assert text.count("warning:") == 1


def test_it_counts_the_problems_of_a_catalog_that_is_not_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "my.toml").write_text(DEARER.replace("credits_per_image = 5", "credits_per_image = -5"))
    monkeypatch.setenv("YOUT_CATALOG", str(tmp_path / "my.toml"))
    with pytest.raises(Failure, match=r"not valid: 1 problem$"):
        command.load()
