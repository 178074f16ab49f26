"""Ids in the addresses of pages."""

from urllib.parse import quote
from uuid import UUID

from web.api import Fault
from web.visit import Visit


def in_path(visit: Visit, name: str) -> str:
    """Return the id that the address has. Raises `Fault` for what is none: there is no such page."""
    try:
        return str(UUID(str(visit.request.path_params[name])))
    except ValueError:
        raise Fault(404, "There is no such page.") from None


def as_part(name: object) -> str:
    """Write a name or an id as one part of a path, whatever is in it."""
    return quote(str(name), safe="")
