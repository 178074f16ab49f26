"""The real servers, from installed packages: nothing is downloaded, nothing is skipped, nothing is left running."""

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from temporalio.client import Client
from temporalio.testing import WorkflowEnvironment

from temporal import attributes
from temporal.client import Address, connect, converter
from tests.support.temporal.fleet import KEYRING

BIN = Path(sys.executable).parent
DYNAMIC = (
    "matching.enableFairness=true",
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    'matching.TaskQueueInfoByBuildIdTTL="10ms"',
)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--workflow-environment",
        default="local",
        help="where scenarios run that need no skipped time: local (a development server of our own), or host:port",
    )
    parser.addoption("--export-histories", action="store_true", help="write the replay tests' histories anew")


@pytest.fixture(scope="package")
def dev_server() -> Iterator[str]:
    """Temporal's development server; its address."""
    loop = asyncio.new_event_loop()
    environment = loop.run_until_complete(
        WorkflowEnvironment.start_local(
            dev_server_existing_path=str(BIN / "temporal"),
            search_attributes=attributes.KEYS,
            dev_server_log_level="error",
            dev_server_extra_args=[word for value in DYNAMIC for word in ("--dynamic-config-value", value)],
        )
    )
    yield environment.client.service_client.config.target_host
    loop.run_until_complete(environment.shutdown())
    loop.close()


@pytest.fixture
async def client(dev_server: str) -> Client:
    """At the development server, with the converter of production."""
    return await connect(Address(dev_server), converter(KEYRING))


@pytest.fixture
async def skipping() -> AsyncIterator[WorkflowEnvironment]:
    """The server that skips time, for one test alone: its clock is everybody's."""
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(BIN / "temporal-test-server"), data_converter=converter(KEYRING)
    ) as environment:
        await attributes.ensure(environment.client)
        yield environment


@pytest.fixture
def chosen_address(request: pytest.FixtureRequest) -> str:
    """Where `--workflow-environment` says."""
    chosen: str = request.config.getoption("--workflow-environment", default="local")
    address: str = request.getfixturevalue("dev_server") if chosen == "local" else chosen
    return address


@pytest.fixture
async def anywhere(chosen_address: str) -> Client:
    """For what runs on any server whose time is real."""
    return await connect(Address(chosen_address), converter(KEYRING))
