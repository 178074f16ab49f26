"""Programs of the system that tests need, and that no Python package has."""

import os
import shutil
from pathlib import Path

import pytest


def required(*names: str, package: str, path: str | None = None) -> Path:
    """Return the first of these programs. Without one the test is skipped; in continuous integration it fails.

    `package`: Debian's, which has it.
    """
    for name in names:
        if program := shutil.which(name, path=path):
            return Path(program)
    absent = f"There is no {', no '.join(names)} on the PATH: this test needs it (apt-get install {package})."
    if os.environ.get("CI") == "true":
        pytest.fail(absent)
    pytest.skip(absent)
