"""Adapters of a catalog's providers: each key has its own, and all of them are behind one gate."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from domain.catalog import Catalog, ExchangeRate, Modality, Provider, Route
from domain.errors import RetentionDenied
from domain.media import Kind, MediaRequest
from domain.privacy import PrivacyClass
from providers.base import UpstreamRequest
from providers.registry import Registry, Upstream
from tests.support.doubles.chat_calls import CATALOG
from tests.unit.providers.test_credentials import TIMEOUTS, TOKEN_URL, Inner, Seen, document, token

KEEPS_NOTHING, KEEPS = PrivacyClass.ZERO_RETENTION, PrivacyClass.RETAINED
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


@pytest.mark.parametrize(
    ("required", "now", "able"),
    [
        (KEEPS_NOTHING, KEEPS_NOTHING, True),
        (KEEPS_NOTHING, KEEPS, False),
        (KEEPS_NOTHING, None, False),
        (PrivacyClass.UNKNOWN, None, True),
    ],
)
def test_a_job_that_waited_goes_to_no_provider_that_keeps_more_by_now(
    required: PrivacyClass, now: PrivacyClass | None, able: bool, tmp_path: Path
) -> None:
    studio = Provider(name="studio", kind="demo", active=True)
    route = Route(provider=studio, model="image", capabilities=frozenset(), privacy=now or PrivacyClass.UNKNOWN)
    model = next(each for each in CATALOG.active_models() if each.modality is Modality.IMAGE)
    models = {} if now is None else {"image": model.model_copy(update={"routes": (route,)})}
    catalog = Catalog(exchange=ExchangeRate(), models=models, providers={"studio": studio})
    registry = Registry(lambda: catalog, Upstream(Inner(), TIMEOUTS, tmp_path))
    request = MediaRequest(kind=Kind.IMAGE, model="image", prompt="a lake", privacy=required)
    assert registry.media("studio")
    if able:
        assert registry.media("studio", request)
    else:
        with pytest.raises(RetentionDenied):
            registry.media("studio", request)
