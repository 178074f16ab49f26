"""What importing a workflow, or the activities that it names, brings along: no database, no HTTP client, no vendor."""

import subprocess
import sys
from pathlib import Path

import pytest
from temporalio import workflow

from fleets import SANDBOX, WORKFLOWS
from tests.support.temporal.leaky import LeakyWorkflow

ROOT = Path(__file__).parents[2]
HEAVY = (
    "sqlalchemy",
    "sqlmodel",
    "psycopg",
    "httpx",
    "httpx2",
    "aiohttp",
    "requests",
    "obstore",
    "fastapi",
    "db",
    "gateway",
    "catalog",
)


def test_workflows_bring_no_database_and_no_vendor() -> None:
    program = (
        "import sys, workflows.media, workflows.maintenance, workflows.audit, workflows.start\n"
        f"sys.stdout.write(str([name for name in {HEAVY} if name in sys.modules]))"
    )
    result = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout == "[]"


@pytest.mark.parametrize("cls", WORKFLOWS)
async def test_the_strict_sandbox_takes_every_workflow(cls: type) -> None:
    definition = workflow._Definition.must_from_class(cls)
    SANDBOX.prepare_workflow(definition)  # raises for an import that the sandbox refuses
    assert definition.sandboxed


async def test_the_strict_sandbox_refuses_what_was_not_passed_through() -> None:
    with pytest.raises(Exception, match=r"tests\.support\.temporal\.leaked"):
        SANDBOX.prepare_workflow(workflow._Definition.must_from_class(LeakyWorkflow))
