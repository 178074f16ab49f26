"""An API process within this one, whose event loop counts the calls that each callback makes.

Calls are counted and no time is taken: the same request makes the same number on any machine.
"""

import asyncio
import sys
import threading
import time
from asyncio import events
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
import uvicorn

from api.http_protocol import Http1Protocol
from server import create_app
from settings import Settings
from tests.support.stack import SECRET, Stack


@dataclass(slots=True)
class MeasuredServer:
    port: int
    thread: int = 0
    max_calls: int = 0
    """Calls of functions, Python's and C's, by the callback that made the most since `begin`."""
    where: str = field(default="", repr=False)

    def begin(self) -> None:
        self.max_calls, self.where = 0, ""

    def note(self, handle: Any, calls: int) -> None:
        if calls > self.max_calls:
            self.max_calls, self.where = calls, repr(handle)[:300]


@contextmanager
def measured(stack: Stack, port: int) -> Iterator[MeasuredServer]:
    settings = Settings(
        database_url=stack.database_url,  # type: ignore[arg-type]
        secret_key=SECRET,  # type: ignore[arg-type]
        state_dir=stack.state,
        catalog=stack.catalog,
        temporal_address=stack.temporal_address,
        port=port,
    )
    config = uvicorn.Config(
        create_app(settings), port=port, http=Http1Protocol, ws="none", loop="asyncio", log_config=None
    )
    server, measuring = uvicorn.Server(config), MeasuredServer(port)
    thread = threading.Thread(target=_serve, args=(server, measuring), daemon=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(events.Handle, "_run", _measuring(events.Handle._run, measuring))
        thread.start()
        deadline = time.monotonic() + 60
        while not server.started and time.monotonic() < deadline:
            time.sleep(0.05)
        assert server.started
        yield measuring
        server.should_exit = True
        thread.join(30)


def _serve(server: uvicorn.Server, measuring: MeasuredServer) -> None:
    measuring.thread = threading.get_ident()
    asyncio.run(server.serve())


def _measuring(run: Any, measuring: MeasuredServer) -> Any:
    def measured_run(handle: Any) -> None:
        if threading.get_ident() != measuring.thread:
            run(handle)
            return
        calls = 0

        def count(_: Any, event: str, __: Any) -> None:
            nonlocal calls
            calls += event in ("call", "c_call")

        sys.setprofile(count)
        try:
            run(handle)
        finally:
            sys.setprofile(None)
        measuring.note(handle, calls)

    return measured_run
