"""Checks of the master secret: does it open what is stored."""

import asyncio
from typing import TYPE_CHECKING

from cli.checks.finding import Finding, fault, ok, warn
from db.engine import Database
from domain.errors import ServiceUnavailable
from gateway.secret_check import REMEDY, opens

if TYPE_CHECKING:
    from settings import Settings


async def check(settings: "Settings") -> list[Finding]:
    database = await asyncio.to_thread(Database.open, settings.database_url.get_secret_value(), pool=1)
    try:
        ours = await opens(database, settings.wrapping)
    except ServiceUnavailable:
        remedy = "mend the database first, then run this again"
        return [warn("master secret", "not checked: the database does not answer, or has another schema", remedy)]
    finally:
        await database.close()
    if ours:
        return [ok("master secret", "it opens what is stored")]
    return [fault("master secret", "the master secret is not this database's (YOUT_SECRET_KEY)", REMEDY)]
