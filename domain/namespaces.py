"""Namespaces of Temporal. Rounds of maintenance have one of their own: by the minute, they would hide the jobs."""

MAINTENANCE = "yout-maintenance"
"""Where the jobs are in `default`."""


def of_maintenance(jobs: str) -> str:
    """Return the name for an installation whose jobs are in that namespace. Temporal Cloud's end with an account."""
    if jobs == "default":
        return MAINTENANCE
    name, dot, account = jobs.partition(".")
    return f"{name}-maintenance{dot}{account}"
