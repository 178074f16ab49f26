"""The types of columns, and the naming of constraints and indexes."""

from typing import Any

from sqlalchemy import BigInteger, Column, DateTime, FetchedValue, LargeBinary, Numeric, Text, Uuid, func
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import SQLModel

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
SQLModel.metadata.naming_convention = NAMING


def time(*, nullable: bool = True, index: bool | None = None) -> Any:
    return Column(DateTime(timezone=True), nullable=nullable, index=index)


def owner() -> Any:
    """A column with the account of a row that belongs to another row. The trigger `owner` fills it from that row.

    It has no foreign key: the other row has one. Null: a process of a release before this column wrote a job's file.
    """
    return Column(Uuid, FetchedValue(), nullable=True)


def now() -> Any:
    return Column(DateTime(timezone=True), nullable=False, server_default=func.now())


def money(default: int | None = None) -> Any:
    server_default = None if default is None else str(default)
    return Column(BigInteger, nullable=False, server_default=server_default)


def epoch() -> Any:
    """A column with the account's epoch of when the row was made. A purge erases rows of older epochs."""
    return Column(BigInteger, nullable=False, server_default="1")


def cost(default: int | None = None) -> Any:
    """A column of credits with decimals: what a provider bills is not rounded. With a default, it is never null."""
    server_default = None if default is None else str(default)
    return Column(Numeric, nullable=default is None, server_default=server_default)


def counts() -> Any:
    """A JSON column of counts by meter."""
    return Column(JSONB, nullable=False, server_default="{}")


def checksum(*, nullable: bool = False) -> Any:
    """A column with a SHA-256 over columns that belong together. The database computes it when it writes the row."""
    return Column(LargeBinary, FetchedValue(), nullable=nullable)


def text_column(*, nullable: bool = False, default: str | None = None) -> Any:
    return Column(Text, nullable=nullable, server_default=default)
