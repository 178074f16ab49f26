"""docs/errors.md, made from the table of errors."""

from api.error_codes import IN_STREAMS, OF_JOBS, TABLE, Row, codes_of, openai_type
from api.wire.anthropic_messages_answer import ERROR_TYPES

_HEAD = """# Errors

`.venv/bin/yout openapi --errors > docs/errors.md` makes this page from the table by which the server answers
(`api/error_codes.py`).

Every error has a status and a code of this closed list. A message is a sentence of this server: it has no text of a
provider, and nothing of what you sent but names of fields and models. Each answer has the header `x-request-id`.

| wire | an error, before a stream begins |
|---|---|
| OpenAI's and our own | `{"error": {"message", "type", "param", "code"}}` |
| Anthropic's (`/v1/messages`) | `{"type": "error", "error": {"type", "message", …}, "request_id"}` |

SDKs raise an exception by the status: 400 `BadRequestError`, 401 `AuthenticationError`, 403 `PermissionDeniedError`,
404 `NotFoundError`, 409 `ConflictError`, 422 `UnprocessableEntityError`, 429 `RateLimitError`, from 500 on
`InternalServerError`, any other `APIStatusError`.

| code | status | when | names | `type` at OpenAI | `type` at Anthropic | ask again? | what to do |
|---|---|---|---|---|---|---|---|
"""
_IN_STREAMS = """

## In the middle of a stream

After the first output of a stream there is no other status. The error is its end then, and what was delivered is
charged. The headers of the stream have the request id.

| endpoint | the end of a stream that failed | its SDK raises |
|---|---|---|
| `/v1/chat/completions` | a chunk with `error`, `finish_reason: "error"`; no `[DONE]` | `openai.APIError` with `code` |
| `/v1/completions` | the same | the same |
| `/v1/responses` | the event `error`, then `response.failed` | the same, at the event `error` |
| `/v1/messages` | the event `error`; no `message_stop` | `anthropic.APIStatusError` with `body` |
| `/api/chat/stream/` | an event with `"type": "error"` | |

These errors can end a stream so. Credits that run out, and a limit that is reached, are no errors: the finish reason is
`length` then, `max_tokens` on Anthropic's wire, and a response is `incomplete`.

| code | when | `type` at OpenAI | `type` at Anthropic |
|---|---|---|---|
"""


def written() -> str:
    rows = [
        (code or "", row.status, _line(code, row, when, of_job=kind in OF_JOBS))
        for kind, row in TABLE.items()
        for code, when in codes_of(kind)
    ]
    return _HEAD + "\n".join(line for _, _, line in sorted(rows, key=lambda row: (row[1], row[0]))) + _in_streams()


def _in_streams() -> str:
    rows = []
    for kind in IN_STREAMS:
        status = TABLE[kind].status
        types = f"`{openai_type(status)}` | `{_anthropic_type(status)}`"
        rows += [f"| `{code}` | {when} | {types} |" for code, when in codes_of(kind)]
    return _IN_STREAMS + "\n".join(sorted(rows))


def _anthropic_type(status: int) -> str:
    return ERROR_TYPES.get(status, "api_error" if status >= 500 else "invalid_request_error")


def _line(code: str | None, row: Row, when: str, *, of_job: bool) -> str:
    name = f"`{code}`" if code else "null"
    types = ("of a job", "of a job") if of_job else (f"`{openai_type(row.status)}`", f"`{_anthropic_type(row.status)}`")
    cells = (name, "" if of_job else row.status, when, row.param or "nothing", *types)
    return "| " + " | ".join(map(str, (*cells, row.repeat, row.remedy))) + " |"
