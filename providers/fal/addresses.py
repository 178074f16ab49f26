"""Where a request is at fal. Its addresses lack the sub-path of its model, so those of the answer are used."""

import re
from collections.abc import Mapping
from typing import Any, Self

from domain.records import record
from providers import media_data

_ID = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_PATH = re.compile(r"(/[A-Za-z0-9_.~-]+){1,12}", re.ASCII)
_NAMESPACES = frozenset({"workflows", "comfy"})
"""First words of a model's name that come before its owner."""
_SEPARATOR = "|"


@record
class Addresses:
    """Paths below the provider's base."""

    result: str
    status: str
    cancel: str

    @classmethod
    def below(cls, result: str) -> Self:
        return cls(result, f"{result}/status", f"{result}/cancel")

    @classmethod
    def answered(cls, answer: Mapping[str, Any], base_url: str, model: str) -> Self:
        """Read the answer to a submission. Raises `AdapterFault` if the request cannot be found again.

        Addresses elsewhere than at the provider are not used: the key goes to nobody else.
        """
        id_ = media_data.job_id(answer.get("request_id"), _ID)
        given = (answer.get(name) for name in ("response_url", "status_url", "cancel_url"))
        paths = [_path(url, base_url) for url in given]
        result, status, cancel = paths
        if result is None or status is None or cancel is None:
            return cls.below(f"/{_app(model)}/requests/{id_}")
        return cls(result, status, cancel)

    @classmethod
    def read(cls, job_id: str) -> Self:
        """Read what `job_id` has written."""
        parts = job_id.split(_SEPARATOR)
        return cls(*parts) if len(parts) == 3 else cls.below(job_id)

    @property
    def job_id(self) -> str:
        """All of it, as short as it can be. It has no key and no query."""
        regular = self == type(self).below(self.result)
        return self.result if regular else _SEPARATOR.join((self.result, self.status, self.cancel))


def _path(url: Any, base_url: str) -> str | None:
    if not isinstance(url, str) or not url.startswith(f"{base_url}/"):
        return None
    path = url.removeprefix(base_url).partition("?")[0]
    return path if _PATH.fullmatch(path) and ".." not in path else None


def _app(model: str) -> str:
    words = model.split("/")
    return "/".join(words[:3] if words[0] in _NAMESPACES else words[:2])
