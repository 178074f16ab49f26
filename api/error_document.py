"""docs/errors.md, made from the table of errors."""

from api.error_codes import OF_JOBS, TABLE, Row, codes_of, openai_type
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

After the first byte of a stream there is no other status. The error is the last event then, and what was delivered is
charged:

| endpoint | the end of a stream that failed |
|---|---|
| `/v1/chat/completions`, `/v1/completions` | a chunk with `error` and `finish_reason: "error"`; no `[DONE]` |
| `/v1/responses` | the event `response.failed` |
| `/v1/messages` | the event `error` |
| `/api/chat/stream/` | an event with `"type": "error"` |

SDKs raise an exception by the status: 400 `BadRequestError`, 401 `AuthenticationError`, 403 `PermissionDeniedError`,
404 `NotFoundError`, 409 `ConflictError`, 422 `UnprocessableEntityError`, 429 `RateLimitError`, from 500 on
`InternalServerError`, any other `APIStatusError`.

| code | status | when | names | `type` at OpenAI | `type` at Anthropic | ask again? | what to do |
|---|---|---|---|---|---|---|---|
"""


def written() -> str:
    rows = [
        (code or "", row.status, _line(code, row, when, of_job=kind in OF_JOBS))
        for kind, row in TABLE.items()
        for code, when in codes_of(kind)
    ]
    return _HEAD + "\n".join(line for _, _, line in sorted(rows, key=lambda row: (row[1], row[0])))


def _line(code: str | None, row: Row, when: str, *, of_job: bool) -> str:
    anthropic = ERROR_TYPES.get(row.status, "api_error" if row.status >= 500 else "invalid_request_error")
    name = f"`{code}`" if code else "null"
    types = ("of a job", "of a job") if of_job else (f"`{openai_type(row.status)}`", f"`{anthropic}`")
    cells = (name, "" if of_job else row.status, when, row.param or "nothing", *types)
    return "| " + " | ".join(map(str, (*cells, row.repeat, row.remedy))) + " |"
