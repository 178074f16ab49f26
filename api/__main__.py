"""`python -m api`: one API process."""

import signal
import sys
from typing import NoReturn

import uvicorn

import settings
from api.app import create_app
from logs import configure


def _end(*_: object) -> NoReturn:
    """Uvicorn stops in good order and then sends itself the signal again, which would make a failure of it."""
    sys.exit(0)


def main() -> int:
    found = settings.load()
    configure(found.log_format)
    for told in (signal.SIGINT, signal.SIGTERM):
        signal.signal(told, _end)
    uvicorn.run(
        create_app(found),
        host=found.host,
        port=found.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_graceful_shutdown=int(found.drain.total_seconds()),
        backlog=4096,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
