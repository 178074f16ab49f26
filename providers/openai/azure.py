"""The adapter of kind `azure`: OpenAI's models in a resource of Azure, on its v1 surface or by deployment."""

from urllib.parse import quote

from domain.catalog import Provider
from providers.base import ChatCall
from providers.headers import headers_of
from providers.openai.adapter import OpenAIAdapter

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
        if self._base.endswith("/v1"):
            return self._address_of(f"{self._base}/{endpoint}", self._version)
        root = self._base if self._base.endswith("/openai") else f"{self._base}/openai"
        path = f"{root}/deployments/{quote(call.model, safe='')}/{endpoint}"
        return self._address_of(path, self._version or DEPLOYED_VERSION)

    def _address_of(self, path: str, version: str) -> str:
        return f"{path}?api-version={quote(version, safe='')}" if version else path
