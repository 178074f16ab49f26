"""Files in an answer of generateContent, and why there are none."""

from collections.abc import Iterator, Mapping
from typing import Any

from domain.errors import ContentPolicyViolation, UpstreamError, UpstreamRefused
from domain.media import MediaInput
from providers import media_data
from providers.media_data import DataFile, mappings

_POLICY = frozenset(
    {"SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "ESCALATION", "MODEL_ARMOR"}
    | {"IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "PUP_LIMITED_DISABLED", "NO_IMAGE"}
)
"""Reasons for which an answer ends without a file. NO_IMAGE is how a model refuses in words."""


def inline(given: MediaInput) -> dict[str, Any]:
    return {"inlineData": {"mimeType": given.content_type, "data": media_data.encoded(given)}}


def files(answer: Mapping[str, Any], family: str) -> list[DataFile]:
    """Return the files whose type begins with `family`. Raises an error if there are none.

    `ContentPolicyViolation` if Google's filters have blocked it, `UpstreamRefused` if the model answered in words
    alone, `UpstreamError` if it is no answer.
    """
    output = list(_files(answer, family))
    if not output:
        raise _without_files(answer)
    return output


def _files(answer: Mapping[str, Any], family: str) -> Iterator[DataFile]:
    for candidate in mappings(answer.get("candidates")):
        content = candidate.get("content")
        for part in mappings(content.get("parts")) if isinstance(content, Mapping) else []:
            data = part.get("inlineData")
            if isinstance(data, Mapping) and not part.get("thought"):
                kind = str(data.get("mimeType", ""))
                if kind.lower().startswith(family):
                    yield DataFile(kind, media_data.decoded(data.get("data")))


def _without_files(answer: Mapping[str, Any]) -> UpstreamError:
    feedback = answer.get("promptFeedback")
    if isinstance(feedback, Mapping) and feedback.get("blockReason"):
        return ContentPolicyViolation()
    reasons = {str(candidate.get("finishReason")) for candidate in mappings(answer.get("candidates"))}
    if reasons & _POLICY:
        return ContentPolicyViolation()
    return UpstreamRefused() if reasons == {"STOP"} else UpstreamError()
