"""A request as it arrived at a provider's double."""

import json
from dataclasses import dataclass, field
from typing import Any, Self

from aiohttp import web


@dataclass(slots=True)
class Seen:
    method: str
    path: str
    """With its query."""
    headers: dict[str, str] = field(repr=False)
    """With names in lower case."""
    body: dict[str, Any] = field(repr=False)
    """Of JSON. Empty where there was none."""

    @classmethod
    async def of(cls, request: web.Request) -> Self:
        sent = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        return cls(request.method, request.path_qs, headers, json.loads(sent) if sent else {})
