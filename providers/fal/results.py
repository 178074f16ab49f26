"""What fal's output and errors say."""

from collections.abc import Mapping
from typing import Any

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused, UpstreamTimeout
from providers import remote_files
from providers.remote_files import RemoteFile

FILES = ("images", "image", "video", "videos", "audio", "audio_file", "audio_url")
"""Fields of an output that have its files. The first one that is there counts."""
UNSAFE = "has_nsfw_concepts"
"""One flag for each image. In place of a flagged one is a black picture."""
POLICY = "content_policy_violation"
LATE = frozenset({"request_timeout", "startup_timeout"})
ERROR_TYPE = "x-fal-error-type"


def files(output: Any) -> list[RemoteFile]:
    """Return the files of an output. Raises `ContentPolicyViolation` if fal's filter has blackened all of them.

    Raises `UpstreamError` if there are none.
    """
    if not isinstance(output, Mapping):
        raise UpstreamError
    given = next(filter(None, (remote_files.of(output.get(name)) for name in FILES)), [])
    if not given:
        raise UpstreamError
    safe = [file for index, file in enumerate(given) if not _unsafe(output.get(UNSAFE), index)]
    if not safe:
        raise ContentPolicyViolation
    return safe


def _unsafe(flags: Any, index: int) -> bool:
    return isinstance(flags, list) and index < len(flags) and flags[index] is True


def error_of(status: int, headers: Mapping[str, str], body: Any) -> UpstreamError:
    """Return the error of a request that fal has run, by the answer in place of its output."""
    types = error_types(body) | {headers.get(ERROR_TYPE, "")}
    if POLICY in types:
        return ContentPolicyViolation()
    if types & LATE:
        return UpstreamTimeout()
    return UpstreamRefused() if status in (400, 413, 422) else UpstreamError()


def error_types(body: Any) -> set[str]:
    """Return the words for machines of an error in each of fal's forms."""
    if not isinstance(body, Mapping):
        return set()
    detail = body.get("detail")
    entries = [body, *(detail if isinstance(detail, list) else [])]
    types = (entry.get(name) for entry in entries if isinstance(entry, Mapping) for name in ("error_type", "type"))
    return {value for value in types if isinstance(value, str)}
