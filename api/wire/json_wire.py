"""What most client wires have in common: JSON in, JSON or server-sent events out, and OpenAI's envelope of errors."""

from collections.abc import Callable

from starlette.types import Scope

from api import errors
from api.wire.base import EVENT_STREAM, JSON
from domain.visitors import Allowance
from gateway.wire import Head, StreamWriter


class JsonWire:
    """Implements the part of `api.wire.base.ClientWire` that is the same for several endpoints."""

    key_headers: tuple[bytes, ...] = ()
    content_type, stream_content_type = JSON, EVENT_STREAM
    request_id_header: bytes | None = None
    error = staticmethod(errors.openai_error)

    @property
    def visitor_writer(self) -> Callable[[Head, Callable[[], Allowance]], StreamWriter] | None:
        return None

    def is_client(self, _: Scope) -> bool:
        return False
