"""Purges, as those see them who start their workflows."""

from uuid import UUID

from domain.records import record


@record
class PurgeKey:
    id: UUID
    account_id: UUID
    """Whose turn it is with workers: one account's many purges of single things keep nobody else's waiting."""
