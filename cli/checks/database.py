"""Checks of PostgreSQL: does it answer, is it this program's, and may this role do what it must."""

from datetime import timedelta

import psycopg

from cli.checks.finding import Finding, fault, ok, warn
from db import connections, long_locks, server_facts
from db.faults import MIGRATE, READ_ONLY, RIGHTS, describe, place
from db.long_locks import LongLock
from db.roles import SINGLE_ROLE
from db.server_facts import ServerFacts

OLDEST_SERVER = 180_000
CLOCK_WARNING, CLOCK_FAULT = timedelta(seconds=1), timedelta(seconds=30)
"""Leases and links run out by the database's clock or this machine's."""
FULL = 0.8
"""The part of the connections above which there is little room."""
NAMED = 5
"""Rights and tables that are named; more are counted."""
END_SESSION = "SELECT pg_terminate_backend(%d)"


async def check(url: str) -> list[Finding]:
    try:
        facts = await server_facts.read(url)
    except (psycopg.Error, UnicodeError, ValueError) as error:
        broken = describe(error, url)
        return [fault("database", f"{broken.what} ({broken.where})", broken.remedy)]
    return [
        _server(facts, place(url)),
        _migrations(facts),
        *_rights(facts),
        _clock(facts.clock_ahead),
        _time_zone(facts.time_zone),
        _connections(facts),
        *_pooler(facts),
        *_locks(facts),
        *_settings(facts),
    ]


def _server(facts: ServerFacts, where: str) -> Finding:
    version = f"{facts.version // 10_000}.{facts.version % 10_000}"
    if facts.version < OLDEST_SERVER:
        return fault("database", f"PostgreSQL {version} at {where} is too old", "use PostgreSQL 18 or newer")
    if facts.read_only:
        return fault("database", f"{where} is read-only", READ_ONLY)
    if not facts.has_room:
        full = describe(psycopg.errors.DiskFull(), "")
        return fault("database", f"{full.what} ({where})", full.remedy)
    return ok("database", f"PostgreSQL {version} at {where}")


def _migrations(facts: ServerFacts) -> Finding:
    newest = max(connections.REVISIONS)
    if facts.revision is None:
        return fault("migrations", "the database is not migrated, or this role may not see it", MIGRATE)
    if facts.is_current:
        return ok("migrations", f"the schema is at {newest}, as this program needs")
    if facts.is_newer:
        return warn(
            "migrations", connections.newer_schema(facts.revision), "end the upgrade: run the newer version everywhere"
        )
    return fault("migrations", f"the schema is at {facts.revision}, and this program needs {newest}", MIGRATE)


def _rights(facts: ServerFacts) -> list[Finding]:
    if not facts.is_current:
        return []
    if facts.lacking:
        what = f"the role {facts.role} may not {_named(facts.lacking)}"
        return [fault("role rights", what, RIGHTS)]
    if facts.excess:
        return [warn("role rights", f"the role {facts.role} {_named(facts.excess)}", SINGLE_ROLE)]
    return [ok("role rights", f"the role {facts.role} has what it needs, and no more")]


def _named(rights: tuple[str, ...]) -> str:
    more = f" and {len(rights) - NAMED} more" if len(rights) > NAMED else ""
    return ", ".join(rights[:NAMED]) + more


def _clock(ahead: timedelta) -> Finding:
    seconds = abs(ahead.total_seconds())
    if abs(ahead) < CLOCK_WARNING:
        return ok("clock", "the database's clock and this machine's agree")
    way = "ahead of" if ahead > timedelta() else "behind"
    what = f"the database's clock is {seconds:,.1f} s {way} this machine's"
    level = fault if abs(ahead) >= CLOCK_FAULT else warn
    return level("clock", what, "let both machines follow a time server (chrony, systemd-timesyncd)")


def _time_zone(zone: str) -> Finding:
    if zone == "UTC":
        return ok("time zone", "sessions are in UTC")
    remedy = "connect to the server itself: what is between drops the options of a session"
    return fault("time zone", "sessions are not in UTC: days of limits and reports begin at a wrong hour", remedy)


def _connections(facts: ServerFacts) -> Finding:
    what = f"{facts.connections} of {facts.max_connections} connections are in use"
    if facts.connections < facts.max_connections * FULL:
        return ok("connections", what)
    return warn("connections", what, "raise max_connections, or lower YOUT_DATABASE_POOL or the number of processes")


def _pooler(facts: ServerFacts) -> list[Finding]:
    if not facts.is_shared:
        return []
    remedy = "connect to the server itself, or set pool_mode = session there (docs/production.md, PgBouncer)"
    return [fault("pooler", "a pooler lends the database's sessions a transaction at a time: calls fail", remedy)]


def _locks(facts: ServerFacts) -> list[Finding]:
    seconds = long_locks.PAUSE.total_seconds()
    return [_lock(one) for one in facts.long_locks] or [
        ok("locks", f"no transaction that writes lasts for {seconds:g} s")
    ]


def _lock(one: LongLock) -> Finding:
    """Of tables, it stops everybody; of rows, the accounts that they are of."""
    what = f"process {one.pid} of PostgreSQL ({one.application or 'no name'}, role {one.role}) keeps "
    what += f"{'' if one.whole else 'rows of '}{_named(one.tables)} locked: what needs them answers 503"
    remedy = f"unless it is a migration that runs, end it as the owner or a superuser: {END_SESSION % one.pid}"
    return (fault if one.whole else warn)("locks", what, remedy)


def _settings(facts: ServerFacts) -> list[Finding]:
    findings = []
    if not facts.durable:
        what = "fsync or full_page_writes is off: a loss of power loses credits"
        findings.append(warn("durability", what, "set both to on"))
    if facts.logs_values:
        what = "the server's log may have statements and their values"
        remedy = "set log_statement to none, and log_min_duration_statement to -1 or log_parameter_max_length to 0"
        findings.append(warn("statement log", what, remedy))
    return findings
