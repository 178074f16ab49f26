"""Which routes of a model may answer a call: by what its caller requires of them, not by how they are doing."""

from collections.abc import Callable, Sequence

from domain.catalog import Route
from domain.errors import RequestInvalid
from domain.privacy import PrivacyClass
from providers.base import NativeRequest


def of_class(routes: Sequence[Route], required: PrivacyClass, model: str) -> tuple[Route, ...]:
    """Return the routes that keep as little as `required` says. Raises `RequestInvalid` if there is none."""
    allowed = tuple(route for route in routes if route.privacy.covers(required))
    if allowed:
        return allowed
    raise RequestInvalid(
        f"The model '{model}' has no route of the privacy class '{required}' here. GET /v1/models lists the classes.",
        param="privacy",
        code="unsupported_parameter",
    )


def taking_all(
    routes: Sequence[Route], dropped: Callable[[Route], tuple[str, ...]], needed: frozenset[str] | None = None
) -> tuple[Route, ...]:
    """Return the routes that take every parameter of the request; only these, if `needed` names some.

    Raises `RequestInvalid` if there is none.
    """
    if needed is not None and not needed:
        return tuple(routes)
    names = [[name for name in dropped(route) if needed is None or name in needed] for route in routes]
    taken = tuple(route for route, left_out in zip(routes, names, strict=True) if not left_out)
    if taken:
        return taken
    name = names[0][0]
    raise RequestInvalid(
        f"'{name}' is not a parameter that this model takes here.", param=name, code="unsupported_parameter"
    )


def native_first(routes: Sequence[Route], native: NativeRequest | None) -> tuple[Route, ...]:
    """Put the routes first whose providers take the request as its client wrote it. Else their order stays."""
    if native is None:
        return tuple(routes)
    return tuple(sorted(routes, key=lambda route: route.provider.kind != native.wire))
