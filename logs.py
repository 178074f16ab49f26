"""How a process logs: structured, to stdout, never a body, header, query string or exception text."""

import logging
import sys

import structlog

_QUIET = ("uvicorn.access", "httpx2", "httpcore2", "aiohttp.access", "asyncio")


def configure(form: str) -> None:
    """`form` is `console` or `json`."""
    rendering: structlog.typing.Processor = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stdout.isatty())
    )
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    formatter = structlog.stdlib.ProcessorFormatter(
        processors=[_without_tracebacks, structlog.stdlib.ProcessorFormatter.remove_processors_meta, rendering],
        foreign_pre_chain=shared,
    )
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def _without_tracebacks(_: object, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """A traceback's last line is the exception's text, which may quote a request: keep the type alone."""
    info = event.pop("exc_info", None)
    if isinstance(info, tuple) and info[0] is not None:
        event["fault"] = info[0].__name__
    elif isinstance(info, BaseException):
        event["fault"] = type(info).__name__
    event.pop("stack_info", None)
    return event
