"""What a catalog file says of priorities, weights, keys, timeouts and limits."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from catalog import files
from domain.catalog import CatalogInvalid, RouteTimeouts
from providers.registry import KINDS
from tests.unit.catalog.test_files import all_keys


def test_what_the_catalog_says_of_routing(tmp_path: Path) -> None:
    text = """
[providers.lab]
kind = "openai"
base_url = "http://lab/v1"
api_key_env = ["LAB_ONE", "LAB_TWO", "LAB_ONE"]
route_class = "fast"
max_concurrent = 4
requests_per_minute = 90
max_wait = 2.5
timeouts = { connect = 1, first_byte = 20 }

[models.m]
credits_per_1k_input = 1
credits_per_1k_output = 1
routes = [
    { provider = "lab", model = "third", priority = 1 },
    { provider = "lab", model = "first", timeouts = { first_byte = 0.5, total = 90 } },
    { provider = "lab", model = "second" },
]

[models.shared]
credits_per_1k_input = 1
credits_per_1k_output = 1
routes = [{ provider = "lab", model = "a", weight = 3 }, { provider = "openai", model = "b" }]
"""
    (tmp_path / "my.toml").write_text(text)
    keys = {"LAB_ONE": SecretStr("one"), "LAB_TWO": SecretStr("two"), "OPENAI_API_KEY": SecretStr("x")}
    catalog = files.load(tmp_path / "my.toml", lambda _: keys, KINDS)
    lab, model = catalog.providers["lab"], catalog.find("m")
    assert [key.get_secret_value() for key in (lab.api_key, *lab.more_keys) if key] == ["one", "two"]
    assert (lab.route_class, catalog.providers["openai"].route_class) == ("fast", "openai")
    assert (lab.max_concurrent, lab.requests_per_minute, lab.max_wait) == (4, 90, timedelta(seconds=2.5))
    assert [route.model for route in model.routes] == ["first", "second", "third"]
    seconds = timedelta(seconds=1)
    assert model.routes[0].timeouts == RouteTimeouts(connect=seconds, first_byte=0.5 * seconds, total=90 * seconds)
    assert model.routes[1].timeouts == RouteTimeouts(connect=seconds, first_byte=20 * seconds)
    assert (model.shared, catalog.find("shared").shared) == (False, True)


def test_an_own_provider_is_not_named_to_clients(tmp_path: Path) -> None:
    (tmp_path / "my.toml").write_text('[providers.secret-lab]\nkind = "openai"\nbase_url = "http://lab/v1"\n')
    assert files.load(tmp_path / "my.toml", all_keys, KINDS).providers["secret-lab"].route_class == "openai"


@pytest.mark.parametrize("value", ["0", "-1", "4000", "true", '"5"'])
def test_a_timeout_is_a_number_of_seconds(tmp_path: Path, value: str) -> None:
    text = f'[providers.lab]\nkind = "openai"\nbase_url = "http://lab/v1"\ntimeouts = {{ idle = {value} }}\n'
    (tmp_path / "my.toml").write_text(text)
    with pytest.raises(CatalogInvalid, match="must be a number of seconds"):
        files.load(tmp_path / "my.toml", all_keys, KINDS)
