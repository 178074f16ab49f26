"""Workers killed with SIGKILL at every boundary of a media job; servers killed under running jobs.

Each failpoint has a job, a Temporal namespace and a worker process of its own, so that all of them die side by side:
after a death Temporal waits for its timeouts before another worker goes on.
"""

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from signal import SIGKILL
from uuid import UUID, uuid4

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client

import worker
from db.data_keys import Sealing
from db.media import MediaJobs, Order
from dev.postgres import EmbeddedPostgres
from dev.temporal import EmbeddedTemporal
from domain import keys
from domain.ids import workflow_id
from domain.media import Kind, MediaRequest
from domain.pricing import FlatTerms
from domain.sealing import Wrapping
from settings import Settings
from temporal import attributes
from tests.integration.media_stack import (
    Customer,
    World,
    another_database,
    crash,
    embedded,
    temporal_of,
    until,
)
from tests.stack import SECRET, Stack, end
from workflows import start
from workflows.options import LEDGER, media_queue

pytestmark = pytest.mark.asyncio(loop_scope="module")

SUCCEEDING = (
    *("begin:before", "begin:after", "submit:before", "submit:between", "submit:after", "poll:before", "poll:after"),
    *("copy:before", "copy:between", "copy:after", "succeed:before", "succeed:after", "discard:before", "discard:after"),
)
FAILING = (
    *("begin:after", "submit:between", "submit:after", "poll:before", "end:before", "end:after"),
    *("cancel:before", "cancel:after", "discard:before", "discard:after"),
)
CANCELLED = ("cancel:before", "cancel:after", "end:before", "end:after")
DEATHS = [
    *(("image", failpoint, "succeeded") for failpoint in SUCCEEDING),
    *(("image-fail", failpoint, "failed") for failpoint in FAILING),
    *(("image-slow", failpoint, "cancelled") for failpoint in CANCELLED),
]
QUEUES = (media_queue(Kind.IMAGE), LEDGER)
PRICE = 1000
