"""Answers with the errors that a client can see. `error_codes` has their table, and a client wire formats them."""

import math
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import orjson
import structlog
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match
from starlette.types import Scope

from api.error_codes import CODES, TABLE, openai_type
from api.exchange import Exchange
from api.wire.base import JSON, ClientWire, ErrorAnswer
from domain import errors, validation
from domain.errors import GatewayError
from web import faults
from web.faults import Problem

log = structlog.get_logger(__name__)

WIRE = "wire"
"""The key of the client wire of the path in a request's state."""
_RETRY_LATER = "2"
_BASE_URLS = "A base URL ends in /v1 for OpenAI's clients, before it for Anthropic's."
_API = ("/api/", "/v1/")
_MAX_SEGMENTS = 6
"""Segments at the end of an unknown path that are compared with the paths of endpoints."""


def of(error: GatewayError) -> ErrorAnswer:
    """Return the answer for an error. For a 402 it has the credits needed and available."""
    more: Mapping[str, Any] = {}
    if isinstance(error, errors.InsufficientCredits):
        more = {
            "required": error.required,
            "available": error.available,
            "held": error.held,
            "limit_source": error.limit_source,
        }
        if error.resets_at is not None:
            more = {**more, "resets_at": error.resets_at.isoformat().replace("+00:00", "Z")}
    return ErrorAnswer(
        status=TABLE[type(error)].status,
        message=error.message,
        param=getattr(error, "param", None),
        code=error.code if error.code in CODES else None,
        more=more,
        headers=headers(error),
    )


def rename(error: GatewayError, as_written: Callable[[str], str]) -> None:
    """Put the client's name of the field into an error that names another one."""
    param = getattr(error, "param", None)
    if isinstance(param, str) and (name := as_written(param)) != param:
        error.args = (error.message.replace(f"'{param}", f"'{name}"),)
        error.param = name  # type: ignore[attr-defined]  # it has one


def envelope(error: ErrorAnswer) -> dict[str, Any]:
    """OpenAI's error object."""
    fields = {"message": error.message, "type": openai_type(error.status), "param": error.param, "code": error.code}
    return {"error": {**fields, **error.more}}


def openai_error(error: ErrorAnswer, request_id: str) -> bytes:
    """Implements `ClientWire.error`, for wires with OpenAI's envelope."""
    return orjson.dumps(envelope(error))


def headers(error: GatewayError) -> dict[str, str]:
    """Return the headers that tell a client whether and when to retry."""
    match error:
        case errors.InsufficientCredits():
            if error.limit_source == "balance" and error.available + error.held >= error.required:
                return {"retry-after": _RETRY_LATER, "x-should-retry": "true"}
            return {"x-should-retry": "false"}
        case errors.RateLimited(retry_after=after) | errors.UpstreamBusy(retry_after=after):
            return _retry_headers(after or timedelta(seconds=1))
        case errors.UpstreamError(retry_after=timedelta() as after):
            return _retry_headers(after)
        case errors.ServiceUnavailable() | errors.HoldVoided() | errors.HoldClosed():
            return {"retry-after": _RETRY_LATER}
        case errors.AlreadyRunning() | errors.EndedByPurge():
            return {"retry-after": _RETRY_LATER, "x-should-retry": "true"}
        case errors.KeyReused() | errors.ReplayGone() | errors.JobFailed():
            return {"x-should-retry": "false", **_job_of(error)}
    return {}


def _job_of(error: GatewayError) -> dict[str, str]:
    job_id = getattr(error, "job_id", None)
    return {} if job_id is None else {"x-yout-job-id": str(job_id)}


def _retry_headers(after: timedelta) -> dict[str, str]:
    milliseconds = math.ceil(after.total_seconds() * 1000)
    return {"retry-after": str(math.ceil(milliseconds / 1000)), "retry-after-ms": str(milliseconds)}


def answer_to(error: Exception, scope: Scope) -> ErrorAnswer:
    """Return the answer for any exception. An unknown one becomes a 500 and is logged."""
    match error:
        case GatewayError():
            if TABLE[type(error)].status == 500:
                log.error("internal error", fault=type(error).__name__)
            return of(_with_content_type(error, scope))
        case HTTPException():
            return _http_error(error, scope)
        case RequestValidationError():
            return _validation_error(error)
    log.error("unhandled error", fault=type(error).__name__, at=_where(error))
    return of(GatewayError("Something went wrong here. Nothing that was not delivered is charged."))


def _with_content_type(error: GatewayError, scope: Scope) -> GatewayError:
    """Add the cause to `invalid_json` if a header declares a content type or an encoding that we do not read."""
    if not isinstance(error, errors.RequestInvalid) or error.code != "invalid_json":
        return error
    headers = dict(scope.get("headers", ()))
    content_type, coding = headers.get(b"content-type", b"json").lower(), headers.get(b"content-encoding", b"identity")
    if coding.lower() != b"identity":
        hint = f"Send it without 'Content-Encoding'; this was sent as '{coding[:60].decode('latin-1')}'."
    elif b"json" not in content_type:
        kind = content_type.partition(b";")[0][:60].decode("latin-1")
        hint = f"Send JSON, with 'Content-Type: application/json'; this was sent as '{kind}'."
    elif b"charset" in content_type and b"utf-8" not in content_type:
        hint = "Send it as UTF-8, as JSON is."
    else:
        return error
    return errors.RequestInvalid(f"{error.message} {hint}", param=error.param, code=error.code)


def _http_error(error: HTTPException, scope: Scope) -> ErrorAnswer:
    """Translate an error of the framework, such as an unknown path or a wrong method."""
    match error.status_code:
        case 404:
            return _nothing(scope, _hint(scope))
        case 405 if not scope["path"].startswith(_API) and (hint := _hint(scope)):
            return _nothing(scope, hint)  # a page is there, and a program with a wrong base URL asks for something else
        case 405:
            return ErrorAnswer(405, f"{scope['method']} is not allowed here.", headers={"allow": _allowed(scope)})
        case 408:
            return ErrorAnswer(408, "The request body took too long.")
        case 413:
            return of(errors.RequestTooLarge())
        case 400:
            return ErrorAnswer(400, "The request body could not be read.", code="invalid_json")
    return ErrorAnswer(error.status_code, "The request could not be served.", headers=error.headers or {})


def _nothing(scope: Scope, hint: str) -> ErrorAnswer:
    return ErrorAnswer(404, f"There is nothing at {scope['method']} {scope['path'][:200]}.{hint}")


def _hint(scope: Scope) -> str:
    """Return a hint for a client whose base URL lacks `/v1`, has it twice, or has some other wrong part."""
    path: str = scope["path"]
    if path in {"/v1", "/v1/chat"}:
        return f" Did you mean /v1/models or /v1/chat/completions? {_BASE_URLS}"
    routes: Sequence[BaseRoute] = scope["app"].router.routes
    segments = [segment for segment in path.split("/") if segment][-_MAX_SEGMENTS:]
    for start in range(len(segments)):
        rest = "/".join(segments[start:])
        for candidate in (f"/v1/{rest}", f"/api/{rest}/"):
            if any(route.matches({**scope, "path": candidate})[0] is not Match.NONE for route in routes):
                return f" Did you mean {candidate[:200]}? {_BASE_URLS}"
    return ""


def _allowed(scope: Scope) -> str:
    """Return all methods of this path, from every route that has it."""
    routes: Sequence[BaseRoute] = scope["app"].router.routes
    allowed = {
        method
        for method in ("DELETE", "GET", "PATCH", "POST", "PUT")
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in routes)
    }
    return ", ".join(sorted(allowed | {"OPTIONS"} | ({"HEAD"} if "GET" in allowed else set())))


_KINDS = {"missing": "missing_required_parameter", "extra_forbidden": "unsupported_parameter"}


def _validation_error(error: RequestValidationError) -> ErrorAnswer:
    """Describe the first fault by its field, without what the caller sent."""
    first = error.errors()[0]
    if first["loc"][0] == "path":  # no id looks like this: it names nothing, as an id of another account does
        return of(errors.NotFound())
    param = ".".join(str(part) for part in first["loc"][1:] if not isinstance(part, int)) or None
    kind = str(first["type"])
    if kind == "json_invalid":
        return of(errors.RequestInvalid("The request body is not valid JSON.", code="invalid_json"))
    code = _KINDS.get(kind, "invalid_type" if kind.endswith("_type") or kind.endswith("_parsing") else "invalid_value")
    if param is None and kind == "missing":
        return of(errors.RequestInvalid("The request has no body. Send a JSON object.", code=code))
    sentence = validation.requirement(kind, str(first["msg"]), first.get("ctx", {}))
    colon = "" if sentence.startswith(("is ", "must ", "has ")) else ":"
    return of(errors.RequestInvalid(f"'{param or 'body'}'{colon} {sentence}.", param=param, code=code))


def _where(error: Exception) -> str:
    """Return the file and line of the fault: the only part of a traceback that cannot contain a prompt."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else "?"


def written(error: ErrorAnswer, scope: Scope) -> Response:
    """Format the error for the client wire of this path, or in OpenAI's form on any other path."""
    if error.status == 405 and scope["method"] == "OPTIONS":
        return Response(status_code=204, headers=dict(error.headers))
    state = scope.get("state", {})
    wire: ClientWire | None = state.get(WIRE)
    body = (openai_error if wire is None else wire.error)(error, state.get("request_id", ""))
    return Response(body, error.status, dict(error.headers), JSON if wire is None else wire.content_type)


async def reply(exchange: Exchange, error: Exception) -> None:
    answer = written(answer_to(error, exchange.scope), exchange.scope)
    headers = [header for header in answer.raw_headers if header[0] != b"content-length"]
    await exchange.reply(answer.status_code, headers, bytes(answer.body))


def install(app: FastAPI) -> None:
    async def handle(request: Request, error: Exception) -> Response:
        answer = answer_to(error, request.scope)
        if faults.concerns(request):
            problem = Problem(
                answer.status, answer.message, answer.headers.get("retry-after"), request.state.request_id
            )
            return faults.page(problem, request)
        return written(answer, request.scope)

    async def handle_fault(request: Request, error: Exception) -> Response:
        request.state.fault = error
        return await handle(request, error)

    for kind in (GatewayError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, handle)
    app.add_exception_handler(Exception, handle_fault)


def answered(error: Exception, scope: Scope) -> bool:
    """Whether a client has the whole answer to this fault. Starlette raises it once more after that."""
    return scope.get("state", {}).get("fault") is error
