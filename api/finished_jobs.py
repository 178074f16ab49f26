"""What OpenAI's media endpoints share: a body becomes a job, and the request waits for the job's end.

A client that leaves, or that waits no longer, changes nothing: the job goes on, and is charged once when it succeeds.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Coroutine, Mapping
from dataclasses import field
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Self

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from api import privacy
from api.body import form_of
from api.media import WebhookUrl, accepted_job
from api.multipart import Form
from api.outputs import Outputs
from api.resources import Resources
from api.stream_response import dropped_header
from domain.caller import Caller
from domain.errors import (
    ContentPolicyViolation,
    GatewayError,
    JobFailed,
    ReplayGone,
    RequestInvalid,
    ServiceUnavailable,
    UpstreamRefused,
)
from domain.media import Job, Kind, Output, State
from domain.media_schema import MediaSchema, ParameterType
from domain.privacy import PrivacyClass
from domain.records import record
from gateway import job_waits
from gateway.idempotency import IdempotentRequest
from gateway.jobs import JobRequest

JOB_ID = "x-yout-job-id"
_ANEW = "For a new job, send it with another Idempotency-Key or with none."
_ABOUT_THE_CALLER = frozenset({"user", "metadata", "safety_identifier"})
"""Never sent to a provider, and not named as dropped."""
_ROUTED = "is not taken here: a job goes to the routes of its 'model', which 'privacy' may narrow."
_SAVED = "is not taken here: jobs are not kept in conversations."
_OF_CHATS: Mapping[str, str] = {
    "max_credits": "is not taken here: a job has one price, which POST /api/billing/quote/ tells.",
    **dict.fromkeys(("models", "provider", "route"), _ROUTED),
    **dict.fromkeys(("save", "conversation_id"), _SAVED),
}


class JobBody(BaseModel):
    """A body of OpenAI's media endpoints. A field that the model does not take is dropped, and named."""

    model_config = ConfigDict(extra="allow", strict=True)

    model: str
    privacy: Literal["default", "strict"] | None = None
    strict: bool | None = None
    webhook_url: WebhookUrl = None

    OWN: ClassVar[frozenset[str]] = frozenset({"model", "privacy", "strict", "webhook_url"})
    """Fields that this server acts on, beside the parameters of the job."""
    _form: Form | None = PrivateAttr(None)

    @classmethod
    def of(cls, request: Request, fields: Mapping[str, Any]) -> Self:
        """Read the fields of a body, or of a form. Raises `RequestValidationError`."""
        try:
            form = form_of(request)
            return cls.model_validate(fields) if form is None else cls._of_form(form)
        except ValidationError as error:
            raise RequestValidationError(
                [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_input=False)]
            ) from None

    @classmethod
    def _of_form(cls, form: Form) -> Self:
        """A field in a list is no text: it is one of those that the model may not know."""
        body = cls.model_validate_strings({name: text for name, text in form.fields.items() if isinstance(text, str)})
        lists = {name: texts for name, texts in form.fields.items() if not isinstance(texts, str)}
        for name in cls.OWN & lists.keys():
            raise refuse(name, "is one value, and no list.")
        if body.model_extra is not None:
            body.model_extra.update(lists)
        body._form = form
        return body

    def given(self, name: str) -> Any:
        """Return a field, declared or not. None: it is not there."""
        return (self.model_extra or {}).get(name, getattr(self, name, None))

    def files(self, name: str) -> list[str | bytes]:
        """Return the input files in a field: those of a form, or what names them.

        An object names its file as `image_url` or `file_id`. Raises `RequestInvalid` for anything else.
        """
        parts = [] if self._form is None else [part.content for part in self._form.files.get(name, ())]
        named = self.given(name)
        texts = [] if named is None else [_named(name, one) for one in (named if isinstance(named, list) else [named])]
        return [*parts, *texts]

    def require_known(self, *names: str) -> None:
        """Raise `RequestInvalid` for a file in a field that takes none."""
        for name in self._form.files if self._form else ():
            if name not in names:
                raise refuse(name[:100], "is not a file that is taken here.")

    def dropped(self, taken: Collection[str], caller: Caller) -> tuple[str, ...]:
        """Name the fields that are not used. Raises `RequestInvalid` for one if the body or the caller is strict.

        One by which a chat call is routed, saved or paid is refused: whoever sends it counts on it.
        """
        known = self.OWN | _ABOUT_THE_CALLER | set(taken)
        given = [name for name in self.model_fields_set | set(self.model_extra or ()) if name not in known]
        names = tuple(sorted(name for name in given if getattr(self, name, None) is not None))
        for name in (each.partition("[")[0] for each in names):  # a form names the inside of an object
            if name in _OF_CHATS:
                raise refuse(name, _OF_CHATS[name])
        if names and (self.strict or caller.credential.strict):
            raise RequestInvalid(
                f"'{names[0][:100]}' is not a parameter that this model takes here.",
                param=names[0][:100],
                code="unsupported_parameter",
            )
        return names

    def parameters(self, schema: MediaSchema) -> dict[str, object]:
        """Return the fields that the model takes. `auto` is none, where it is not a value of the model's own."""
        given = {**dict(self), **(self.model_extra or {})}
        known = {name: value for name in schema.parameters if (value := given.get(name)) is not None}
        if self._form is not None:
            known = {name: _typed(schema.parameters[name].type, value) for name, value in known.items()}
        return {name: value for name, value in known.items() if value != "auto" or schema.allows(name, value)}

    def job(
        self, kind: Kind, caller: Caller, text: str, parameters: Mapping[str, object], idempotent: IdempotentRequest
    ) -> JobRequest:
        wishes = (privacy.named(self.privacy), caller.credential.privacy)
        required = PrivacyClass.strongest(*(wish.required for wish in wishes))
        return JobRequest(
            kind,
            self.model,
            text,
            parameters,
            idempotent=idempotent,
            admitted=True,
            privacy=required,
            webhook_url=self.webhook_url,
        )


def _named(name: str, value: object) -> str:
    source = value.get("image_url") or value.get("file_id") if isinstance(value, dict) else value
    if not isinstance(source, str) or not source:
        message = f"'{name}' must be a file, an https URL, a data URI, or the id of an upload."
        raise RequestInvalid(message, param=name, code="invalid_type")
    return source


def _typed(kind: ParameterType, value: object) -> object:
    """Read a text of a form as what the model takes. What is none stays a text, and is refused."""
    try:
        return _READ[kind](value) if isinstance(value, str) and kind in _READ else value
    except (ValueError, KeyError):
        return value


_READ: Mapping[ParameterType, Callable[[str], object]] = {
    ParameterType.INTEGER: int,
    ParameterType.NUMBER: float,
    ParameterType.BOOLEAN: {"true": True, "false": False}.__getitem__,
}


def described(body: type[JobBody], **files: Mapping[str, Any]) -> dict[str, Any]:
    """Describe a body that is JSON, or a form with files."""
    schema = body.model_json_schema(ref_template="#/components/schemas/{model}")
    form = schema | {"properties": schema["properties"] | files}
    content = {"application/json": {"schema": schema}, "multipart/form-data": {"schema": form}}
    return {"required": True, "content": content}


def refuse(name: str, why: str) -> RequestInvalid:
    """The error for a field of OpenAI's that has no meaning here, and that must not be dropped."""
    return RequestInvalid(f"'{name}' {why}", param=name, code="unsupported_parameter")


@record
class FinishedJob:
    job: Job
    outputs: tuple[Output, ...]
    headers: dict[str, str] = field(repr=False)


async def finished(resources: Resources, request: Request, caller: Caller, order: JobRequest) -> FinishedJob:
    """Start the job, or find it, and wait for its end. Raises what acceptance raises, and `failure` of the job."""
    with resources.job_waits.place(caller.account_id):
        accepted = await accepted_job(resources, caller, order)
        job = await _while_connected(request, job_waits.ended(resources.job_changes, accepted.job))
    if job.state is not State.SUCCEEDED:
        raise failure(job)
    outputs = job.served(datetime.now(UTC))
    if not outputs:
        raise ReplayGone(f"The job {job.id} has made this answer before, and its outputs have expired since.")
    headers = {
        JOB_ID: str(job.id),
        "x-yout-credits-charged": str(job.credits_cost - job.credits_refunded),
        "x-yout-balance": str(accepted.available + (0 if accepted.replayed else job.credits_refunded)),
    }
    return FinishedJob(job, outputs, headers | ({"idempotent-replayed": "true"} if accepted.replayed else {}))


def named_as_dropped(names: Collection[str]) -> dict[str, str]:
    """Return the header that names dropped fields."""
    return {name.decode(): value.decode() for name, value in dropped_header(tuple(names))}


def failure(job: Job) -> GatewayError:
    """Return the error of a job that made nothing. It cost nothing."""
    if job.error is None:
        return JobFailed(f"The job was cancelled. Its credits were given back. {_ANEW}", job_id=job.id)
    match job.error.code:
        case ContentPolicyViolation.code:
            return ContentPolicyViolation()
        case UpstreamRefused.code:
            return RequestInvalid(job.error.message)
    return JobFailed(f"{job.error.message} {_ANEW}", code=job.error.code, job_id=job.id)


async def chunks_of(request: Request, output: Output) -> AsyncIterator[bytes]:
    """Yield the bytes of an output."""
    outputs: Outputs = request.app.state.outputs
    async for chunk in outputs.storage.read(output.object_key, 0, output.bytes):
        yield chunk


async def _while_connected(request: Request, waiting: Coroutine[Any, Any, Job]) -> Job:
    """Wait, but not for a client that has left. Raises what the wait raises."""
    wait, left = asyncio.create_task(waiting), asyncio.create_task(_left(request))
    try:
        await asyncio.wait((wait, left), return_when=asyncio.FIRST_COMPLETED)
        if not wait.done():
            raise ServiceUnavailable("The client left before its job had ended. The job goes on.")
        return wait.result()
    finally:
        for task in (wait, left):
            task.cancel()
        await asyncio.gather(wait, left, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
