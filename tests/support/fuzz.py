"""Requests by chance, from the OpenAPI document, against a real API process: `make fuzz ARGS="--cases 20000"`.

schemathesis makes requests that the document allows and requests that it does not. Each operation is called by every
kind of caller. No answer may be a 5xx, an error must be in its envelope, and afterwards the books must be right.
"""

import argparse
import asyncio
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from psycopg.rows import dict_row
from schemathesis import GenerationMode
from schemathesis.core.result import Ok

from db import migrate
from db.engine import Database
from db.writer import LedgerWriter
from dev.cluster import DATABASE
from dev.postgres import EmbeddedPostgres
from domain.sealing import Wrapping
from tests.support.bank import Customer, open_account
from tests.support.signed_in import SAME_ORIGIN, cookie_of
from tests.support.stack import ROOT, SECRET, Stack

CREDITS = 10_000_000
WAITING = ("/v1/audio/speech", "/v1/audio/transcriptions", "/v1/images/edits", "/v1/images/generations")
"""Paths whose answer comes when a media job has ended."""
WAIT_SECONDS = 3
MODELS = {"/v1/embeddings": "demo-embedding", "image": "demo-image", "video": "demo-video", "speech": "demo-speech"}
PAGES = ("/c/", "/media/", "/metrics", "/healthz", "/readyz")
"""Paths whose errors are pages or text."""
SECONDS = 60
UNAVAILABLE = 503
"""Said where Temporal is needed, which is not there."""


@dataclass(slots=True)
class Callers:
    """A key and a session of an account; both are made anew when a request has ended them."""

    stack: Stack
    accounts: list[Customer] = field(default_factory=list)
    key: dict[str, str] = field(default_factory=dict)
    session: dict[str, str] = field(default_factory=dict)

    def renew(self) -> None:
        asyncio.run(self._open())

    async def _open(self) -> None:
        database = Database.open(self.stack.database_url, pool=2)
        async with LedgerWriter(self.stack.database_url) as ledger:
            customer = await open_account(database, ledger, CREDITS, Wrapping.of(SECRET))
        cookie = await cookie_of(database, customer.account_id)
        await database.close()
        self.accounts.append(customer)
        self.key = {"authorization": f"Bearer {customer.token}"}
        self.session = {"cookie": f"yout={cookie}", **SAME_ORIGIN}

    def of(self, number: int) -> dict[str, str]:
        """The headers of each kind of caller in turn: mostly a key."""
        return (self.key, self.session, self.key, {})[number % 4]


@dataclass(slots=True)
class Fuzz:
    stack: Stack
    random: Random
    callers: Callers
    statuses: Counter[int] = field(default_factory=Counter)
    problems: list[str] = field(default_factory=list)
    http: requests.Session = field(default_factory=requests.Session)

    @property
    def cases(self) -> int:
        return self.statuses.total()

    def run(self, cases: int) -> None:
        """Call every operation in rounds until so many requests were made."""
        listed = schemathesis.openapi.from_dict(document()).get_all_operations()
        operations = [operation.ok() for operation in listed if isinstance(operation, Ok)]
        self.callers.renew()
        for each in count():
            for operation in operations:
                for mode in GenerationMode:
                    self._operation(operation, mode, each, min(15, 1 + cases // (2 * len(operations))))
                    if self.cases >= cases:
                        return

    def _operation(self, operation: Any, mode: GenerationMode, round_: int, examples: int) -> None:
        quiet = settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )

        @seed(self.random.getrandbits(32) + round_)
        @quiet
        @given(case=operation.as_strategy(generation_mode=mode))
        def call(case: Any) -> None:
            self._call(case)

        try:
            call()
        except (schemathesis.errors.SchemathesisError, Unsatisfiable):  # nothing of this mode can be made
            return

    def _call(self, case: Any) -> None:
        known_model(case, self.random)
        headers = self.callers.of(self.cases)
        try:
            timeout = WAIT_SECONDS if case.path in WAITING else SECONDS
            answer = case.call(base_url=self.stack.url, session=self.http, headers=headers, timeout=timeout)
        except requests.exceptions.ReadTimeout:
            if case.path not in WAITING:
                raise
            return  # its job waits: no worker runs here
        except (requests.exceptions.InvalidHeader, requests.exceptions.InvalidURL, UnicodeError, ValueError):
            return  # a request that this client cannot write
        self.statuses[answer.status_code] += 1
        self.problems += [f"{case.method} {case.path}: {problem}" for problem in problems(case.path, answer)]
        if answer.status_code in (401, 402, 409) and headers:
            self.callers.renew()

    def unsettled(self) -> list[str]:
        """Accounts whose books are wrong, and what the audit finds."""
        with psycopg.connect(self.stack.owner_url, row_factory=dict_row) as connection:
            rows = connection.execute(BOOKS, (CREDITS, [customer.account_id for customer in self.callers.accounts]))
            wrong = [str(row) for row in rows]
        return wrong + [f"audit: {finding}" for finding in self.stack.yout("audit")["findings"]]


BOOKS = """
select * from (
    select a.id, a.available, a.held,
           coalesce((select sum(u.credits) from usage u where u.account_id = a.id), 0) as charged,
           (select count(*) from holds h
             where h.account_id = a.id and h.state = 'open' and h.kind not in ('image', 'video', 'speech')) as open
      from accounts a
     where a.epoch = 1
) books
 where (available + held + charged <> %s or open > 0) and id = any(%s)
"""
"""Accounts that have not what was given less what was charged, or an open hold of a call. Purged ones are left out: a
purge sums up what was charged."""


def problems(path: str, answer: Any) -> Iterator[str]:
    if answer.status_code >= 500 and answer.status_code != UNAVAILABLE:
        yield f"{answer.status_code} {answer.text[:300]}"
    if answer.status_code >= 400 and not path.startswith(PAGES):
        try:
            error = answer.json()["error"]
        except (ValueError, KeyError, TypeError):
            yield f"no envelope: {answer.status_code} {answer.text[:200]}"
            return
        if not error.get("message"):
            yield f"no message: {answer.status_code} {answer.text[:200]}"


def known_model(case: Any, random: Random) -> None:
    """Name a model that exists, in most bodies that name one."""
    if isinstance(case.body, dict) and isinstance(case.body.get("model"), str) and random.random() < 0.8:
        case.body["model"] = next((model for part, model in MODELS.items() if part in case.path), "demo-chat")


def document() -> dict[str, Any]:
    command = [sys.executable, "-m", "cli", "openapi"]
    written = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    result: dict[str, Any] = json.loads(written)
    return result


@contextmanager
def own_stack(folder: Path) -> Iterator[Stack]:
    with EmbeddedPostgres.temporary() as server:
        assert migrate.upgrade(server.url, server.app_url_of(DATABASE))
        stack = Stack.on(server, folder)
        with stack.running("api"):
            yield stack


def main(words: Iterable[str] = sys.argv[1:]) -> int:
    """Run it on a stack of its own, and print what was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args(list(words))
    with TemporaryDirectory() as folder, own_stack(Path(folder)) as stack:
        fuzz = Fuzz(stack, Random(arguments.seed), Callers(stack))
        fuzz.run(arguments.cases)
        faults = fuzz.problems + fuzz.unsettled()
        sys.stdout.write(f"{fuzz.cases} cases: {dict(sorted(fuzz.statuses.items()))}\n")
        sys.stdout.write("".join(f"{problem}\n" for problem in faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
