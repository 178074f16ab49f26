"""What processes report of faults that they meet: `yout doctor` may run where none of them shows."""

from typing import TYPE_CHECKING

from cli.checks.finding import Finding, fault, ok, warn
from db import worker_faults
from db.engine import Database
from domain.errors import ServiceUnavailable

if TYPE_CHECKING:
    from settings import Settings


async def check(settings: "Settings") -> list[Finding]:
    database = Database.open(settings.database_url.get_secret_value(), pool=1)
    try:
        async with database.reading() as session:
            reported = await worker_faults.showing(session)
    except ServiceUnavailable:
        remedy = "mend the database first, then run this again"
        return [warn("reported faults", "not checked: the database does not answer, or has another schema", remedy)]
    finally:
        await database.close()
    findings = [fault("reported faults", f"{one.what} ({one.where}), says a process", one.remedy) for one in reported]
    return findings or [ok("reported faults", "processes have reported none within the last minute")]
