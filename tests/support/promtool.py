"""Prometheus' own checker of rules and configurations."""

import os
import shutil

import pytest

_ABSENT = "There is no promtool on the PATH: this test needs it (apt-get install prometheus)."


def program() -> str:
    """Return it. Without one the test is skipped; where all must run, it fails."""
    if path := shutil.which("promtool"):
        return path
    if os.environ.get("CI") == "true":
        pytest.fail(_ABSENT)
    pytest.skip(_ABSENT)
