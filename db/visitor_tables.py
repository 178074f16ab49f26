"""The tables of visitors: what each has sent in a day. Of no account, and deleted after the day.

There is no address and no cookie here: both are counted under keyed hashes, and the key is of one day.
"""

from datetime import date, datetime

from sqlalchemy import CheckConstraint, Column, Date, ForeignKey, Integer, LargeBinary
from sqlmodel import Field, SQLModel

from db.columns import now, text_column


class VisitorDayRow(SQLModel, table=True):
    """A UTC day on which somebody visits, with the key of its hashes. The master secret encrypts the key."""

    __tablename__ = "visitor_days"
    day: date = Field(sa_column=Column(Date, primary_key=True))
    wrapped: bytes = Field(sa_column=Column(LargeBinary, nullable=False), repr=False)
    wrapped_by: str | None = Field(default=None, sa_column=text_column(nullable=True))
    created_at: datetime | None = Field(default=None, sa_column=now())


class VisitorCountRow(SQLModel, table=True):
    """How many messages were sent under a cookie, or from a network."""

    __tablename__ = "visitor_counts"
    __table_args__ = (CheckConstraint("used >= 0", name="used"), {"postgresql_with": {"fillfactor": "70"}})
    day: date = Field(sa_column=Column(ForeignKey("visitor_days.day", ondelete="CASCADE"), primary_key=True))
    digest: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    used: int = Field(sa_column=Column(Integer, nullable=False))
