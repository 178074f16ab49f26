"""The adapter of kind `azure`: OpenAI's models in a resource of Azure, on its v1 surface or by deployment."""

from urllib.parse import quote

from domain.catalog import Provider
from providers.base import ChatCall, EmbeddingCall
from providers.headers import headers_of
from providers.openai.adapter import OpenAIAdapter
from providers.openai.embeddings import OpenAIEmbeddings

KEY_HEADER = "api-key"
API_VERSION = "api_version"
OPTIONS = frozenset({API_VERSION})
DEPLOYED_VERSION = "2024-10-21"
"""The newest version of the surface by deployment that is not a preview."""


class AzureAdapter(OpenAIAdapter):
    """`base_url` is the resource. If it ends in `/v1`, the body names the deployment; else the path."""

    def __init__(self, provider: Provider, *, referer: str = "") -> None:
        super().__init__(provider, referer=referer)
        self._headers = headers_of(provider, KEY_HEADER, referer=referer)
        self._version = provider.options.get(API_VERSION, "")

    def _address(self, call: ChatCall, endpoint: str) -> str:
        return _address(self._base, self._version, call.model, endpoint)


class AzureEmbeddings(OpenAIEmbeddings):
    """Embeddings at the same addresses: the deployment is in the body or in the path."""

    def __init__(self, provider: Provider, *, referer: str = "") -> None:
        super().__init__(provider, referer=referer)
        self._headers = {**headers_of(provider, KEY_HEADER, referer=referer), "Accept": "application/json"}
        self._base = provider.base_url.rstrip("/")
        self._version = provider.options.get(API_VERSION, "")

    def _address(self, call: EmbeddingCall) -> str:
        return _address(self._base, self._version, call.model, "embeddings")


def _address(base: str, version: str, deployment: str, endpoint: str) -> str:
    if base.endswith("/v1"):
        return _with_version(f"{base}/{endpoint}", version)
    root = base if base.endswith("/openai") else f"{base}/openai"
    return _with_version(f"{root}/deployments/{quote(deployment, safe='')}/{endpoint}", version or DEPLOYED_VERSION)


def _with_version(path: str, version: str) -> str:
    return f"{path}?api-version={quote(version, safe='')}" if version else path
