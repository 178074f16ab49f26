"""`python -m api`: one API process."""

import asyncio
import logging
import signal
import socket
import sys
from typing import NoReturn

import uvicorn

import exits
import settings
from api.app import Gateway, create_app
from api.http_protocol import Http1Protocol
from exits import CANNOT_RUN, Failure
from logs import configure

LAST_WORDS = 2.0
"""Seconds before the end of a stop's patience in which streams are settled and told."""

EVERY_ADDRESS = frozenset({"::", "[::]"})
"""Hosts that mean both IPv6 and IPv4."""


def _end(*_: object) -> NoReturn:
    """Uvicorn stops in good order and then sends itself the signal again, which would make a failure of it."""
    sys.exit(0)


def _both_families(port: int) -> socket.socket:
    """Of `::` an event loop would take IPv6 alone."""
    listening = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listening.bind(("::", port))
    return listening


def _listening(host: str, port: int) -> list[socket.socket]:
    """Bound before anything else is opened: a port that is taken ends the process at once, in one line."""
    try:
        if host in EVERY_ADDRESS:
            return [_both_families(port)]
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        return [listening]
    except OSError as error:
        remedy = "end what listens there, or set YOUT_HOST and YOUT_PORT"
        raise Failure(f"the API cannot listen at {host}:{port} ({error.strerror}): {remedy}", CANNOT_RUN) from None


class _Server(uvicorn.Server):
    """Uvicorn cuts what still runs when its patience ends: shortly before, streams end by themselves and say so."""

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        app, patience = self.config.app, self.config.timeout_graceful_shutdown or 0
        assert isinstance(app, Gateway)  # noqa: S101  # what it was made with
        asyncio.get_running_loop().call_later(max(0.0, patience - LAST_WORDS), app.end_streams)
        await super().shutdown(sockets)


def main() -> int:
    found = settings.load()
    configure(found.log_format)
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, _end)
    app = create_app(found)
    configured = uvicorn.Config(
        app,
        host=found.host,
        port=found.port,
        loop="uvloop",
        http=Http1Protocol,
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=int(found.shutdown_timeout.total_seconds()),
        backlog=4096,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_traceback)
    server = _Server(configured)
    server.run(_listening(found.host, found.port))
    if server.started:
        return 0
    raise getattr(app.state, "start_error", None) or Failure("the API could not start", CANNOT_RUN)


def _is_no_traceback(record: logging.LogRecord) -> bool:
    """Of a fault at start, which ends the process with a line of its own."""
    text = record.getMessage()
    return not text.startswith(("Traceback", "Exception in 'lifespan'", "Application startup failed"))


if __name__ == "__main__":
    sys.exit(exits.run(main))
