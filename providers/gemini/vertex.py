"""A provider of kind `vertex`: Gemini at Vertex AI, by the key file of a service account, a token or an API key."""

from functools import partial

import httpx2

from domain.catalog import Provider
from domain.errors import GatewayError, UpstreamError
from providers import signals
from providers.base import ChatUpstream, Headers, Timeouts, Transport
from providers.credentials import AuthorizedTransport, ServiceAccount
from providers.gemini import errors
from providers.gemini.access_tokens import AccessTokens
from providers.gemini.adapter import KEY_HEADER, GeminiAdapter
from providers.gemini.media_jobs import GeminiMedia, Place
from providers.media_http import HttpRules, MediaHttp, key_in

OPTIONS = frozenset({"project", "location"})
GLOBAL = "global"
_MODELS = "publishers/google/models"
_HOST = "://aiplatform.googleapis.com"


def problem(provider: Provider) -> str | None:
    """Say what keeps the provider from being called, for `yout catalog check`."""
    try:
        account = _account(provider)
    except ValueError as why:
        return f"has a key that {why}"
    if account is not None and not _project(provider, account):
        return "needs options.project: its key names none"
    return None


def media(provider: Provider, client: httpx2.AsyncClient) -> GeminiMedia:
    """Return the provider for media. Raises `UpstreamError` for a key file that is none."""
    try:
        account = _account(provider)
    except ValueError:
        raise UpstreamError from None
    project, location = _project(provider, account), provider.options.get("location", GLOBAL)
    if project and location != GLOBAL:
        provider = provider.model_copy(update={"base_url": _regional(provider, location)})
    models = f"projects/{project}/locations/{location}/{_MODELS}" if project else _MODELS
    place = Place(provider.base_url.rstrip("/"), models, vertex=True, signal=signals.OF_KIND[provider.kind])
    if account is None:
        key = key_in("Authorization", provider, "Bearer ") if project else key_in(KEY_HEADER, provider)
        return GeminiMedia(MediaHttp(client, provider, HttpRules(key, explain=errors.of_media)), place)
    tokens = AccessTokens(client, account)
    rules = HttpRules(tokens.headers, explain=partial(_explained, tokens))
    return GeminiMedia(MediaHttp(client, provider, rules), place)


def _explained(tokens: AccessTokens, status: int, headers: Headers, body: bytes) -> GatewayError | None:
    """A token may end before its time: the next call has a new one."""
    if status == 401:
        tokens.forget()
    return errors.of_media(status, headers, body)


def upstream(provider: Provider, transport: Transport, timeouts: Timeouts) -> ChatUpstream:
    """Return the provider, ready to be called. The transport mints its tokens if it has a service account.

    A key without a project is an API key of Vertex's express mode.
    """
    try:
        account = _account(provider)
    except ValueError:
        raise UpstreamError from None
    project, location = _project(provider, account), provider.options.get("location", GLOBAL)
    if not project:
        return ChatUpstream(GeminiAdapter(provider, models=_MODELS), transport, timeouts)
    placed = provider if location == GLOBAL else provider.model_copy(update={"base_url": _regional(provider, location)})
    models = f"projects/{project}/locations/{location}/{_MODELS}"
    if account is None:
        adapter = GeminiAdapter(placed, key_header="Authorization", models=models)
        return ChatUpstream(adapter, transport, timeouts)
    adapter = GeminiAdapter(placed, key_header="", models=models)
    return ChatUpstream(adapter, AuthorizedTransport(transport, account), timeouts)


def _project(provider: Provider, account: ServiceAccount | None) -> str:
    return provider.options.get("project") or (account.project if account else "")


def _account(provider: Provider) -> ServiceAccount | None:
    """Read the key file, if the key is one. Raises ValueError if it begins as one and is none."""
    key = provider.api_key.get_secret_value() if provider.api_key else ""
    return ServiceAccount.of(key) if key.startswith("{") else None


def _regional(provider: Provider, location: str) -> str:
    """Google serves each location at a host of its own. Another address, such as a proxy's, stays as it is."""
    return provider.base_url.replace(_HOST, f"://{location}-aiplatform.googleapis.com")
