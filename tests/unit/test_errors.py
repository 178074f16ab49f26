"""docs/errors.md is the table of errors. `tests/clients/test_provoked_errors.py` provokes each of them."""

import re
from pathlib import Path

from api import error_document
from api.error_codes import CODES, TABLE, codes_of

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "errors.md").read_text()


def test_the_page_is_current() -> None:
    assert PAGE.strip() == error_document.written().strip(), "write it anew: yout openapi --errors > docs/errors.md"


def test_the_list_is_closed_and_the_page_has_all_of_it() -> None:
    written = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    assert written == CODES
    assert {code for kind in TABLE for code, _ in codes_of(kind)} == CODES | {None}


def test_every_row_says_what_to_do() -> None:
    assert all(row.remedy.endswith(".") for row in TABLE.values())
