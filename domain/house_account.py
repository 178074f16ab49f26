"""The operator's account that pays for visitors. Light to import: the command line starts fast."""

from uuid import UUID

HOUSE_ACCOUNT = UUID("00000000-0000-7000-8000-000000000008")
"""Nobody signs in to it, and it has no keys."""
