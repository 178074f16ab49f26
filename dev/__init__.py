"""The embedded stack: PostgreSQL and Temporal servers from the package index, and their supervisor."""
