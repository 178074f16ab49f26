"""`python -m api`: one API process."""

import sys

import uvicorn

import settings
from api.app import create_app
from logs import configure


def main() -> int:
    found = settings.load()
    configure(found.log_format)
    uvicorn.run(
        create_app(found),
        host=found.host,
        port=found.port,
        loop="uvloop",
        http="httptools",
        access_log=False,
        server_header=False,
        log_config=None,
        timeout_graceful_shutdown=int(found.drain.total_seconds()),
        backlog=4096,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
