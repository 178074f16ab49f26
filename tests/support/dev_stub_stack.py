"""The supervisor with real servers and small stand-ins for our own programs."""

import os
import sys
from pathlib import Path

from dev import supervisor
from dev.keeper import Pauses
from dev.plan import Commands


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", code)


WORKERS = {"steady": "print('at work'); import time; time.sleep(600)", "broken": "import sys; sys.exit('no luck')"}
MIGRATIONS = {"fine": "pass", "broken": "import sys; sys.exit('column tangled')"}

STUBS = Commands(
    migrate=python(MIGRATIONS[os.environ.get("STUB_MIGRATE", "fine")]),
    worker=python(WORKERS[os.environ.get("STUB_WORKER", "steady")]),
    api=(sys.executable, str(Path(__file__).with_name("dev_stub_api.py"))),
    account=python("""print('{"account_id": "a", "api_key": "sk-stub"}')"""),
    reset_link=python("""print('{"token": "stub"}')"""),
    search_attributes=python("""print('{"YoutAccount": "Keyword"}')"""),
)

if __name__ == "__main__":
    sys.exit(supervisor.main(os.environ, STUBS, Pauses(first=(0.0, 0.01, 0.02), then=0.1)))
