"""Spans around the steps of an adapter: a proxy goes around it, so that the adapter knows nothing of traces.

A step outside of a trace is none: what runs by itself in the background makes no spans.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer, get_current_span
from opentelemetry.util.types import AttributeValue

from tracing import names

T = TypeVar("T")
Values = Mapping[str, AttributeValue]


def _nothing(*_: object) -> Values:
    return {}


@dataclass(frozen=True, slots=True)
class Step:
    """A span around an asynchronous method. Attributes are of its first argument, and of its result."""

    name: Callable[[Any], str]
    given: Callable[[Any], Values] = _nothing
    result: Callable[[Any], Values] = _nothing
    kind: SpanKind = SpanKind.CLIENT


def traced(inner: T, tracer: Tracer, steps: Mapping[str, Step]) -> T:
    """Return a proxy of `inner` with a span around each of these methods."""
    return cast(T, _Traced(inner, tracer, steps))


def fault(error: BaseException) -> str:
    """Return the code of an error of ours, or the type of another one."""
    code = getattr(error, "code", None)
    return code if isinstance(code, str) else type(error).__name__


class _Traced:
    def __init__(self, inner: object, tracer: Tracer, steps: Mapping[str, Step]) -> None:
        self._inner, self._tracer, self._steps = inner, tracer, steps

    def __getattr__(self, name: str) -> Any:
        attribute, step = getattr(self._inner, name), self._steps.get(name)
        if step is None:
            return attribute

        async def spanned(*given: Any, **named: Any) -> Any:
            if not get_current_span().get_span_context().is_valid:
                return await attribute(*given, **named)
            first = given[0]
            with self._tracer.start_as_current_span(
                step.name(first),
                kind=step.kind,
                attributes=step.given(first),
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                try:
                    result = await attribute(*given, **named)
                except BaseException as error:
                    span.set_attribute(names.ERROR, fault(error))
                    span.set_status(Status(StatusCode.ERROR))
                    raise
                span.set_attributes(step.result(result))
                return result

        return spanned
