"""Runs the application under uvicorn: how its streams end at a shutdown, and what becomes of a fault at its start."""

import asyncio
import logging
from datetime import timedelta
from socket import socket

import uvicorn

from api.app import Gateway
from api.http_protocol import Http1Protocol
from api.sockets import any_waits, listening_at, take_no_more
from exits import CANNOT_RUN, Failure

STREAM_END_SECONDS = 2.0
"""Before the end of the shutdown timeout: then streams are settled, and their clients get the error."""
HANDSHAKE_SECONDS = 0.1
"""How long a connection that has begun may take until it can be accepted. A proxy and its network are faster."""


def serve(app: Gateway, host: str, port: int, shutdown_timeout: timedelta) -> int:
    """Serve until a signal. Raises what the start failed with: `app.state.start_error`, if there is one."""
    configured = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=Http1Protocol,
        ws="none",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=int(shutdown_timeout.total_seconds()),
        backlog=4096,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_traceback)
    server = Server(configured)
    try:
        server.run(listening_at(host, port))
    except SystemExit:
        if server.started or not hasattr(app.state, "start_error"):
            raise
    if server.started:
        return 0
    raise getattr(app.state, "start_error", None) or Failure("the API could not start", CANNOT_RUN)


class Server(uvicorn.Server):
    """Uvicorn resets what it has not accepted: before that, all is accepted. It cuts what still runs at the shutdown
    timeout: shortly before, streams end with an error."""

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        app, grace = self.config.app, self.config.timeout_graceful_shutdown or 0
        assert isinstance(app, Gateway)  # noqa: S101  # what it was made with
        app.end_listeners()
        asyncio.get_running_loop().call_later(max(0.0, grace - STREAM_END_SECONDS), app.end_streams)
        for listening in sockets or ():
            await _accept_the_last(listening)
        await super().shutdown(sockets)


async def _accept_the_last(listening: socket) -> None:
    """Return when no connection is left that would be reset if the socket were closed."""
    waits = take_no_more(listening)
    while waits:
        await asyncio.sleep(HANDSHAKE_SECONDS)
        waits = any_waits(listening)


def _is_no_traceback(record: logging.LogRecord) -> bool:
    """Of a fault at start, which ends the process with a line of its own."""
    text = record.getMessage()
    return not text.startswith(("Traceback", "Exception in 'lifespan'", "Application startup failed"))
