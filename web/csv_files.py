"""Lists as CSV files, of any length: each page of the list is called, written and forgotten."""

import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any

from starlette.responses import Response, StreamingResponse

from web.pages import GUARDS
from web.visit import Visit

Cell = str | int | None
Rows = Callable[[Mapping[str, Any]], Iterable[Sequence[Cell]]]
"""The lines of one page of a list."""
PAGE = 100
"""What is called at once."""
_ACTIVE = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\t", "\r", "\n")
"""What makes a spreadsheet compute a text. Some read the wide signs of East Asian keyboards as the narrow ones."""


def harmless(cell: Cell) -> Cell:
    """Return a text that no spreadsheet computes. Numbers are no texts: they stay."""
    return f"'{cell}" if isinstance(cell, str) and cell.lstrip(" ").startswith(_ACTIVE) else cell


def line(cells: Sequence[Cell]) -> str:
    written = io.StringIO()
    csv.writer(written).writerow(["" if cell is None else harmless(cell) for cell in cells])
    return written.getvalue()


async def answer(visit: Visit, name: str, path: str, query: Mapping[str, object], rows: Rows) -> Response:
    """Return a list of the API as a file. Raises `Fault` if its first page does.

    A page that fails later breaks the answer off: half of a file is never taken for the whole.
    """
    first = await visit.get(path, **query, limit=PAGE)
    headers = GUARDS | {
        "content-disposition": f'attachment; filename="{name}"',
        "cache-control": "private, no-store",
        "content-security-policy": "default-src 'none'",
    }
    return StreamingResponse(_lines(visit, path, query, rows, first), 200, headers, "text/csv; charset=utf-8")


async def _lines(
    visit: Visit, path: str, query: Mapping[str, object], rows: Rows, page: Mapping[str, Any]
) -> AsyncIterator[str]:
    while True:
        yield "".join(line(cells) for cells in rows(page))
        if not page["has_more"]:
            return
        page = await visit.get(path, **query, limit=PAGE, cursor=page["next"])
