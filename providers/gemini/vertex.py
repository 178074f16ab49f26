"""A provider of kind `vertex`: Gemini at Vertex AI, by the key file of a service account, a token or an API key."""

from domain.catalog import Provider
from domain.errors import UpstreamError
from providers.base import ChatUpstream, Timeouts, Transport
from providers.credentials import AuthorizedTransport, ServiceAccount
from providers.gemini.adapter import GeminiAdapter

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
