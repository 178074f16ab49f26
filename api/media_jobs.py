"""`/api/media/jobs/`: list media jobs, and cancel one."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, Field

from api import auth
from api.body import StrictRoute
from api.deps import CurrentResources, MayRender
from api.media import JobView, view
from api.pages import CursorQuery, Moment, read_time, time_cursor
from db import media_lists
from db.media_lists import JobFilter, JobPlace
from domain.errors import RequestInvalid
from domain.media import Kind, State

router = APIRouter(prefix="/api/media/jobs", tags=["media"], route_class=StrictRoute)


class JobQuery(CursorQuery):
    status: State | None = None
    kind: Kind | None = None
    model: Annotated[str | None, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")] = None
    created_after: Annotated[Moment | None, Field(description="Later than this time, or day in UTC.")] = None
    created_before: Annotated[Moment | None, Field(description="Earlier than this time, or day in UTC.")] = None

    @property
    def filter(self) -> JobFilter:
        if self.created_after and self.created_before and self.created_after >= self.created_before:
            raise RequestInvalid("'created_before' must be later than 'created_after'.", param="created_before")
        return JobFilter(self.status, self.kind, self.model, self.created_after, self.created_before)


class JobList(BaseModel):
    data: list[JobView]
    has_more: bool
    next: str | None


@router.get("/")
async def list_jobs(caller: MayRender, resources: CurrentResources, query: Annotated[JobQuery, Query()]) -> JobList:
    """List media jobs, newest first.

    A page looks at 5,000 jobs at most: with a filter it may be short, or empty, and still have a `next`.
    """
    place = None if query.cursor is None else JobPlace(*read_time(query.cursor))
    async with resources.database.reading() as session:
        page = await media_lists.listed(session, caller.account_id, query.filter, query.limit, place)
    data = [view(resources, job) for job in page.jobs]
    following = None if page.next is None else time_cursor(page.next.created_at, page.next.id)
    return JobList(data=data, has_more=following is not None, next=following)


@router.post("/{job_uuid}/cancel/", status_code=202, responses={200: {"model": JobView}})
async def cancel_job(
    request: Request, job_uuid: UUID, caller: MayRender, resources: CurrentResources, response: Response
) -> JobView:
    """Cancel a job. Idempotent: the answer is the job.

    202: it is being cancelled; what becomes of it, the provider decides. 200: it has ended, whether it was cancelled or
    had ended before. A job that its provider has made and bills succeeds, and is charged.
    """
    await auth.admit(request.scope, caller)  # it asks Temporal, each time
    job = await resources.cancellations.request(caller.account_id, job_uuid)
    response.status_code = 200 if job.state.terminal else 202
    return view(resources, job)
