"""What fal's output and errors say."""

from collections.abc import Mapping
from typing import Any

from domain.errors import ContentPolicyViolation, GatewayError, UpstreamError, UpstreamRefused, UpstreamTimeout
from providers import remote_files, upstream_json
from providers.base import Headers, Progress, Stage
from providers.remote_files import RemoteFile

FILES = ("images", "image", "video", "videos", "audio", "audio_file", "audio_url")
"""Fields of an output that have its files. The first one that is there counts."""
UNSAFE = "has_nsfw_concepts"
"""One flag for each image. In place of a flagged one is a black picture."""
POLICY = "content_policy_violation"
LATE = frozenset({"request_timeout", "startup_timeout"})
CANCELLED = "client_cancelled"
ERROR_TYPE, REQUEST_ID = "x-fal-error-type", "x-fal-request-id"
OF_THE_INPUT = (400, 413, 422)
TRANSIENT = frozenset({401, 403, 404, 408, 409, 429})
"""Statuses in place of a result that say nothing of the request."""
INGRESS = frozenset({502, 503, 504})
"""The same, of what stands before fal's servers: without fal's own id or word for the error."""


class RequestFailed(Exception):
    """The request has ended at the provider without an output."""

    def __init__(self, progress: Progress) -> None:
        super().__init__()
        self.progress = progress


def files(output: Any) -> list[RemoteFile]:
    """Return the files of an output, without pictures that fal's filter has blackened.

    Raises `RequestFailed` if there are none.
    """
    named = output if isinstance(output, Mapping) else {}
    given = next(filter(None, (remote_files.of(named.get(name)) for name in FILES)), [])
    safe = [file for index, file in enumerate(given) if not _unsafe(named.get(UNSAFE), index)]
    if not safe:
        raise _failed(ContentPolicyViolation.code if given else UpstreamError.code)
    return safe


def _unsafe(flags: Any, index: int) -> bool:
    return isinstance(flags, list) and index < len(flags) and flags[index] is True


def refused_submission(status: int, _headers: Headers, body: bytes) -> GatewayError | None:
    """Explain an error in place of an acceptance. What the status means anywhere is left to it."""
    if status in OF_THE_INPUT and POLICY in _types(body):
        return ContentPolicyViolation()
    return None


def failed_request(status: int, headers: Headers, body: bytes) -> None:
    """Raise `RequestFailed` for an error in place of a result, unless it says nothing of how the request ended."""
    types = (_types(body) | {headers.get(ERROR_TYPE, "")}) - {""}
    if status in TRANSIENT or (status in INGRESS and not types and REQUEST_ID not in headers):
        return
    if CANCELLED in types:
        raise RequestFailed(Progress(Stage.CANCELLED))
    if POLICY in types:
        raise _failed(ContentPolicyViolation.code)
    if types & LATE:
        raise _failed(UpstreamTimeout.code)
    raise _failed(UpstreamRefused.code if status in OF_THE_INPUT else UpstreamError.code)


def _failed(code: str) -> RequestFailed:
    return RequestFailed(Progress(Stage.FAILED, failure=code))


def _types(body: bytes) -> set[str]:
    """Return the words for machines of an error in each of fal's forms."""
    try:
        value = upstream_json.read_whole(body)
    except UpstreamError:
        return set()
    detail = value.get("detail") if isinstance(value, Mapping) else None
    entries = [value, *(detail if isinstance(detail, list) else [])]
    types = (entry.get(name) for entry in entries if isinstance(entry, Mapping) for name in ("error_type", "type"))
    return {given for given in types if isinstance(given, str)}
