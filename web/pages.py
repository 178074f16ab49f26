"""Whole pages from templates, and the headers that keep them from doing anything else."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import Response

from web import assets

FOLDER = Path(__file__).parent / "templates"
STILL = (
    "default-src 'none'; style-src 'self'; img-src 'self'; font-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The policy of a page without scripts and forms."""
GUARDS = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
"""Headers of every page."""
UNLISTED = {
    "x-robots-tag": "noindex, nofollow, noarchive, nosnippet",
    "cache-control": "private, no-store",
}
"""Headers of a page that nobody but its readers should find or keep."""


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.globals["asset"] = assets.load().url
    return environment


def html(template: str, values: Mapping[str, object]) -> str:
    """Render a template. What it is given is escaped, unless it is `Markup`."""
    return _environment().get_template(template).render(values)


def answer(content: str, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a page that has no scripts and that nobody indexes or keeps."""
    every = {"content-security-policy": STILL} | GUARDS | UNLISTED | dict(headers or {})
    return Response(content, status, every, "text/html; charset=utf-8")
