"""Submissions of media jobs, as adapters get them."""

from typing import Any

from domain.media import Kind, MediaInput, MediaRequest
from domain.privacy import PrivacyClass
from providers.base import MediaSubmission

REFERENCE = "0190a0a0-0000-7000-8000-000000000001"


def submission(
    kind: Kind,
    model: str,
    *roles: str,
    prompt: str = "a cat",
    privacy: PrivacyClass = PrivacyClass.UNKNOWN,
    **parameters: Any,
) -> MediaSubmission:
    """A submission with a small file for each role."""
    request = MediaRequest(
        kind=kind, model=model, prompt=prompt, parameters=parameters, n=parameters.get("n", 1), privacy=privacy
    )
    inputs = tuple(MediaInput(role, "image/png", role.encode()) for role in roles)
    return MediaSubmission(request, REFERENCE, inputs)
