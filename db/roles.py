"""The database role of the application: it reads and adds rows, and changes only what may change.

It owns nothing, so it can neither alter a table nor disable a trigger. It may update the columns in `CHANGING` and no
others, and delete from the tables in `DELETING`. It deletes old rows by functions of `db/functions.sql`, which check
their age. A migration run creates the role if it is missing, and grants its rights anew in the same transaction.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, LiteralString

import psycopg
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import Connection, text

CHANGING: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "accounts": (
            *("available", "held", "open_holds", "movements", "moved_at", "requests_tat", "tokens_tat"),
            *("suspended_at", "recognise_retries", "plan", "plan_active", "plan_until", "keep_history"),
            "credits_low",
        ),
        "api_keys": (
            *("requests_tat", "tokens_tat", "open_holds", "day", "day_credits", "month", "month_credits"),
            *("last_used_at", "name", "scopes", "limits", "revoked_at", "expires_at", "models", "note", "strict"),
            "privacy",
        ),
        "api_key_secrets": ("revoked_at", "expires_at"),
        "holds": (
            *("state", "amount", "output_limit", "tokens_taken", "relayed_output", "charged", "written_off"),
            *("refunded", "lease_until", "closed_at", "closed_by"),
        ),
        "usage_days": (*("calls", "input_tokens", "output_tokens", "credits", "provider_cost", "costed", "meters"),),
        "idempotency": ("fingerprint", "hold_id", "sealed", "created_at", "expires_at", "epoch"),
        "media_jobs": (
            *("state", "progress", "credits_refunded", "submit_intended_at", "provider_job_id", "produced", "error"),
            *("provider", "provider_model", "provider_cost", "routes", "slot_wanted_at"),
            *("outputs", "started_at", "finished_at", "expires_at", "outputs_deleted_at", "outputs_retry_at"),
            *("output_bytes", "phase", "cancel_requested_at", "cancel_sent_at", "deleted_at"),
        ),
        "storage_scans": ("position", "finished_at"),
        "worker_faults": ("remedy", "seen_at"),
        "conversations": ("title", "messages", "size", "updated_at"),
        "plan_terms": ("ends_at", "months_given", "next_grant_at"),
        "payments": (
            *("account_id", "customer", "subscription_id", "bought", "amount", "currency", "credits", "taken", "due"),
            *("moves", "problem", "paid_at"),
        ),
        "payment_charges": ("payment_id", "refunded", "disputes"),
        "payment_customers": ("account_id",),
        "payment_subscriptions": ("account_id", "customer", "cancel_at", "ended_at", "changed_at"),
        "users": ("email", "email_verified_at", "password"),
        "sessions": ("last_seen_at",),
        "throttles": ("until",),
        "purges": ("step", "found", "erased", "completed_at", "progressed_at"),
        "visitor_counts": ("used",),
        "events": ("data", "sealed"),
        "webhook_endpoints": (
            *("sealed", "types", "enabled", "disabled_at", "disabled_reason", "failing_since", "updated_at"),
        ),
        "webhook_secrets": ("expires_at",),
        "webhook_deliveries": (
            *("event_id", "sealed_target", "state", "round", "tried", "attempts", "started_at", "next_attempt_at"),
            *("attempting_until", "ended_at"),
        ),
    }
)
ADDING = (
    *("accounts", "users", "data_keys", "api_keys", "api_key_secrets", "holds", "transactions", "lines", "usage"),
    *("usage_days", "audits", "idempotency", "media_jobs", "job_inputs", "storage_scans", "shares"),
    *("conversations", "messages"),
    *("sessions", "one_time_links", "throttles", "mailbox_keys", "free_tier_networks"),
    *("purge_receipts", "receipt_keys"),
    *("plan_terms", "payments", "payment_charges", "payment_customers", "payment_subscriptions", "payment_events"),
    *("visitor_days", "visitor_counts"),
    *("events", "webhook_endpoints", "webhook_secrets", "webhook_deliveries"),
    *("uploads", "upload_parts", "job_files", "worker_faults"),
)
DELETING = (
    *("job_inputs", "sessions", "one_time_links", "throttles", "shares"),
    *("conversations", "messages", "visitor_days", "visitor_counts"),
    *("events", "webhook_endpoints", "webhook_secrets", "webhook_deliveries"),
    *("uploads", "upload_parts", "job_files", "worker_faults"),
)

SINGLE_ROLE = (
    "the application connects as the role that migrates: it could change the schema and switch the ledger's triggers "
    "off. Set YOUT_MIGRATION_DATABASE_URL, and let YOUT_DATABASE_URL name a role of its own."
)
_GRANTS = """
GRANT USAGE ON SCHEMA public TO {role};
REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {role};
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role};
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO {role}
"""
# Rights that a role has without a grant of ours. Each row describes one.
_BEYOND = """
SELECT format('is %s', attribute) FROM pg_roles r, unnest(
    ARRAY['SUPERUSER', 'CREATEROLE', 'CREATEDB', 'REPLICATION', 'BYPASSRLS'],
    ARRAY[rolsuper, rolcreaterole, rolcreatedb, rolreplication, rolbypassrls]) AS a(attribute, has)
WHERE rolname = :name AND has
UNION ALL
SELECT 'is a member of the role ' || o.rolname FROM pg_roles r, pg_roles o
WHERE r.rolname = :name AND o.oid <> r.oid AND NOT r.rolsuper AND pg_has_role(r.oid, o.oid, 'MEMBER')
    AND (o.rolname = current_user OR o.rolsuper OR o.rolcreaterole OR o.rolname = 'pg_write_all_data')
UNION ALL
SELECT DISTINCT 'owns ' || CASE s.classid
    WHEN 'pg_database'::regclass THEN 'the database' WHEN 'pg_namespace'::regclass THEN 'a schema'
    WHEN 'pg_class'::regclass THEN 'a table' WHEN 'pg_proc'::regclass THEN 'a function' ELSE 'an object' END
FROM pg_shdepend s JOIN pg_roles r ON r.oid = s.refobjid
WHERE r.rolname = :name AND s.refclassid = 'pg_authid'::regclass AND s.deptype = 'o'
    AND (s.dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
         OR s.classid = 'pg_database'::regclass
            AND s.objid = (SELECT oid FROM pg_database WHERE datname = current_database()))
UNION ALL
SELECT 'may create tables in the schema public (REVOKE CREATE ON SCHEMA public FROM PUBLIC)' FROM pg_roles r
WHERE r.rolname = :name AND NOT r.rolsuper AND has_schema_privilege(r.oid, 'public', 'CREATE')
"""
# Rights that the application needs and the current role lacks. Each row describes one.
_LACKING = """
SELECT 'read ' || name FROM unnest(%(adding)s::text[]) name
WHERE NOT coalesce(has_table_privilege(to_regclass(name), 'SELECT'), false)
UNION ALL
SELECT 'add to ' || name FROM unnest(%(adding)s::text[]) name
WHERE NOT coalesce(has_table_privilege(to_regclass(name), 'INSERT'), false)
UNION ALL
SELECT 'delete from ' || name FROM unnest(%(deleting)s::text[]) name
WHERE NOT coalesce(has_table_privilege(to_regclass(name), 'DELETE'), false)
UNION ALL
SELECT 'change ' || name || '.' || field FROM unnest(%(changing)s::text[], %(fields)s::text[]) AS x(name, field)
WHERE NOT coalesce(has_column_privilege(to_regclass(name), field, 'UPDATE'), false)
"""


class RoleUnfit(Exception):
    """The application's role has rights that it must not have. Nothing was changed."""

    def __init__(self, name: str, reasons: list[str]) -> None:
        super().__init__(
            f"the application's role {name} {', '.join(reasons)}: it could change the books. Let YOUT_DATABASE_URL "
            "name a role that owns nothing and has no attribute but LOGIN; a migration run makes one that is missing"
        )


def restrict(connection: Connection, app_url: str) -> bool:
    """Grant the role of `app_url` what the application needs. False if it is the role that runs the migration.

    Raises `RoleUnfit` for a role that has more rights than any grant gives it.
    """
    parts = conninfo_to_dict(app_url)
    name, password = str(parts.get("user") or ""), str(parts.get("password") or "")
    if name in ("", connection.execute(text("SELECT current_user")).scalar_one()):
        return False
    role = '"' + name.replace('"', '""') + '"'
    known = connection.execute(text("SELECT 1 FROM pg_roles WHERE rolname = :name"), {"name": name}).first()
    if known is None:
        connection.exec_driver_sql(f"CREATE ROLE {role} LOGIN PASSWORD '{_verifier(connection, password, name)}'")
    for statement in (*_GRANTS.format(role=role).strip().split(";\n"), *_row_grants(role)):
        connection.exec_driver_sql(statement)
    reasons = [row[0] for row in connection.execute(text(_BEYOND), {"name": name})]
    if reasons:
        raise RoleUnfit(name, reasons)
    return True


async def excess(connection: psycopg.AsyncConnection[Any], name: str) -> tuple[str, ...]:
    """Return the rights of a role that no grant of a migration gives, each in words."""
    query = _BEYOND.replace("%", "%%").replace(":name", "%(name)s")
    rows = await connection.execute(query, {"name": name})
    return tuple(row[0] for row in await rows.fetchall())


async def lacking(connection: psycopg.AsyncConnection[Any]) -> tuple[str, ...]:
    """Return the rights that the application needs and this connection's role lacks. The schema must be current."""
    rows = await connection.execute(*lacking_query())
    return tuple(row[0] for row in await rows.fetchall())


def lacking_query() -> tuple[LiteralString, dict[str, list[str]]]:
    changing = [(table, column) for table, columns in CHANGING.items() for column in columns]
    rights = {
        "adding": list(ADDING),
        "deleting": list(DELETING),
        "changing": [table for table, _ in changing],
        "fields": [column for _, column in changing],
    }
    return _LACKING, rights


def _row_grants(role: str) -> list[str]:
    granted = [f"GRANT INSERT ON {', '.join(ADDING)} TO {role}", f"GRANT DELETE ON {', '.join(DELETING)} TO {role}"]
    return granted + [
        f"GRANT UPDATE ({', '.join(columns)}) ON {table} TO {role}" for table, columns in CHANGING.items()
    ]


def _verifier(connection: Connection, password: str, name: str) -> str:
    """Return the verifier that the server stores for a password. The password itself is in no statement."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, psycopg.Connection):
        raise TypeError("not a psycopg connection")
    return driver.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
