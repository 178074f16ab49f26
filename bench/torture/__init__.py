"""Kills and pauses parts of a running stack under media jobs, then proves what must be true of every job."""
