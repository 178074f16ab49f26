"""Pages of lists: `{"data", "has_more", "next"}`. `next` is the `cursor` of the next page."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from db.pages import Page, Period
from domain.errors import RequestInvalid

MAX_PAGE_ENTRIES = 100
MAX_POSITION = 2**63 - 1


def _midnight(value: object) -> object:
    """Read a day as its first moment in UTC."""
    return f"{value}T00:00:00Z" if isinstance(value, str) and len(value) == len("2026-01-31") else value


Moment = Annotated[AwareDatetime, BeforeValidator(_midnight)]


class CursorQuery(BaseModel):
    """What every list takes. What its cursor says is the list's own."""

    model_config = ConfigDict(extra="forbid")

    cursor: Annotated[str | None, Field(max_length=1000, description="`next` of the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE_ENTRIES)] = 20


class PageQuery(CursorQuery):
    """Of a list whose entries have positions that are numbers."""

    @property
    def page(self) -> Page:
        return Page(self.limit, None if self.cursor is None else _read(self.cursor))


class PeriodQuery(PageQuery):
    since: Annotated[Moment | None, Field(alias="from", description="From this time, or day in UTC, on.")] = None
    until: Annotated[Moment | None, Field(alias="to", description="Up to this time, or day in UTC, without it.")] = None

    def period(self, since: datetime | None = None, until: datetime | None = None) -> Period:
        """Return the requested period, with the arguments as its defaults."""
        since, until = self.since or since, self.until or until
        if since and until and since >= until:
            raise RequestInvalid("'to' must be later than 'from'.", param="to")
        return Period(since, until)


class Positioned(Protocol):
    @property
    def position(self) -> int: ...


Entry = TypeVar("Entry", bound=Positioned)


def paginate(entries: Sequence[Entry], limit: int) -> tuple[Sequence[Entry], int | None]:
    """Return the page, and the position after which the next one begins, or None if this is the last.

    `entries` must have one entry more than `limit` if there is a next page.
    """
    if len(entries) <= limit:
        return entries, None
    return entries[:limit], entries[limit - 1].position


def cursor_invalid() -> RequestInvalid:
    return RequestInvalid("'cursor' must be the `next` of a page of this list.", param="cursor")


def encode_cursor(position: bytes) -> str:
    return urlsafe_b64encode(position).decode().rstrip("=")


def decode_cursor(text: str) -> bytes:
    """Raises `RequestInvalid` for what is not base64 as `encode_cursor` writes it."""
    try:
        position = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise cursor_invalid() from None
    if encode_cursor(position) != text:
        raise cursor_invalid()
    return position


def id_cursor(last: UUID | None) -> str | None:
    """Write the cursor of a list by ids. None: there is no next page."""
    return None if last is None else encode_cursor(last.bytes)


def read_id(text: str | None) -> UUID | None:
    """Raises `RequestInvalid` for what `id_cursor` has not written."""
    if text is None:
        return None
    try:
        last = UUID(bytes=decode_cursor(text))
    except ValueError:
        raise cursor_invalid() from None
    if last.version != 7:  # no entry has such an id
        raise cursor_invalid()
    return last


def time_cursor(moment: datetime, last: UUID) -> str:
    """Write the cursor of a list by times, and by ids at the same time."""
    return encode_cursor(f"{moment.isoformat()}|{last}".encode())


def read_time(text: str) -> tuple[datetime, UUID]:
    """Raises `RequestInvalid` for what `time_cursor` has not written."""
    try:
        time, _, last = decode_cursor(text).decode("ascii").partition("|")
        place = datetime.fromisoformat(time), UUID(last)
        if place[0].tzinfo is not None and time_cursor(*place) == text:
            return place
    except (ValueError, OverflowError):
        pass
    raise cursor_invalid()


def cursor(position: int | None) -> str | None:
    return None if position is None else encode_cursor(str(position).encode())


def _read(text: str) -> int:
    try:
        position = int(decode_cursor(text).decode("ascii"))
    except ValueError:
        position = 0
    if not 0 < position <= MAX_POSITION or cursor(position) != text:
        raise cursor_invalid()
    return position
