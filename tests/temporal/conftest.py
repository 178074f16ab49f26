"""The real servers, from installed packages: nothing is downloaded, nothing is skipped, nothing is left running."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from temporal import attributes
from temporal.client import Address, connect, converter
from temporal.codec import Keyring

BIN = Path(sys.executable).parent
KEYRING = Keyring.derived("only a secret for tests, and long enough")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--workflow-environment",
        default="time-skipping",
        help="where scenarios run that need no particular server: time-skipping, local, or host:port",
    )
    parser.addoption("--export-histories", action="store_true", help="write the replay tests' histories anew")


@pytest.fixture(scope="session")
def dev_server() -> Iterator[str]:
    """Temporal's development server; its address."""
    loop = asyncio.new_event_loop()
    environment = loop.run_until_complete(
        WorkflowEnvironment.start_local(
            dev_server_existing_path=str(BIN / "temporal"),
            search_attributes=attributes.KEYS,
            dev_server_log_level="error",
            dev_server_extra_args=["--dynamic-config-value", "matching.enableFairness=true"],
        )
    )
    yield environment.client.service_client.config.target_host
    loop.run_until_complete(environment.shutdown())
    loop.close()


@pytest.fixture
async def client(dev_server: str) -> Client:
    """At the development server, with the converter of production."""
    return await connect(Address(dev_server), converter(KEYRING))


@asynccontextmanager
async def _skipping() -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(BIN / "temporal-test-server"), data_converter=converter(KEYRING)
    ) as environment:
        await attributes.ensure(environment.client)
        yield environment


@pytest.fixture
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """The server that skips time, for one test alone: its clock is everybody's."""
    async with _skipping() as environment:
        yield environment


@pytest.fixture
def chosen_address(request: pytest.FixtureRequest) -> str | None:
    """Where `--workflow-environment` says; None for a server that skips time."""
    chosen: str = request.config.getoption("--workflow-environment", default="time-skipping")
    if chosen == "local":
        address: str = request.getfixturevalue("dev_server")
        return address
    return None if chosen == "time-skipping" else chosen


@pytest.fixture
async def anywhere(chosen_address: str | None) -> AsyncIterator[Client]:
    """A server for what runs on any."""
    if chosen_address is not None:
        yield await connect(Address(chosen_address), converter(KEYRING))
        return
    async with _skipping() as environment:
        yield environment.client
