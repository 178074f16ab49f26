"""Real servers for the tests: one embedded PostgreSQL a session, a fresh database (cloned from a template) a test."""

import fcntl
import functools
import gc
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from contextlib import contextmanager
from importlib.util import cache_from_source
from pathlib import Path

import httpx._transports.default
import httpx2._transports.default
import psycopg
import pytest
from psycopg import sql
from xdist.remote import Producer  # type: ignore[import-untyped]

from db.engine import Database
from dev import ports
from dev.postgres import EmbeddedPostgres
from tests.support import migrated
from tests.support.scheduling import YIELDING, ByFolder, in_background
from tests.support.sent import Sent, recording

UNIT = Path(__file__).parent / "unit"
IN_MEMORY = migrated.UNSYNCED | {"full_page_writes": "off"}


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two more than there are cores: tests wait half of their time, for a process or a lease that runs out.

    And one in the background, which computes meanwhile.
    """
    return (os.cpu_count() or 1) + 3


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFolder:
    return ByFolder(config, log)


def pytest_configure(config: pytest.Config) -> None:
    """Make the folder that the processes of a run share. They inherit its name. Each gets ports of its own."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as of what a shell runs in the background: all inherit it
        signal.signal(signal.SIGINT, signal.default_int_handler)
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    ports.CANDIDATES = ports.shuffled(ports.SPAN[number :: int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))])
    if not hasattr(config, "workerinput"):
        place = tempfile.TemporaryDirectory(prefix="yout-migrated-")
        os.environ[migrated.PLACE] = place.name
        config.add_cleanup(place.cleanup)


class Folder(pytest.Package):
    """A folder of tests with a conftest of its own: what has the scope `package` there ends with its last test.

    Servers that wait until the end of the session cost as much as tests.
    """

    def setup(self) -> None:
        """There is no `__init__.py`, which a package would import."""


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    return Folder.from_parent(parent, path=path) if (path / "conftest.py").exists() else None


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Collect no garbage while tests are imported: a fifth of the CPU of it."""
    gc.disable()
    with compiling():
        return (yield)


@contextmanager
def compiling() -> Iterator[None]:
    """In a new checkout the first process of a run compiles what all import, while the others wait."""
    last = UNIT / "workflows"
    compiled = Path(cache_from_source(str(last / "x.py"))).parent
    with (Path(os.environ[migrated.PLACE]) / "compiling").open("w") as lock:
        if not compiled.exists() and not sys.dont_write_bytecode:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if compiled.exists():
                fcntl.flock(lock, fcntl.LOCK_UN)
        yield


def pytest_collection_finish() -> None:
    """Take what was imported and collected out of the garbage collector's rounds: it stays until the end.

    From then on the process in the background lets others go first: until then they wait for it.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    if in_background(os.environ.get("PYTEST_XDIST_WORKER", ""), int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))):
        os.nice(YIELDING)


@pytest.fixture(scope="module", autouse=True)
def garbage(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the tests of a file leave open warns there, and not in the test that runs when it is collected by chance.

    Unit tests open nothing: they are spared the time.
    """
    yield
    if UNIT not in request.path.parents:
        gc.collect()


@pytest.fixture(scope="session", autouse=True)
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sent]:
    """What tests send. At the end nothing of it may be in the files of their stacks, of whatever kind."""
    with recording() as sent:
        yield sent
    assert sent.left_in(tmp_path_factory.getbasetemp()) == []


@pytest.fixture(scope="session", autouse=True)
def tls_contexts() -> Iterator[None]:
    """HTTP clients share one TLS context: to make it for each, also for plain HTTP, costs more than a short test."""
    with pytest.MonkeyPatch.context() as patch:
        for transports in (httpx._transports.default, httpx2._transports.default):
            patch.setattr(transports, "create_ssl_context", functools.cache(transports.create_ssl_context))
        yield


@pytest.fixture(scope="session")
def postgres(sent: Sent) -> Iterator[EmbeddedPostgres]:
    with migrated.temporary(IN_MEMORY) as server:
        yield server
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CHECKPOINT")
        assert sent.left_in(server.folder) == []


@pytest.fixture
def database_url(postgres: EmbeddedPostgres) -> Iterator[str]:
    """A migrated database that no other test sees."""
    name = f"test_{uuid.uuid4().hex}"
    yield migrated.clone(postgres, name)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
def app_url(postgres: EmbeddedPostgres, database_url: str) -> str:
    """The same database, as the application connects to it: with a role that owns nothing."""
    return postgres.app_url_of(database_url.rpartition("/")[2])


@pytest.fixture
async def database(app_url: str) -> AsyncIterator[Database]:
    opened = Database.open(app_url)
    yield opened
    await opened.close()
