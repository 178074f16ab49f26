"""A media adapter of one provider, called as the activities call it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from domain.catalog import Capability, Provider
from domain.errors import UpstreamBusy, UpstreamError, UpstreamRefused
from domain.media import Kind, MediaInput, MediaRequest
from domain.privacy import PrivacyClass
from providers.base import MediaProvider, MediaSubmission, Progress, Stage
from providers.media_http import media_client
from providers.media_kinds import MEDIA, MediaUpstream

REFERENCE = "0193f0a1-7b1c-7d2e-9f30-1234567890ab"


@asynccontextmanager
async def adapter(
    kind: str, base_url: str, key: str, *, capabilities: frozenset[Capability] = frozenset(), **options: str
) -> AsyncIterator[MediaProvider]:
    provider = Provider(
        name=kind,
        kind=kind,
        active=True,
        base_url=base_url,
        api_key=SecretStr(key),
        capabilities=capabilities,
        options=options,
        headers={"X-Fal-Store-IO": SecretStr("1")},
    )
    async with media_client() as http:
        yield MEDIA[kind].adapter(provider, MediaUpstream(http, Path("unused")))


def submission(
    model: str,
    kind: Kind = Kind.IMAGE,
    n: int = 1,
    inputs: tuple[MediaInput, ...] = (),
    privacy: PrivacyClass = PrivacyClass.UNKNOWN,
    **parameters: Any,
) -> MediaSubmission:
    request = MediaRequest(kind=kind, model=model, prompt="a lake", n=n, parameters=parameters, privacy=privacy)
    return MediaSubmission(request, REFERENCE, inputs)


async def ended(provider: MediaProvider, job_id: str, polls: int = 12) -> tuple[Progress, list[Progress]]:
    """Poll until the work has ended, over errors. Return its last state, and all of them."""
    seen = list[Progress]()
    for _ in range(polls):
        try:
            seen.append(await provider.poll(job_id))
        except UpstreamError:
            await asyncio.sleep(0)
            continue
        if seen[-1].stage is not Stage.RUNNING:
            break
    return seen[-1], seen


async def fetched(provider: MediaProvider, job_id: str) -> list[tuple[str, bytes]]:
    """Return the type and the content of each file."""
    files = list[tuple[str, bytes]]()
    async for file in provider.fetch(job_id):
        files.append((file.content_type, b"".join([chunk async for chunk in file.chunks])))
    return files


async def submission_fails(
    provider: MediaProvider, model: str, accepted: Callable[[], int], error: type[UpstreamError]
) -> UpstreamError:
    """Return this error of a submission. Its vendor must have accepted nothing, if the error says so."""
    with pytest.raises(error) as raised:
        await provider.submit(submission(model))
    assert "SECRET" not in str(raised.value)
    certain = issubclass(error, UpstreamBusy | UpstreamRefused) or raised.value.not_accepted
    assert accepted() == 0 or not certain
    assert await provider.find(REFERENCE) is None
    assert not provider.find_is_complete
    return raised.value


async def stage_of_cancelled(provider: MediaProvider, model: str, polls: int) -> Stage:
    """Submit, poll so often, cancel, and return where the work stands."""
    job_id = (await provider.submit(submission(model))).provider_job_id
    await ended(provider, job_id, polls)
    return (await provider.cancel(job_id)).stage
