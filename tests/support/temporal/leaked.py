"""What leaks into a workflow that imports it carelessly."""

ANSWER = 42
