"""What docs/privacy.md and docs/security.md name is there, and no table is left out."""

import re
from pathlib import Path

from sqlmodel import SQLModel

from db import audit_guards  # noqa: F401  # it fills the metadata with every table

ROOT = Path(__file__).resolve().parents[2]
PRIVACY, SECURITY = ((ROOT / "docs" / name).read_text() for name in ("privacy.md", "security.md"))


def test_every_table_is_in_what_is_stored() -> None:
    stored = PRIVACY.partition("## What is stored")[2].partition("## Who can read it")[0]
    missing = {table for table in SQLModel.metadata.tables if f"`{table}`" not in stored}
    assert not missing


def test_every_test_that_proves_a_defence_is_there() -> None:
    named = set(re.findall(r"`(tests/[\w/]+\.py)`", SECURITY))
    assert len(named) > 30
    assert {name for name in named if not (ROOT / name).is_file()} == set()
    for line in SECURITY.partition("## What is not defended")[0].splitlines():
        cells = line.strip("|").split("|")
        if line.startswith("| ") and cells[0].strip() != "attack":
            assert len(cells) == 3, line
            assert re.search(r"\.py`|\.md", cells[2]), line


def test_every_file_that_privacy_names_is_there() -> None:
    for name in re.findall(r"`((?:tests|db|gateway)/[\w/]+\.py)`", PRIVACY):
        assert (ROOT / name).is_file(), name
