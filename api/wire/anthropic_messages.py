"""`POST /v1/messages`: Anthropic's Messages, for every model that chats.

`anthropic_messages_request` reads a request, `anthropic_messages_answer` and `_stream` write the answer.
"""

from collections.abc import Iterable
from typing import Any

from starlette.types import Scope

from api import openapi_messages
from api.wire import anthropic_messages_answer as answer
from api.wire import anthropic_messages_request as request
from api.wire.anthropic_messages_stream import MessageStream
from api.wire.base import Quoted
from api.wire.json_wire import JsonWire
from gateway.wire import Head, ModelCall, StreamWriter

VERSION = b"anthropic-version"


def is_anthropic(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Tell whether a client speaks Anthropic's API: it names its version."""
    return any(name == VERSION for name, _ in headers)


class AnthropicMessages(JsonWire):
    """Implements `api.wire.base.ClientWire`."""

    path = "/v1/messages"
    endpoint = "messages"
    request_id_header = b"request-id"
    operation = openapi_messages.MESSAGES
    whole = staticmethod(answer.whole)
    error = staticmethod(answer.error)

    def is_client(self, scope: Scope) -> bool:
        """Those of `count_tokens`, and of whoever names a version of Anthropic's API."""
        path: str = scope.get("path", "")
        return path.startswith("/v1/") and (path.startswith(f"{self.path}/") or is_anthropic(scope["headers"]))

    def parse(self, body: dict[str, Any]) -> ModelCall:
        return request.parse(body)

    def takes(self, quoted: Quoted) -> bool:
        return is_anthropic(quoted.headers)

    def writer(self, head: Head) -> StreamWriter:
        return MessageStream(head)
