"""Adapters of a catalog's providers: each key has its own, and all of them are behind one gate."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from domain.catalog import Catalog, ExchangeRate, Provider
from providers.base import UpstreamRequest
from providers.registry import Registry, Upstream
from tests.unit.providers.test_credentials import TIMEOUTS, TOKEN_URL, Inner, Seen, document, token

CALL = UpstreamRequest("https://vertex.invalid/m", {}, b"{}")


@pytest.mark.parametrize("places", [None, 2])
async def test_each_service_account_has_its_own_token(places: int | None, tmp_path: Path) -> None:
    keys = [SecretStr(document(token_uri=f"{TOKEN_URL}/{number}")) for number in range(2)]
    provider = Provider(
        name="google",
        kind="vertex",
        active=True,
        base_url="https://aiplatform.googleapis.com/v1",
        api_key=keys[0],
        more_keys=tuple(keys[1:]),
        max_concurrent=places,
    )
    inner = Inner()
    catalog = Catalog(exchange=ExchangeRate(), models={}, providers={"google": provider})
    upstream = Registry(lambda: catalog, Upstream(inner, TIMEOUTS, tmp_path)).upstream("google")
    for number in range(2):
        keyed = upstream.keyed(number)
        keyed.transport.open(CALL, TIMEOUTS, Seen())
        inner.answer(2 * number, token(f"token-{number}"))
        minted, sent = inner.opened[2 * number :]
        assert minted[0].url == f"{TOKEN_URL}/{number}"
        assert sent[0].headers["Authorization"] == f"Bearer token-{number}"
    assert len(inner.opened) == 4
