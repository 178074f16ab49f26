"""`POST /v1/messages`: Anthropic's Messages, for every model that chats.

`anthropic_messages_request` reads a request, `anthropic_messages_answer` and `_stream` write the answer.
"""

from typing import Any

from api import openapi_messages
from api.wire import anthropic_messages_answer as answer
from api.wire import anthropic_messages_request as request
from api.wire.anthropic_messages_stream import MessageStream
from api.wire.base import EVENT_STREAM, JSON
from gateway.wire import Head, ModelCall, StreamWriter


class AnthropicMessages:
    """Implements `api.wire.base.ClientWire`."""

    path = "/v1/messages"
    endpoint = "messages"
    key_headers = ()
    visitor_writer = None
    content_type, stream_content_type = JSON, EVENT_STREAM
    operation = openapi_messages.MESSAGES
    whole = staticmethod(answer.whole)
    error = staticmethod(answer.error)

    def parse(self, body: dict[str, Any]) -> ModelCall:
        return request.parse(body)

    def writer(self, head: Head) -> StreamWriter:
        return MessageStream(head)
