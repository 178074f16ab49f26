"""Lists are given in pages: `{"data", "has_more", "next"}`; `next` is the `cursor` of the page after this one."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Protocol, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from db.pages import Page, Period, Place
from domain.errors import RequestInvalid

LONGEST_PAGE = 100


def _midnight(value: object) -> object:
    """A day stands for its first moment, in UTC."""
    return f"{value}T00:00:00Z" if isinstance(value, str) and len(value) == len("2026-01-31") else value


Moment = Annotated[AwareDatetime, BeforeValidator(_midnight)]


class PageQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cursor: Annotated[str | None, Field(max_length=1000, description="`next` of the page before.")] = None
    limit: Annotated[int, Field(ge=1, le=LONGEST_PAGE)] = 20

    @property
    def page(self) -> Page:
        return Page(self.limit, None if self.cursor is None else _read(self.cursor))


class PeriodQuery(PageQuery):
    since: Annotated[Moment | None, Field(alias="from", description="From this time, or day in UTC, on.")] = None
    until: Annotated[Moment | None, Field(alias="to", description="Up to this time, or day in UTC, without it.")] = None

    def period(self, since: datetime | None = None, until: datetime | None = None) -> Period:
        """What was asked for; else what is given here."""
        since, until = self.since or since, self.until or until
        if since and until and since >= until:
            raise RequestInvalid("'to' must be later than 'from'.", param="to")
        return Period(since, until)


class Placed(Protocol):
    @property
    def place(self) -> Place: ...


Entry = TypeVar("Entry", bound=Placed)


def cut(found: Sequence[Entry], page: Page) -> tuple[Sequence[Entry], str | None]:
    """The page, and the cursor of the next one: `found` has one entry more than the page when there is one."""
    kept, last = upto(found, page.limit)
    return kept, None if last is None else _written(last)


def upto(found: Sequence[Entry], limit: int) -> tuple[Sequence[Entry], Place | None]:
    """The page, and the place after which the next one begins."""
    if len(found) <= limit:
        return found, None
    return found[:limit], found[limit - 1].place


def _written(place: Place) -> str:
    return urlsafe_b64encode(f"{place[0].isoformat()} {place[1]}".encode()).decode().rstrip("=")


def _read(cursor: str) -> Place:
    try:
        at, _, id_ = urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().partition(" ")
        place = datetime.fromisoformat(at), UUID(id_)
    except ValueError:
        place = None
    if place is None or place[0].tzinfo is None:
        raise RequestInvalid("'cursor' must be the `next` of a page of this list.", param="cursor")
    return place
