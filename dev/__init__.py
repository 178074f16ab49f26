"""The embedded stack: real PostgreSQL and Temporal servers from the package index, and what keeps them running."""
