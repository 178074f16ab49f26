"""What the state, the output and the error of a prediction say."""

import re
from collections.abc import Mapping
from typing import Any

from domain.errors import ContentPolicyViolation, UpstreamError
from providers import remote_files
from providers.base import Progress, Stage
from providers.remote_files import RemoteFile

STAGES = {
    "starting": Stage.RUNNING,
    "processing": Stage.RUNNING,
    "succeeded": Stage.DONE,
    "failed": Stage.FAILED,
    "canceled": Stage.CANCELLED,
    "cancelled": Stage.CANCELLED,
    "aborted": Stage.CANCELLED,
}
"""A state that is not here is one of a job under way: the deadline ends it."""
QUEUED = "starting"
POLICY = re.compile(
    r"nsfw|content.?(?:policy|moderation|filter)|flagged as|safety (?:check|filter|system)|E005", re.IGNORECASE
)
"""Of an error's text: Replicate has no word for machines. The text itself goes nowhere."""
PERCENT = re.compile(r"(?:^|[\n\r])\s*(\d{1,3})%\|")
"""In its logs, as progress bars of Python write it."""
MAX_LOG_CHARACTERS = 2000
"""Of the end of the logs."""


def progress(prediction: Mapping[str, Any]) -> Progress:
    """Return the state of a prediction. Done without a file is failed."""
    state = prediction.get("status")
    stage = STAGES.get(state, Stage.RUNNING) if isinstance(state, str) else Stage.RUNNING
    match stage:
        case Stage.RUNNING:
            return Progress(stage, _percent(prediction.get("logs")), queued=state == QUEUED)
        case Stage.FAILED:
            return Progress(stage, failure=_failure(prediction.get("error")))
        case Stage.DONE if not files(prediction):
            return Progress(Stage.FAILED, failure=UpstreamError.code)
    return Progress(stage)


def files(prediction: Mapping[str, Any]) -> list[RemoteFile]:
    """Return the files of the output, which is an address, a list or an object. Empty if there are none any more."""
    return remote_files.of(prediction.get("output"))


def _failure(error: Any) -> str:
    policy = isinstance(error, str) and POLICY.search(error)
    return ContentPolicyViolation.code if policy else UpstreamError.code


def _percent(logs: Any) -> int | None:
    bars = PERCENT.findall(logs[-MAX_LOG_CHARACTERS:]) if isinstance(logs, str) else []
    return min(99, int(bars[-1])) if bars else None
